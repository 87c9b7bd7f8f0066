//! Line protocol and points, as a user of the crate meets them.
#![cfg(feature = "line-protocol")]

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod mapping;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod support;
#[cfg(test)]
mod writing;
