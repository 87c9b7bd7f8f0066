//! Writing records.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::log::durability::Durability;
use crate::payload::measures::encoding::Head;
use crate::payload::measures::index::{Latest, PointKey};
use crate::payload::measures::reason::{Reason, RejectedRecord};
use crate::payload::measures::record::{Dimension, MeasureRecord};
use crate::payload::measures::validate::validate;
use crate::stream::error::PutError;
use crate::stream::partition_key::PartitionKey;
use crate::stream::put::PutRecord;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;

use super::decision::{Decision, decide};
use super::ingested::{RecordsIngested, RejectedRecords};
use super::ledger::Ledger;
use super::prepared::{Prepared, key_of};
use super::read_error::ReadMeasureError;
use super::table_handle::TableCore;
use super::window::Tier;
use super::write_error::WriteRecordsError;

/// What has become of a call so far.
#[derive(Debug, Default)]
struct Written {
    ingested: RecordsIngested,
    rejected: Vec<RejectedRecord>,
    /// Shards with records that the call's answer speaks of.
    shards: BTreeSet<ShardId>,
    /// The bytes of the record being put; kept from one to the next.
    buffer: Vec<u8>,
}

/// Why a record was neither stored nor rejected.
enum Fault {
    Put(PutError),
    Read(ReadMeasureError),
}

impl<E: Into<ReadMeasureError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Read(error.into())
    }
}

impl Fault {
    fn of(self, index: usize, ingested: RecordsIngested) -> WriteRecordsError {
        match self {
            Self::Put(source) => WriteRecordsError::Put { index, ingested, source },
            Self::Read(source) => WriteRecordsError::Read { index, ingested, source },
        }
    }
}

impl TableCore {
    pub(super) fn write(
        &self,
        common: &MeasureRecord<'_>,
        records: &[MeasureRecord<'_>],
    ) -> Result<RecordsIngested, WriteRecordsError> {
        let checked = validate(common, records, self.options.quotas)?;
        self.relieve()?;
        let now = self.stream.now();
        let mut last_key = None;
        // All that needs no knowledge of what is stored is done before the lock is taken.
        let prepared: Vec<_> = checked
            .into_iter()
            .map(|checked| {
                let measure = checked?;
                let tier = self.tier(measure.time, now)?;
                let key = partition_key(&measure.dimensions, &mut last_key);
                Ok(key.map(|key| Prepared::new(measure, tier, key)))
            })
            .collect();
        let durability = self.options.durability.unwrap_or(self.stream.core().durability);
        let mut written = Written::default();
        let outcome = self.write_prepared(prepared, durability, &mut written);
        if durability == Durability::Immediate {
            // Also what was there already: the answer speaks of it, and whoever brought it may still be waiting for this.
            for shard in written.shards {
                let log = self.stream.core().shards.look().by_id(shard).map(|shard| Arc::clone(&shard.log));
                // A shard that is not there any more has none of the records.
                if let Some(log) = log {
                    log.sync()?;
                }
            }
        }
        outcome?;
        let Written { ingested, rejected, .. } = written;
        if rejected.is_empty() { Ok(ingested) } else { Err(RejectedRecords { rejected, ingested }.into()) }
    }

    fn tier(&self, time: Timestamp, now: Timestamp) -> Result<Tier, Reason> {
        if self.options.any_time { Ok(Tier::Memory) } else { self.options.window.tier(time, now) }
    }

    fn write_prepared(
        &self,
        prepared: Vec<Result<Result<Prepared<'_>, PutError>, Reason>>,
        durability: Durability,
        written: &mut Written,
    ) -> Result<(), WriteRecordsError> {
        // Syncing waits until the lock is released, so that many callers share it.
        let durability = if durability == Durability::Immediate { Durability::Buffered } else { durability };
        let mut ledger = self.ledger.lock();
        for (index, prepared) in prepared.into_iter().enumerate() {
            let outcome = match prepared {
                Err(reason) => Ok(Err(reason)),
                Ok(Err(error)) => Err(Fault::Put(error)),
                Ok(Ok(record)) => self.write_one(&mut ledger, &record, durability, written),
            };
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => written.rejected.push(RejectedRecord::new(index, reason)),
                Err(fault) => return Err(fault.of(index, written.ingested)),
            }
        }
        Ok(())
    }

    /// Writes one record, unless that is rejected. The ledger stays locked from the look at what is stored until it knows
    /// of the new record.
    fn write_one(
        &self,
        ledger: &mut Ledger,
        record: &Prepared<'_>,
        durability: Durability,
        written: &mut Written,
    ) -> Result<Result<(), Reason>, Fault> {
        let names = match ledger.names().check(record.names(), self.options.quotas) {
            Ok(names) => names,
            Err(reason) => return Ok(Err(reason)),
        };
        let measure = &record.measure;
        let series = ledger.series(record.encoded.series())?;
        let existing = match series {
            Some(series) => ledger.get(PointKey { series, time: measure.time })?,
            None => None,
        };
        let existing = existing.filter(|existing| self.is_kept(existing.number));
        if let Some(existing) = existing {
            written.shards.insert(existing.number.shard_id());
        }
        let is_same = |existing: &Latest| match self.record(existing.number)? {
            Some(stored) => Ok(Some(stored.measure().value_bytes() == record.encoded.value())),
            // Removed since it was found: there is nothing to compare with.
            None => Ok::<_, ReadMeasureError>(None),
        };
        let previous = match decide(existing, measure.version, is_same)? {
            Decision::Reject(reason) => return Ok(Err(reason)),
            Decision::Keep => {
                written.ingested.unchanged += 1;
                written.count(record.tier);
                return Ok(Ok(()));
            }
            Decision::Insert => None,
            Decision::Replace(previous) => Some(previous),
        };
        let head = Head { time: measure.time, version: measure.version, previous };
        written.buffer.clear();
        record.encoded.write(&head, &mut written.buffer);
        let put = PutRecord::new(&record.key, &written.buffer).durability(durability);
        let put = self.stream.put_record(&put).map_err(Fault::Put)?;
        written.shards.insert(put.shard_id);
        let latest = Latest { version: measure.version, number: put.sequence_number };
        ledger.learn(series, record.encoded.series(), measure.time, latest, names);
        written.count(record.tier);
        Ok(Ok(()))
    }
}

impl Written {
    fn count(&mut self, tier: Tier) {
        self.ingested.total += 1;
        match tier {
            Tier::Memory => self.ingested.memory_store += 1,
            Tier::Magnetic => self.ingested.magnetic_store += 1,
        }
    }
}

/// The partition key of these dimensions. Records of one series often come together, so the last one is kept.
fn partition_key<'a>(
    dimensions: &[Dimension<'a>],
    last: &mut Option<(Vec<Dimension<'a>>, PartitionKey)>,
) -> Result<PartitionKey, PutError> {
    if let Some((_, key)) = last.as_ref().filter(|(known, _)| known == dimensions) {
        return Ok(key.clone());
    }
    let key = key_of(dimensions)?;
    *last = Some((dimensions.to_vec(), key.clone()));
    Ok(key)
}
