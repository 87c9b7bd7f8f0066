//! Guards the command `riverbed` against doing something else than its page says, against exit codes, errors and JSON that
//! scripts cannot rely on, and against getting in a writer's way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod looking;
mod moving;
mod page;
mod putting;
mod reading;
mod repairing;
mod support;
mod terminal;
