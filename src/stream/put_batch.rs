//! Putting many records: one lock and one clock reading for each shard that any of them goes to.

use crate::log::durability::Durability;
use crate::log::frame::Plain;
use crate::log::session::Session;

use super::core::{self, StreamCore};
use super::error::PutError;
use super::put::{Put, PutRecord, PutRecords};
use super::routes::{Item, Routes};
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
            let routes = Routes::new(map.owners(), records, waiting);
            waiting = self.put_groups(&map, &routes, &mut batch);
        }
        batch.into_results()
    }

    /// Appends the records of each shard, and makes durable what asks for it. Returns the records to route anew, in the
    /// order given.
    fn put_groups(&self, map: &ShardMap, routes: &Routes, batch: &mut Batch<'_>) -> Vec<Item> {
        let appended: Vec<_> =
            routes.groups(map).map(|(shard, items)| batch.append(map, shard, items)).collect();
        // Every shard has been written to before the first sync is waited for.
        let mut moved = Vec::new();
        for ((shard, items), Appended { closed, sync_to }) in routes.groups(map).zip(appended) {
            if let Some(target) = sync_to
                && let Err(error) = shard.log.sync_to(target)
            {
                batch.fail_puts(items, &error.into());
            }
            if !closed.is_empty() && self.has_moved(shard) {
                moved.extend(closed);
            } else {
                batch.errors.extend(closed.into_iter().map(|item| (item.index, PutError::Closed)));
            }
        }
        // Records of two shards that were merged keep the order in which they were given.
        moved.sort_unstable_by_key(|item| item.index);
        moved
    }
}

/// What became of the records of one shard, besides their numbers and errors.
struct Appended {
    /// Those for which the shard was closed.
    closed: Vec<Item>,
    /// The counter to sync to, if any of them asks for that.
    sync_to: Option<u64>,
}

/// Records on their way into the shards.
struct Batch<'r> {
    records: &'r [PutRecord<'r>],
    on_refusal: OnRefusal,
    /// What a record is promised that asks for nothing in particular.
    durability: Durability,
    /// Where each record went.
    puts: Vec<Option<SequenceNumber>>,
    /// Why those went nowhere that are through without having been put.
    errors: Vec<(usize, PutError)>,
}

impl<'r> Batch<'r> {
    fn new(records: &'r [PutRecord<'r>], on_refusal: OnRefusal, durability: Durability) -> Self {
        Self { records, on_refusal, durability, puts: vec![None; records.len()], errors: Vec::new() }
    }

    /// Refuses the records that no shard could take. Returns the others.
    #[inline(never)]
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

    /// Appends the records of one shard.
    fn append(&mut self, map: &ShardMap, shard: &Shard, items: &[Item]) -> Appended {
        let mut strictest = Durability::Buffered;
        let mut closed = Vec::new();
        // The shard's last refusal: from then on each record is tried by itself, if at all.
        let mut refused: Option<PutError> = None;
        let mut session = shard.log.session();
        let mut rest = items;
        while !rest.is_empty() {
            if refused.is_none() && !shard.throttle.is_limited() {
                let count = self.append_plain(&mut session, shard, rest);
                if count > 0 {
                    strictest = stricter(strictest, self.durability);
                }
                rest = rest.get(count..).unwrap_or_default();
            }
            let Some((item, left)) = rest.split_first() else { break };
            rest = left;
            let Some(record) = self.records.get(item.index) else { continue };
            let parts = [record.data];
            let draft = &core::draft(record, &parts, Some(item.checksum));
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
                Err(PutError::Closed) => closed.push(*item),
                Err(error) => self.errors.push((item.index, error)),
            }
        }
        let target = session.finish(strictest);
        Appended { closed, sync_to: (strictest == Durability::Immediate).then_some(target) }
    }

    /// Appends plain records for as long as nothing else has to be done for them. Returns how many.
    #[inline(never)]
    fn append_plain(&mut self, session: &mut Session<'_>, shard: &Shard, items: &[Item]) -> usize {
        let counters = session.append_plain(items.iter().map_while(|item| self.plain(item)));
        let appended = items.iter().zip(counters);
        appended.map(|(item, counter)| self.note_put(item, shard, counter)).count()
    }

    /// The record's frame, if that is all there is to know of it.
    #[inline]
    fn plain(&self, item: &Item) -> Option<Plain<'r>> {
        let record = self.records.get(item.index).filter(|_| item.plain)?;
        Plain::new(record.key.as_str().as_bytes(), record.data, Some(item.checksum))
    }

    #[inline]
    fn note_put(&mut self, item: &Item, shard: &Shard, counter: u64) {
        if let Some(put) = self.puts.get_mut(item.index) {
            *put = Some(SequenceNumber::new(counter, shard.id));
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
        let result = |put: Option<SequenceNumber>| match put {
            Some(sequence_number) => Ok(Put { shard_id: sequence_number.shard_id(), sequence_number }),
            None => Err(errors.next().unwrap_or(PutError::Closed)),
        };
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
