//! Line protocol and points, as a user of the crate meets them.
#![cfg(feature = "line-protocol")]

mod bodies;
mod corpus;
mod peer;
mod robustness;
mod round_trip;
mod support;
