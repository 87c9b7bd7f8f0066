//! What an opening found and did.

use std::path::PathBuf;
use std::time::Duration;

use super::table::RecoveryRow;

/// What recovery found about one segment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SegmentRecovery {
    /// The segment's file.
    pub path: PathBuf,
    /// What was found, and so what was done.
    pub row: RecoveryRow,
    /// Records above the watermark that were found whole and kept.
    pub recovered_records: u64,
    /// Bytes behind the last good frame that are not part of the log. They stay in the file.
    pub dropped_bytes: u64,
    /// Why those bytes are not part of the log, or what is wrong, in words; empty when nothing is.
    pub reason: String,
}

/// What recovery found in one shard.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShardRecovery {
    /// The stream's name.
    pub stream: String,
    /// The shard's number; see [`ShardId`](crate::ShardId).
    pub shard: u32,
    /// How many segments the shard has.
    pub segments: usize,
    /// The segments about which there is something to say: all but those that were sealed.
    pub findings: Vec<SegmentRecovery>,
    /// How long this shard took.
    pub elapsed: Duration,
}

/// What [`Store::open`](crate::Store::open) found: nothing but cleanly closed and sealed segments after an
/// orderly close, else what became of each segment that was being written.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// One entry for every shard that has segments.
    pub shards: Vec<ShardRecovery>,
    /// How long opening took.
    pub elapsed: Duration,
}

impl RecoveryReport {
    /// Whether the store had been closed in good order.
    pub fn is_clean(&self) -> bool {
        self.findings().all(|(_, finding)| finding.row == RecoveryRow::CleanlyClosed)
    }

    /// Whether durable records are missing or cannot be read.
    pub fn is_damaged(&self) -> bool {
        self.findings().any(|(_, finding)| finding.row.is_damage())
    }

    /// Bytes that were written and are not part of the log: unacknowledged tails.
    pub fn dropped_bytes(&self) -> u64 {
        self.findings().map(|(_, finding)| finding.dropped_bytes).sum()
    }

    /// Every finding, with its shard.
    pub fn findings(&self) -> impl Iterator<Item = (&ShardRecovery, &SegmentRecovery)> {
        self.shards.iter().flat_map(|shard| shard.findings.iter().map(move |finding| (shard, finding)))
    }
}
