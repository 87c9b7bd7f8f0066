//! The batching writer: nothing lost, nothing twice, order kept per key, whatever the sink does.
//!
//! Guards against the old complaints about InfluxDB's client (a flush that does nothing, writes lost at the end of the
//! program), against items overtaken by later ones of the same key while they wait to be tried again, and against
//! writers that hang. Time is a clock that the tests move.
#![cfg(feature = "writer")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "as above")]

mod batching;
mod callbacks;
mod closing;
mod faults;
#[cfg(all(feature = "limits", feature = "line-protocol"))]
mod full_tmpfs;
#[cfg(all(feature = "limits", feature = "line-protocol"))]
#[path = "../common/mount.rs"]
mod mount;
mod order;
#[cfg(feature = "line-protocol")]
mod points;
mod retrying;
mod support;
mod waiting;
