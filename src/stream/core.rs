//! A stream: shards, and how records get into them.

use std::sync::Arc;
#[cfg(feature = "measures")]
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use crate::error::SyncError;
use crate::log::append::Gate;
use crate::log::durability::Durability;
use crate::log::frame::{Draft, Kind, MAX_METADATA_LEN, MAX_RECORD_LEN, body_checksum, checksum_ahead};
use crate::log::options::Context;
use crate::log::shard_log::ShardLog;

use super::error::PutError;
use super::hash_key::HashKey;
use super::live_shards::LiveShards;
use super::put::{Key, Put, PutRecord};
use super::retention::{self, Retained, Retention};
use super::sequence_number::SequenceNumber;
use super::shard_map::{Shard, ShardMap};

/// What a stream is, behind all its handles.
#[derive(Debug)]
pub(crate) struct StreamCore {
    pub(crate) name: String,
    pub(crate) durability: Durability,
    pub(crate) shards: Arc<LiveShards>,
    /// Held while shards are split, merged or dropped.
    pub(crate) resharding: Mutex<()>,
    /// Held by an update of the shard count, which reshards more than once: of two at the same time each would undo what the other
    /// has done.
    pub(crate) updating: Mutex<()>,
    pub(crate) context: Arc<Context>,
    pub(crate) retention: Mutex<Kept>,
    /// Whether the stream is open as a table of measures.
    #[cfg(feature = "measures")]
    pub(crate) has_table: AtomicBool,
    #[cfg(feature = "arrow")]
    pub(crate) schemas: Mutex<super::schemas::Schemas>,
}

/// The retention in force.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) retention: Retention,
    /// Counts the changes, so that what was scheduled for an earlier retention ends.
    changes: u64,
}

impl Kept {
    pub(crate) fn new(retention: Retention) -> Self {
        Self { retention, changes: 0 }
    }
}

impl StreamCore {
    /// Puts one record.
    pub(crate) fn put_record(&self, record: &PutRecord<'_>) -> Result<Put, PutError> {
        check(record)?;
        let mut hash_key = None;
        let parts = [record.data];
        let checksum = checksum_ahead(record.key.as_str().as_bytes(), record.metadata, record.data);
        let draft = draft(record, &parts, checksum);
        loop {
            let map = self.shards.look();
            let shard = match map.open() {
                [shard] => shard,
                _ => {
                    let hash_key = hash_key.get_or_insert_with(|| record.hash_key());
                    // The open shards cover every hash key; `Closed` is what is left should they not.
                    map.owner_of(*hash_key).ok_or(PutError::Closed)?
                }
            };
            match self.append_one(&map, shard, record, &draft) {
                Err(PutError::Closed) if self.has_moved(shard) => {}
                outcome => return outcome,
            }
        }
    }

    fn append_one(
        &self,
        map: &ShardMap,
        shard: &Shard,
        record: &PutRecord<'_>,
        draft: &Draft<'_>,
    ) -> Result<Put, PutError> {
        let mut session = shard.log.session();
        check_ordering(record, map, shard, session.next())?;
        shard.admit(draft)?;
        let counter = session.append(draft)?;
        let durability = record.durability.unwrap_or(self.durability);
        let target = session.finish(durability);
        if durability == Durability::Immediate {
            shard.log.sync_to(target)?;
        }
        Ok(Put { shard_id: shard.id, sequence_number: SequenceNumber::new(counter, shard.id) })
    }

    /// Whether a put that the shard refused belongs to another shard by now, or to the same one again. Waits for a
    /// resharding that is under way.
    pub(crate) fn has_moved(&self, shard: &Shard) -> bool {
        drop(self.resharding.lock());
        shard.log.gate() == Gate::Open || self.shards.look().by_id(shard.id).is_none_or(|now| !now.is_open())
    }

    /// Makes everything durable that has been put so far.
    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        for shard in self.shards.look().all() {
            shard.log.sync()?;
        }
        Ok(())
    }

    /// Removes the segments that retention does not keep.
    pub(crate) fn retain(&self) -> Retained {
        let (retention, _) = self.retention_in_force();
        retention::retain(self.shards.snapshot().all(), retention, self.context.clock.now())
    }

    /// The retention, and how often it has been changed.
    pub(crate) fn retention_in_force(&self) -> (Retention, u64) {
        let kept = self.retention.lock();
        (kept.retention, kept.changes)
    }

    /// Changes the retention. What was scheduled for the old one ends.
    pub(crate) fn set_retention(&self, retention: Retention) {
        let mut kept = self.retention.lock();
        kept.retention = retention;
        kept.changes += 1;
    }

    pub(crate) fn logs(&self) -> Vec<Arc<ShardLog>> {
        self.shards.look().all().iter().map(|shard| Arc::clone(&shard.log)).collect()
    }
}

/// The rules that hold for every record, whatever its shard.
#[inline]
pub(super) fn check(record: &PutRecord<'_>) -> Result<(), PutError> {
    record.key.validate()?;
    let len = record.key.as_str().len().saturating_add(record.data.len());
    if len > MAX_RECORD_LEN {
        return Err(PutError::RecordTooLarge { len, max: MAX_RECORD_LEN });
    }
    if record.metadata.len() > MAX_METADATA_LEN {
        return Err(PutError::MetadataTooLarge { len: record.metadata.len(), max: MAX_METADATA_LEN });
    }
    Ok(())
}

#[inline]
pub(super) fn check_ordering(
    record: &PutRecord<'_>,
    map: &ShardMap,
    shard: &Shard,
    next: u64,
) -> Result<(), PutError> {
    if let Some(expected) = record.only_in.filter(|expected| *expected != shard.id) {
        return Err(PutError::Moved { expected, found: shard.id });
    }
    match record.sequence_number_for_ordering {
        Some(number) if number.shard_id() != shard.id && !map.descends_from(shard, number.shard_id()) => {
            Err(PutError::OrderingOfOtherShard { number, shard_id: shard.id })
        }
        Some(number) if number.counter() >= next => Err(PutError::OrderingInFuture { number }),
        _ => Ok(()),
    }
}

#[inline]
pub(super) fn checksum(record: &PutRecord<'_>) -> u32 {
    body_checksum(record.key.as_str().as_bytes(), record.metadata, &[record.data])
}

#[inline]
pub(super) fn draft<'a>(record: &PutRecord<'a>, parts: &'a [&'a [u8]], body_crc: Option<u32>) -> Draft<'a> {
    Draft::new(
        Kind::RAW,
        record.key.as_str().as_bytes(),
        record.explicit_hash_key.map(HashKey::as_u128),
        record.metadata,
        parts,
        body_crc,
    )
}

impl<'a> PutRecord<'a> {
    /// What `put` puts: a key and data, nothing else.
    #[inline]
    pub(crate) fn plain(key: Key<'a>, data: &'a [u8]) -> Self {
        Self::new(key, data)
    }

    /// Whether key and data are all that was given.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.metadata.is_empty()
            && self.explicit_hash_key.is_none()
            && self.sequence_number_for_ordering.is_none()
            && self.durability.is_none()
            && self.only_in.is_none()
    }
}
