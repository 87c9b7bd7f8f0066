//! Consumers: what is polled, what a checkpoint keeps from being polled again, and who of several workers polls what.
//!
//! Guards against records that are skipped or come out of order when a consumer is stopped, reset, shared, overtaken by retention or
//! led through a resharding, against a checkpoint by a worker that has lost the shard, and against polls that do not wake.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and seeds are printed")]

mod delivery;
mod positions;
mod resharding;
mod setup;
mod trouble;
mod workers;
