//! What an acknowledgement promises.

use std::time::Duration;

/// What is promised about a record when its put returns.
///
/// Whatever the level, a record is visible to readers once its put has returned, and an orderly close makes
/// everything durable.
///
/// | level | process killed | power cut |
/// |---|---|---|
/// | `Buffered` | survives | what the kernel had not written yet is lost |
/// | `Periodic(d)` | survives | at most the last `d` (and the time until the sync that is due then has been made) is lost |
/// | `Immediate` | survives | survives |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The record is in the page cache. Nobody waits for a sync unless it is asked for. Segments that are full are synced in the
    /// background, a few at a time, so that they need not stay mapped, nor be read after a crash.
    Buffered,
    /// As `Buffered`, and a sync in the background is due after this time. Each shard has a sync of its own: where the disk makes
    /// a thousand a second, ten thousand shards that are all written to take ten seconds.
    /// [`ShardStats::sync_overdue`](crate::ShardStats::sync_overdue) says by how much a sync is late.
    Periodic(Duration),
    /// The record is on disk before the put returns. All callers that wait on a shard share one sync.
    Immediate,
}

impl Default for Durability {
    /// `Periodic` with one second.
    fn default() -> Self {
        Self::Periodic(Duration::from_secs(1))
    }
}

/// What a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadLevel {
    /// Every record whose put has published it. A power cut may still take the newest of them; their sequence
    /// numbers are then never used again.
    #[default]
    Appended,
    /// Only records that are on disk: what a reader has seen, no crash takes back.
    Durable,
}
