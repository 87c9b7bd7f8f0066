//! A stream: shards, and how records get into them.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::SyncError;
use crate::log::durability::Durability;
use crate::log::frame::{Draft, Kind, MAX_METADATA_LEN, MAX_RECORD_LEN};
use crate::log::options::Context;
use crate::log::shard_log::ShardLog;

use super::error::PutError;
use super::hash_key::HashKey;
use super::put::{self, Key, Put, PutRecord, PutRecords};
use super::retention::{self, RetainError, Retention};
use super::sequence_number::SequenceNumber;
use super::shard_map::{Shard, ShardMap};

/// What a stream is, behind all its handles.
#[derive(Debug)]
pub(crate) struct StreamCore {
    pub(crate) name: String,
    pub(crate) durability: Durability,
    pub(crate) shards: ShardMap,
    pub(crate) context: Arc<Context>,
    pub(crate) retention: Mutex<Kept>,
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
        let shard = self.route(record)?;
        let parts = [record.data];
        let draft = draft(record, &parts);
        let mut session = shard.log.session();
        check_ordering(record, shard, session.next())?;
        let counter = session.append(&draft)?;
        let durability = record.durability.unwrap_or(self.durability);
        let target = session.finish(durability);
        if durability == Durability::Immediate {
            shard.log.sync_to(target)?;
        }
        Ok(Put { shard_id: shard.id, sequence_number: SequenceNumber::new(counter, shard.id) })
    }

    /// Puts many records: one lock and one clock reading for each shard that any of them goes to.
    pub(crate) fn put_records(&self, records: &[PutRecord<'_>], on_refusal: OnRefusal) -> PutRecords {
        let mut results: Vec<Result<Put, PutError>> = Vec::with_capacity(records.len());
        // The records of each shard, in the order given. Most batches touch few shards of many.
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut group_of_shard: Vec<Option<usize>> = vec![None; self.shards.all().len()];
        for (index, (record, hash_key)) in records.iter().zip(put::hash_keys(records)).enumerate() {
            let routed = check(record).and_then(|()| self.route_index(hash_key));
            // A place holder until the record's shard has been written to.
            results.push(Err(PutError::Closed));
            match routed {
                Ok((shard_index, shard)) => {
                    let group = group_of_shard.get(shard_index).copied().flatten().unwrap_or_else(|| {
                        groups.push(Group { shard, indexes: Vec::new() });
                        groups.len() - 1
                    });
                    if let Some(known) = group_of_shard.get_mut(shard_index) {
                        *known = Some(group);
                    }
                    if let Some(group) = groups.get_mut(group) {
                        group.indexes.push(index);
                    }
                }
                Err(error) => set(&mut results, index, Err(error)),
            }
        }
        let targets: Vec<_> =
            groups.iter().map(|group| self.append_group(group, records, on_refusal, &mut results)).collect();
        // Every shard has been written to before the first sync is waited for.
        for (group, target) in groups.iter().zip(targets) {
            let Some(target) = target else { continue };
            if let Err(error) = group.shard.log.sync_to(target) {
                for &index in &group.indexes {
                    if results.get(index).is_some_and(Result::is_ok) {
                        set(&mut results, index, Err(PutError::Sync(error.clone())));
                    }
                }
            }
        }
        PutRecords::new(results)
    }

    /// Appends the records of one shard. Returns the counter to sync to, if any of them asks for that.
    fn append_group(
        &self,
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
            .filter_map(|&index| records.get(index).map(|record| (index, record, [record.data])))
            .collect();
        let drafts: Vec<_> =
            bodies.iter().map(|(index, record, parts)| (*index, *record, draft(record, parts))).collect();
        let mut session = shard.log.session();
        let mut refused: Option<PutError> = None;
        for (index, record, draft) in &drafts {
            let outcome = check_ordering(record, shard, session.next())
                .and_then(|()| match &refused {
                    Some(error) if on_refusal == OnRefusal::EndShard => Err(error.clone()),
                    _ => session.append(draft).map_err(PutError::from).inspect_err(|error| {
                        refused = Some(error.clone());
                    }),
                })
                .map(|counter| Put {
                    shard_id: shard.id,
                    sequence_number: SequenceNumber::new(counter, shard.id),
                });
            if outcome.is_ok() {
                let durability = record.durability.unwrap_or(self.durability);
                strictest = Some(strictest.map_or(durability, |strictest| stricter(strictest, durability)));
            }
            set(results, *index, outcome);
        }
        let durability = strictest.unwrap_or(Durability::Buffered);
        let target = session.finish(durability);
        (durability == Durability::Immediate).then_some(target)
    }

    fn route(&self, record: &PutRecord<'_>) -> Result<&Shard, PutError> {
        let hash_key = record.explicit_hash_key.unwrap_or_else(|| record.key.hash_key());
        self.route_index(hash_key).map(|(_, shard)| shard)
    }

    fn route_index(&self, hash_key: HashKey) -> Result<(usize, &Shard), PutError> {
        let index = self.shards.index_of(hash_key);
        // The shards cover every hash key; `Closed` is what is left should they not.
        self.shards.get(index).map(|shard| (index, shard)).ok_or(PutError::Closed)
    }

    /// The shard that owns a hash key.
    pub(crate) fn shard_for(&self, hash_key: HashKey) -> Option<&Shard> {
        self.shards.get(self.shards.index_of(hash_key))
    }

    /// Makes everything durable that has been put so far.
    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        for shard in self.shards.all() {
            shard.log.sync()?;
        }
        Ok(())
    }

    /// Removes what retention does not keep. Returns the bytes that went.
    pub(crate) fn retain(&self) -> Result<u64, RetainError> {
        let retention = self.retention.lock().retention;
        retention::retain(self.shards.all(), retention, self.context.clock.now())
    }

    /// Changes the retention, and applies it now and from now on.
    pub(crate) fn set_retention(self: &Arc<Self>, retention: Retention) -> Result<u64, RetainError> {
        {
            let mut kept = self.retention.lock();
            kept.retention = retention;
            kept.changes += 1;
        }
        self.schedule_retention();
        self.retain()
    }

    /// Applies retention again and again in the background.
    pub(crate) fn schedule_retention(self: &Arc<Self>) {
        let (interval, changes) = {
            let kept = self.retention.lock();
            (kept.retention.interval(), kept.changes)
        };
        let Some(interval) = interval else {
            return;
        };
        let stream = Arc::downgrade(self);
        self.context.background.schedule(interval, move || {
            if let Some(stream) = stream.upgrade().filter(|stream| stream.retention.lock().changes == changes)
            {
                // What could not be done now is tried again; a failed sync has poisoned its shard.
                drop(stream.retain());
                stream.schedule_retention();
            }
        });
    }

    pub(crate) fn logs(&self) -> impl Iterator<Item = &Arc<ShardLog>> {
        self.shards.all().iter().map(|shard| &shard.log)
    }
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

fn check_ordering(record: &PutRecord<'_>, shard: &Shard, next: u64) -> Result<(), PutError> {
    match record.sequence_number_for_ordering {
        Some(number) if number.shard_id() != shard.id => {
            Err(PutError::OrderingOfOtherShard { number, shard_id: shard.id })
        }
        Some(number) if number.counter() >= next => Err(PutError::OrderingInFuture { number }),
        _ => Ok(()),
    }
}

fn draft<'a>(record: &PutRecord<'a>, parts: &'a [&'a [u8]]) -> Draft<'a> {
    Draft::new(
        Kind::RAW,
        record.key.as_str().as_bytes(),
        record.explicit_hash_key.map(HashKey::as_u128),
        record.metadata,
        parts,
    )
}

impl<'a> PutRecord<'a> {
    /// What `put` puts: a key and data, nothing else.
    pub(crate) fn plain(key: Key<'a>, data: &'a [u8]) -> Self {
        Self::new(key, data)
    }
}
