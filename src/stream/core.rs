//! A stream: shards, and how records get into them.

use std::sync::Arc;
#[cfg(feature = "measures")]
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use crate::error::SyncError;
use crate::log::append::Gate;
use crate::log::durability::Durability;
use crate::log::frame::{Draft, Kind, MAX_METADATA_LEN, MAX_RECORD_LEN, body_checksum};
use crate::log::options::Context;
use crate::log::shard_log::ShardLog;

use super::error::PutError;
use super::hash_key::HashKey;
use super::live_shards::LiveShards;
use super::put::{self, Key, Put, PutRecord, PutRecords};
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
        let hash_key = record.explicit_hash_key.unwrap_or_else(|| record.key.hash_key());
        let parts = [record.data];
        let draft = draft(record, &parts, checksum(record));
        loop {
            let map = self.shards.look();
            // The open shards cover every hash key; `Closed` is what is left should they not.
            let shard = map.owner_of(hash_key).ok_or(PutError::Closed)?;
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

    /// Puts many records: one lock and one clock reading for each shard that any of them goes to.
    pub(crate) fn put_records(&self, records: &[PutRecord<'_>], on_refusal: OnRefusal) -> PutRecords {
        let hash_keys = put::hash_keys(records);
        let mut results: Vec<Result<Put, PutError>> = Vec::with_capacity(records.len());
        let mut waiting = Vec::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            let checked = check(record);
            if checked.is_ok() {
                waiting.push(index);
            }
            // A place holder until the record's shard has been written to.
            results.push(checked.and(Err(PutError::Closed)));
        }
        // Again for those whose shards are being split or merged.
        while !waiting.is_empty() {
            let map = self.shards.look();
            let groups = group(&map, &hash_keys, &waiting);
            waiting = self.append_groups(&map, &groups, records, on_refusal, &mut results);
        }
        PutRecords::new(results)
    }

    /// Appends the records of each shard, and makes durable what asks for it. Returns the records to route anew, in the
    /// order given.
    fn append_groups(
        &self,
        map: &ShardMap,
        groups: &[Group<'_>],
        records: &[PutRecord<'_>],
        on_refusal: OnRefusal,
        results: &mut [Result<Put, PutError>],
    ) -> Vec<usize> {
        let targets: Vec<_> =
            groups.iter().map(|group| self.append_group(map, group, records, on_refusal, results)).collect();
        // Every shard has been written to before the first sync is waited for.
        for (group, target) in groups.iter().zip(targets) {
            let Some(target) = target else { continue };
            if let Err(error) = group.shard.log.sync_to(target) {
                for &index in &group.indexes {
                    if results.get(index).is_some_and(Result::is_ok) {
                        set(results, index, Err(PutError::Sync(error.clone())));
                    }
                }
            }
        }
        let refused = |index: &usize| matches!(results.get(*index), Some(Err(PutError::Closed)));
        let mut moved: Vec<_> = groups
            .iter()
            .filter(|group| group.indexes.iter().any(refused) && self.has_moved(group.shard))
            .flat_map(|group| group.indexes.iter().copied().filter(refused))
            .collect();
        // Records of two shards that were merged keep the order in which they were given.
        moved.sort_unstable();
        moved
    }

    /// Appends the records of one shard. Returns the counter to sync to, if any of them asks for that.
    fn append_group(
        &self,
        map: &ShardMap,
        group: &Group<'_>,
        records: &[PutRecord<'_>],
        on_refusal: OnRefusal,
        results: &mut [Result<Put, PutError>],
    ) -> Option<u64> {
        let shard = group.shard;
        let mut strictest = None;
        // Checksums are computed before the lock is taken.
        let bodies: Vec<_> = group
            .indexes
            .iter()
            .filter_map(|&index| records.get(index).map(|record| (index, record, checksum(record))))
            .collect();
        let mut session = shard.log.session();
        let mut refused: Option<PutError> = None;
        for (index, record, body_crc) in bodies {
            let parts = [record.data];
            let draft = &draft(record, &parts, body_crc);
            let outcome = check_ordering(record, map, shard, session.next())
                .and_then(|()| match &refused {
                    Some(error) if on_refusal == OnRefusal::EndShard => Err(error.clone()),
                    _ => shard
                        .admit(draft)
                        .and_then(|()| Ok(session.append(draft)?))
                        .inspect_err(|error| refused = Some(error.clone())),
                })
                .map(|counter| Put {
                    shard_id: shard.id,
                    sequence_number: SequenceNumber::new(counter, shard.id),
                });
            if outcome.is_ok() {
                let durability = record.durability.unwrap_or(self.durability);
                strictest = Some(strictest.map_or(durability, |strictest| stricter(strictest, durability)));
            }
            set(results, index, outcome);
        }
        let durability = strictest.unwrap_or(Durability::Buffered);
        let target = session.finish(durability);
        (durability == Durability::Immediate).then_some(target)
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

/// The records of each shard, in the order given. Most batches touch few shards of many.
fn group<'a>(map: &'a ShardMap, hash_keys: &[HashKey], indexes: &[usize]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut group_of_shard: Vec<Option<usize>> = vec![None; map.open().len()];
    for &index in indexes {
        let Some(&hash_key) = hash_keys.get(index) else { continue };
        let shard_index = map.index_of(hash_key);
        let (Some(shard), Some(known)) = (map.open().get(shard_index), group_of_shard.get_mut(shard_index))
        else {
            continue;
        };
        let group = *known.get_or_insert_with(|| {
            groups.push(Group { shard, indexes: Vec::new() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(group) {
            group.indexes.push(index);
        }
    }
    groups
}

/// What becomes of the rest of a batch's records for a shard once the shard has refused one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnRefusal {
    /// They are tried.
    GoOn,
    /// They are not, and get the same error.
    EndShard,
}

/// The records of a batch that go to one shard.
struct Group<'a> {
    shard: &'a Shard,
    indexes: Vec<usize>,
}

fn set(results: &mut [Result<Put, PutError>], index: usize, result: Result<Put, PutError>) {
    if let Some(slot) = results.get_mut(index) {
        *slot = result;
    }
}

fn stricter(one: Durability, other: Durability) -> Durability {
    match (one, other) {
        (Durability::Immediate, _) | (_, Durability::Immediate) => Durability::Immediate,
        (Durability::Periodic(one), Durability::Periodic(other)) => Durability::Periodic(one.min(other)),
        (Durability::Periodic(within), Durability::Buffered)
        | (Durability::Buffered, Durability::Periodic(within)) => Durability::Periodic(within),
        (Durability::Buffered, Durability::Buffered) => Durability::Buffered,
    }
}

/// The rules that hold for every record, whatever its shard.
#[inline]
fn check(record: &PutRecord<'_>) -> Result<(), PutError> {
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
fn check_ordering(record: &PutRecord<'_>, map: &ShardMap, shard: &Shard, next: u64) -> Result<(), PutError> {
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
fn checksum(record: &PutRecord<'_>) -> u32 {
    body_checksum(record.key.as_str().as_bytes(), record.metadata, &[record.data])
}

#[inline]
fn draft<'a>(record: &PutRecord<'a>, parts: &'a [&'a [u8]], body_crc: u32) -> Draft<'a> {
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
}
