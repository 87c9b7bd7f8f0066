//! Line protocol and points, as a user of the crate meets them.
#![cfg(feature = "line-protocol")]

mod corpus;
mod support;
