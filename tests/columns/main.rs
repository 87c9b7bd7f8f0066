//! Batches of columns, as a user of the crate meets them.
#![cfg(feature = "arrow")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking"
)]

#[cfg(test)]
mod arrays;
#[cfg(test)]
mod in_place;
#[cfg(test)]
mod ipc;
#[cfg(test)]
mod loose;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod putting;
#[cfg(test)]
mod random;
#[cfg(test)]
mod read_only;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod rotating;
