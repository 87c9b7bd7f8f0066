//! Putting many records: one lock and one clock reading for each shard that any of them goes to.

use crate::log::durability::Durability;
use crate::log::frame::Plain;

use super::core::{self, StreamCore};
use super::error::PutError;
use super::hash_key::HashKey;
use super::put::{self, Put, PutRecord, PutRecords};
use super::sequence_number::SequenceNumber;
use super::shard_map::{Shard, ShardMap};

/// What becomes of the rest of a batch's records for a shard once the shard has refused one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnRefusal {
    /// They are tried.
    GoOn,
    /// They are not, and get the same error.
    EndShard,
}

impl StreamCore {
    /// Puts many records.
    pub(crate) fn put_records(&self, records: &[PutRecord<'_>], on_refusal: OnRefusal) -> PutRecords {
        let mut batch = Batch::new(records, on_refusal, self.durability);
        let mut waiting = batch.check();
        // Again for those whose shards are being split or merged.
        while !waiting.is_empty() {
            let map = self.shards.look();
            waiting = self.put_groups(&map, batch.route(&map, waiting), &mut batch);
        }
        batch.into_results()
    }

    /// Appends the records of each shard, and makes durable what asks for it. Returns the records to route anew, in the
    /// order given.
    fn put_groups(&self, map: &ShardMap, mut groups: Vec<Group<'_>>, batch: &mut Batch<'_>) -> Vec<Item> {
        for group in &mut groups {
            batch.append(map, group);
        }
        // Every shard has been written to before the first sync is waited for.
        let mut moved = Vec::new();
        for group in groups {
            if let Some(target) = group.sync_to
                && let Err(error) = group.shard.log.sync_to(target)
            {
                batch.fail_puts(&group.items, &error.into());
            }
            if !group.closed.is_empty() && self.has_moved(group.shard) {
                moved.extend(group.closed);
            } else {
                batch.errors.extend(group.closed.into_iter().map(|item| (item.index, PutError::Closed)));
            }
        }
        // Records of two shards that were merged keep the order in which they were given.
        moved.sort_unstable_by_key(|item| item.index);
        moved
    }
}

/// A record that a shard may take.
#[derive(Clone, Copy)]
struct Item {
    index: usize,
    /// Of its body; computed before any lock is taken.
    checksum: u32,
    /// Nothing is asked for it in particular.
    plain: bool,
}

/// The records of a batch that go to one shard, in the order given.
struct Group<'m> {
    shard: &'m Shard,
    items: Vec<Item>,
    /// Those for which the shard was closed.
    closed: Vec<Item>,
    /// The counter to sync to, if any of them asks for that.
    sync_to: Option<u64>,
}

impl<'m> Group<'m> {
    fn new(shard: &'m Shard, items: Vec<Item>) -> Self {
        Self { shard, items, closed: Vec::new(), sync_to: None }
    }
}

/// Records on their way into the shards.
struct Batch<'r> {
    records: &'r [PutRecord<'r>],
    on_refusal: OnRefusal,
    /// What a record is promised that asks for nothing in particular.
    durability: Durability,
    /// Computed once there are several shards to choose from.
    hash_keys: Option<Vec<HashKey>>,
    /// Where each record went.
    puts: Vec<Option<Put>>,
    /// Why those went nowhere that are through without having been put.
    errors: Vec<(usize, PutError)>,
}

impl<'r> Batch<'r> {
    fn new(records: &'r [PutRecord<'r>], on_refusal: OnRefusal, durability: Durability) -> Self {
        let puts = vec![None; records.len()];
        Self { records, on_refusal, durability, hash_keys: None, puts, errors: Vec::new() }
    }

    /// Refuses the records that no shard could take. Returns the others.
    fn check(&mut self) -> Vec<Item> {
        let mut allowed = Vec::with_capacity(self.records.len());
        for (index, record) in self.records.iter().enumerate() {
            match core::check(record) {
                Ok(()) => {
                    let plain = record.is_plain();
                    allowed.push(Item { index, checksum: core::checksum(record), plain });
                }
                Err(error) => self.errors.push((index, error)),
            }
        }
        allowed
    }

    /// The records of each shard. Most batches touch few shards of many.
    fn route<'m>(&mut self, map: &'m ShardMap, items: Vec<Item>) -> Vec<Group<'m>> {
        if let [shard] = map.open() {
            return vec![Group::new(shard, items)];
        }
        let hash_keys = self.hash_keys.get_or_insert_with(|| put::hash_keys(self.records));
        let mut groups: Vec<Group<'m>> = Vec::new();
        let mut group_of_shard: Vec<Option<usize>> = vec![None; map.open().len()];
        for item in items {
            let Some(&hash_key) = hash_keys.get(item.index) else { continue };
            let shard_index = map.index_of(hash_key);
            let (Some(shard), Some(known)) =
                (map.open().get(shard_index), group_of_shard.get_mut(shard_index))
            else {
                // The open shards cover every hash key; this is what is left should they not.
                self.errors.push((item.index, PutError::Closed));
                continue;
            };
            let group = *known.get_or_insert_with(|| {
                groups.push(Group::new(shard, Vec::new()));
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(group) {
                group.items.push(item);
            }
        }
        groups
    }

    /// Appends the records of one shard.
    fn append(&mut self, map: &ShardMap, group: &mut Group<'_>) {
        let shard = group.shard;
        let mut strictest = Durability::Buffered;
        // The shard's last refusal: from then on each record is tried by itself, if at all.
        let mut refused: Option<PutError> = None;
        let mut session = shard.log.session();
        let mut rest = group.items.as_slice();
        while !rest.is_empty() {
            if refused.is_none() && !shard.throttle.is_limited() {
                let counters = session.append_plain(rest.iter().map_while(|item| self.plain(item)));
                for counter in counters {
                    let Some((item, left)) = rest.split_first() else { break };
                    self.note_put(item, shard, counter);
                    strictest = stricter(strictest, self.durability);
                    rest = left;
                }
            }
            let Some((item, left)) = rest.split_first() else { break };
            rest = left;
            let Some(record) = self.records.get(item.index) else { continue };
            let parts = [record.data];
            let draft = &core::draft(record, &parts, item.checksum);
            let outcome =
                core::check_ordering(record, map, shard, session.next()).and_then(|()| match &refused {
                    Some(error) if self.on_refusal == OnRefusal::EndShard => Err(error.clone()),
                    _ => shard
                        .admit(draft)
                        .and_then(|()| Ok(session.append(draft)?))
                        .inspect_err(|error| refused = Some(error.clone())),
                });
            match outcome {
                Ok(counter) => {
                    self.note_put(item, shard, counter);
                    strictest = stricter(strictest, record.durability.unwrap_or(self.durability));
                }
                Err(PutError::Closed) => group.closed.push(*item),
                Err(error) => self.errors.push((item.index, error)),
            }
        }
        let target = session.finish(strictest);
        group.sync_to = (strictest == Durability::Immediate).then_some(target);
    }

    /// The record's frame, if that is all there is to know of it.
    #[inline]
    fn plain(&self, item: &Item) -> Option<Plain<'r>> {
        let record = self.records.get(item.index).filter(|_| item.plain)?;
        Plain::new(record.key.as_str().as_bytes(), record.data, item.checksum)
    }

    #[inline]
    fn note_put(&mut self, item: &Item, shard: &Shard, counter: u64) {
        if let Some(put) = self.puts.get_mut(item.index) {
            *put = Some(Put { shard_id: shard.id, sequence_number: SequenceNumber::new(counter, shard.id) });
        }
    }

    /// Says of those of these records that were put that they may not be on disk.
    fn fail_puts(&mut self, items: &[Item], error: &PutError) {
        for &Item { index, .. } in items {
            if self.puts.get_mut(index).is_some_and(|put| put.take().is_some()) {
                self.errors.push((index, error.clone()));
            }
        }
    }

    /// What became of each record, in the order given.
    fn into_results(self) -> PutRecords {
        let mut errors = self.errors;
        errors.sort_unstable_by_key(|&(index, _)| index);
        let mut errors = errors.into_iter().map(|(_, error)| error);
        // Each record was put or has an error.
        let result = |put: Option<Put>| put.ok_or_else(|| errors.next().unwrap_or(PutError::Closed));
        PutRecords::new(self.puts.into_iter().map(result).collect())
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
