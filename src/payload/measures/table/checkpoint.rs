//! Keeping the version index.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::SyncError;
use crate::payload::measures::index::{Changes, IndexError, PointKey, Watermark};
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::Shard;

use super::table_handle::TableCore;

/// How many kept data points to look at for those that are gone, at least.
const SWEPT_AT_ONCE: usize = 4096;

/// Why the version index was not brought up to date.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The stream could not be synced, which comes first.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The index could not be written.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// How far the kept index has been searched for data points whose records retention has removed.
#[derive(Debug, Clone, Default)]
pub(super) struct Sweep {
    /// Where to go on; `None` when no search is under way.
    next: Option<PointKey>,
    /// The oldest kept counter of each shard when the last search began.
    horizon: BTreeMap<u32, u64>,
}

impl TableCore {
    /// Commits what is pending if that is too much.
    pub(super) fn relieve(&self) -> Result<(), CheckpointError> {
        if self.ledger.lock().pending() < self.options.pending_limit {
            return Ok(());
        }
        let mut sweep = self.sweep.lock();
        // Somebody else may have done it meanwhile.
        if self.ledger.lock().pending() < self.options.pending_limit {
            return Ok(());
        }
        self.commit(&mut sweep)
    }

    /// Commits what is pending, and searches the whole index for what is gone.
    pub(super) fn checkpoint(&self) -> Result<(), CheckpointError> {
        let mut sweep = self.sweep.lock();
        loop {
            self.commit(&mut sweep)?;
            if sweep.next.is_none() {
                return Ok(());
            }
        }
    }

    /// Commits what is pending, after a sync: the kept index is never ahead of the stream on disk.
    fn commit(&self, sweep: &mut Sweep) -> Result<(), CheckpointError> {
        let (changes, last, known) = {
            // With the lock held, every measure that was appended is known.
            let mut ledger = self.ledger.lock();
            let shards = self.stream.core().shards.snapshot();
            let known = shards.all().iter().map(|shard| {
                let id = shard.id.as_u32();
                (id, ledger.known_up_to(id, shard.log.tip().0))
            });
            let known: BTreeMap<_, _> = known.collect();
            (ledger.begin_commit(), ledger.last().clone(), known)
        };
        let outcome = self.keep(&changes, &last, &known, sweep);
        self.ledger.lock().committed(changes, outcome.is_ok());
        outcome
    }

    fn keep(
        &self,
        changes: &Arc<Changes>,
        last: &BTreeMap<u32, u64>,
        known: &BTreeMap<u32, u64>,
        sweep: &mut Sweep,
    ) -> Result<(), CheckpointError> {
        self.stream.sync()?;
        // What is found gone has not gone before it is committed.
        let mut swept = sweep.clone();
        let mut removed = self.gone(changes, &mut swept)?;
        // Also what came and went since the last commit.
        let came = changes.points.iter().filter(|(_, latest)| !self.is_kept(latest.number));
        removed.extend(came.map(|(key, _)| *key));
        let watermark = |(shard, next): (&u32, &u64)| {
            let last = last.get(shard).and_then(|counter| self.checksum(*shard, *counter));
            (*shard, Watermark { next: *next, last })
        };
        let watermarks = known.iter().map(watermark).collect();
        self.index.commit(changes, &removed, &watermarks)?;
        *sweep = swept;
        Ok(())
    }

    /// A measure's counter with the checksum of its data, if it can be read.
    pub(super) fn checksum(&self, shard: u32, counter: u64) -> Option<(u64, u32)> {
        let number = SequenceNumber::new(counter, ShardId::new(shard));
        let stored = self.record(number).ok().flatten()?;
        Some((counter, crc32fast::hash(stored.data())))
    }

    /// Kept data points whose records are gone: as many as go with these changes, so that the work is spread.
    fn gone(&self, changes: &Changes, sweep: &mut Sweep) -> Result<Vec<PointKey>, IndexError> {
        let from = match sweep.next {
            Some(next) => next,
            None => {
                let shards = self.stream.core().shards.snapshot();
                let oldest = |shard: &Arc<Shard>| (shard.id.as_u32(), shard.log.oldest());
                let horizon: BTreeMap<_, _> = shards.all().iter().map(oldest).collect();
                if horizon == sweep.horizon {
                    return Ok(Vec::new());
                }
                sweep.horizon = horizon;
                PointKey::MIN
            }
        };
        let limit = SWEPT_AT_ONCE.max(2 * changes.points.len());
        let page = self.index.page(from, PointKey::MAX, limit)?;
        sweep.next = page.get(limit - 1).and_then(|(key, _)| key.next());
        let is_gone = |key: &PointKey, number| !changes.points.contains_key(key) && !self.is_kept(number);
        Ok(page.iter().filter(|(key, latest)| is_gone(key, latest.number)).map(|(key, _)| *key).collect())
    }
}
