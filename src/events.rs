//! What is told as it happens, to `tracing` and `metrics`, where the features say so. Without them nothing is done here.
//!
//! What is counted is published from [`StoreStats`](crate::StoreStats) instead, which costs those who put nothing.

#![cfg_attr(
    not(all(feature = "tracing", feature = "metrics")),
    allow(unused_variables, reason = "not everybody is there to be told")
)]

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use crate::log::recovery::RecoveryReport;

/// Tells `tracing`, under the target that the crate's documentation names.
macro_rules! tell {
    ($level:ident, $($rest:tt)+) => {
        #[cfg(feature = "tracing")]
        tracing::$level!(target: "riverbed", $($rest)+);
    };
}

/// Records how long something took in the shard whose directory is `dir`, in seconds.
macro_rules! time {
    ($name:literal, $dir:expr, $elapsed:expr) => {
        #[cfg(feature = "metrics")]
        if let Some((store, stream)) = store_and_stream($dir) {
            metrics::histogram!($name, "store" => store, "stream" => stream).record($elapsed);
        }
    };
}

/// The labels of the shard whose directory is `dir`: the store's directory and the stream's name.
#[cfg(feature = "metrics")]
fn store_and_stream(dir: &Path) -> Option<(String, String)> {
    let stream = dir.parent()?;
    let store = stream.parent()?.parent()?;
    Some((store.to_string_lossy().into_owned(), stream.file_name()?.to_string_lossy().into_owned()))
}

pub(crate) fn opened(store: &Path, streams: usize, report: &RecoveryReport) {
    let (clean, dropped_bytes) = (report.is_clean(), report.dropped_bytes());
    if report.is_damaged() {
        tell!(
            error,
            store = %store.display(), streams, dropped_bytes, elapsed = ?report.elapsed,
            "opened a damaged store: see Store::recovery_report, then Store::verify"
        );
    } else {
        tell!(info, store = %store.display(), streams, clean, dropped_bytes, elapsed = ?report.elapsed, "opened a store");
    }
}

pub(crate) fn closed<E: Display>(store: &Path, outcome: &Result<(), E>) {
    match outcome {
        Ok(()) => {
            tell!(info, store = %store.display(), "closed a store");
        }
        Err(error) => {
            tell!(error, store = %store.display(), %error, "closed a store, but not in good order: opening it will recover");
        }
    }
}

pub(crate) fn created(store: &Path, stream: &str, shards: u32) {
    tell!(info, store = %store.display(), stream, shards, "created a stream");
}

pub(crate) fn deleted(store: &Path, stream: &str) {
    tell!(info, store = %store.display(), stream, "deleted a stream");
}

pub(crate) fn resharded(stream: &str, ended: &dyn std::fmt::Debug, open_shards: usize) {
    tell!(info, stream, ?ended, open_shards, "split or merged shards");
}

pub(crate) fn upkeep_failed(stream: &str, error: &dyn Display) {
    tell!(warn, stream, %error, "could not apply the retention; it is tried again later");
}

/// A roll took `elapsed` under the append lock. Where no segment was `ready`, puts had to wait for one.
pub(crate) fn rolled(dir: &Path, ordinal: u64, capacity: u64, ready: bool, elapsed: Duration) {
    time!("riverbed_roll_duration_seconds", dir, elapsed);
    tell!(debug, shard = %dir.display(), ordinal, capacity, ready, ?elapsed, "began a segment");
}

pub(crate) fn preparation_failed(dir: &Path, error: &dyn Display) {
    tell!(warn, shard = %dir.display(), %error, "could not prepare the next segment: puts will fail at the next roll unless this changes");
}

pub(crate) fn synced(dir: &Path, next: u64, elapsed: Duration) {
    time!("riverbed_sync_duration_seconds", dir, elapsed);
    tell!(trace, shard = %dir.display(), next, ?elapsed, "synced");
}

pub(crate) fn sync_failed(dir: &Path, error: &dyn Display) {
    tell!(error, shard = %dir.display(), %error, "a sync failed: the shard takes no more records until the store is opened again");
}

pub(crate) fn sync_not_made(dir: &Path, error: &dyn Display) {
    tell!(warn, shard = %dir.display(), %error, "could not open a segment to sync it: what was put since the last sync is not durable yet");
}

pub(crate) fn trimmed(dir: &Path, segments: usize, bytes: u64) {
    tell!(debug, shard = %dir.display(), segments, bytes, "removed the oldest segments");
}

pub(crate) fn index_not_saved(segment: &Path, error: &dyn Display) {
    tell!(warn, segment = %segment.display(), %error, "could not save an index: it is made anew when it is needed");
}
