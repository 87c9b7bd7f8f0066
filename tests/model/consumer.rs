//! A consumer in the model: one worker, which polls, makes checkpoints, is set back, ends and comes again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use riverbed::{CheckpointError, Consumer, ConsumerOptions, PollError, Position, SequenceNumber, Stream};

use crate::Stored;
use crate::shards::ShardModel;

const NAME: &str = "c";

#[derive(Debug, Clone)]
pub(crate) enum ConsumerOperation {
    Poll { max: u8 },
    Checkpoint,
    CheckpointAt { which: u8 },
    EndWorker,
    Reset { to: u8 },
}

pub(crate) fn operation() -> impl Strategy<Value = ConsumerOperation> {
    prop_oneof![
        6 => (1..40_u8).prop_map(|max| ConsumerOperation::Poll { max }),
        3 => Just(ConsumerOperation::Checkpoint),
        1 => any::<u8>().prop_map(|which| ConsumerOperation::CheckpointAt { which }),
        1 => Just(ConsumerOperation::EndWorker),
        1 => any::<u8>().prop_map(|to| ConsumerOperation::Reset { to }),
    ]
}

/// The consumer of one stream, and where it should be.
#[derive(Debug, Default)]
pub(crate) struct ConsumerModel {
    worker: Option<Consumer>,
    exists: bool,
    /// In each shard, the last record that is checkpointed, and the last one that was polled.
    checkpointed: BTreeMap<u32, SequenceNumber>,
    polled: BTreeMap<u32, SequenceNumber>,
    /// Set to the latest records: what was there then does not come, in the shards that there were.
    skipped: BTreeMap<u32, Option<SequenceNumber>>,
    /// Those of them that had ended.
    skipped_ends: BTreeSet<u32>,
}

impl ConsumerModel {
    pub(crate) fn apply(&mut self, stream: &Stream, shards: &[ShardModel], how: &ConsumerOperation) {
        match how {
            ConsumerOperation::Poll { max } => self.poll(stream, shards, (*max).into()),
            ConsumerOperation::Checkpoint => {
                if let Some(worker) = &mut self.worker {
                    match worker.checkpoint() {
                        Ok(()) => {}
                        // Retention took them with what had been polled of them.
                        Err(CheckpointError::LeaseLost { shard_ids }) => {
                            assert!(shard_ids.iter().all(|id| shards[id.as_u32() as usize].is_gone));
                        }
                        Err(error) => panic!("{error}"),
                    }
                    self.checkpointed.clone_from(&self.polled);
                    self.check_lag(stream, shards);
                }
            }
            ConsumerOperation::CheckpointAt { which } => self.checkpoint_at(shards, (*which).into()),
            ConsumerOperation::EndWorker => self.end_worker(),
            ConsumerOperation::Reset { to } => self.reset(stream, shards, *to),
        }
    }

    /// What was polled and not checkpointed comes again.
    pub(crate) fn end_worker(&mut self) {
        if self.worker.take().is_some() {
            self.polled.clone_from(&self.checkpointed);
        }
    }

    /// Whether a record of the shard does not come, or has come by `progress`.
    fn is_behind(
        &self,
        progress: &BTreeMap<u32, SequenceNumber>,
        shard: u32,
        number: SequenceNumber,
    ) -> bool {
        let skipped = self.skipped.get(&shard).is_some_and(|last| last.is_some_and(|last| number <= last));
        skipped || progress.get(&shard).is_some_and(|last| number <= *last)
    }

    /// Of each shard, whether it may be read by the checkpoints there are, and whether there is nothing left to do in it. One that
    /// retention took after it was polled may hold up others until there is a checkpoint of that, or not.
    fn standing(&self, shards: &[ShardModel], gone_is_held: bool) -> Vec<(bool, bool)> {
        let mut standing: Vec<(bool, bool)> = Vec::new();
        // Parents have lower ids.
        for (id, model) in (0..).zip(shards) {
            let readable = model.parents.iter().all(|parent| standing[*parent as usize].1);
            let all =
                model.records.iter().all(|record| self.is_behind(&self.checkpointed, id, record.number));
            let skipped = self.skipped_ends.contains(&id);
            let held = gone_is_held && (!readable || self.polled.get(&id) > self.checkpointed.get(&id));
            let finished = model.ended.is_some() && all && (readable || skipped);
            standing.push((readable, if model.is_gone { !held } else { finished }));
        }
        standing
    }

    /// What the engine says of how far behind the consumer is.
    fn check_lag(&self, stream: &Stream, shards: &[ShardModel]) {
        for lag in stream.consumer_lag(NAME).unwrap() {
            let id = lag.shard_id.as_u32();
            let records = shards[id as usize].records.iter();
            let left = records.filter(|it| !self.is_behind(&self.checkpointed, id, it.number)).count();
            assert_eq!(lag.records, left as u64, "of shard {id}");
        }
    }

    fn poll(&mut self, stream: &Stream, shards: &[ShardModel], max: usize) {
        let mut worker = self.worker.take().unwrap_or_else(|| {
            // What was polled before comes to this one.
            stream.consumer_with(NAME, ConsumerOptions::new()).unwrap()
        });
        self.exists = true;
        let records = loop {
            match worker.poll(max, Duration::ZERO) {
                Ok(records) => break records,
                // What is gone is gone from the model already; a gap is told once.
                Err(PollError::Trimmed { shard_id, oldest, .. }) => {
                    let model = &shards[shard_id.as_u32() as usize];
                    assert!(model.records.first().is_none_or(|first| first.number >= oldest));
                }
                Err(PollError::ShardGone { shard_id, .. }) => {
                    assert!(shards[shard_id.as_u32() as usize].is_gone);
                }
                Err(error) => panic!("{error}"),
            }
        };
        self.worker = Some(worker);
        assert!(records.len() <= max);
        let may_come = self.standing(shards, false);
        for record in &records {
            let (id, number) = (record.shard_id().as_u32(), record.sequence_number());
            assert!(may_come[id as usize].0, "a child was read before its parents");
            // A worker goes on reading what it has open, whether it was removed or not, or is told that it is gone.
            let shard = &shards[id as usize];
            let left = |it: &&Stored| !self.is_behind(&self.polled, id, it.number);
            let expected = shard.removed.iter().find(|it| left(it) && it.number == number);
            let expected = expected.or(shard.records.iter().find(left)).map(|it| (it.number, &it.data[..]));
            assert_eq!(Some((number, &record.data()[..])), expected, "of shard {id}");
            self.polled.insert(id, number);
        }
        if records.is_empty() {
            let must_come = self.standing(shards, true);
            for (id, shard) in (0..).zip(shards).filter(|(_, shard)| !shard.is_gone) {
                let left = shard.records.iter().find(|it| !self.is_behind(&self.polled, id, it.number));
                assert!(left.is_none() || !must_come[id as usize].0, "{left:?} of shard {id} does not come");
            }
        }
    }

    fn checkpoint_at(&mut self, shards: &[ShardModel], which: usize) {
        let ahead = |(id, last): (&u32, &SequenceNumber)| {
            let records = shards[*id as usize].records.iter().map(|record| record.number);
            let ahead = records.filter(|it| it <= last && !self.is_behind(&self.checkpointed, *id, *it));
            ahead.map(|number| (*id, number)).collect::<Vec<_>>()
        };
        let ahead: Vec<_> = self.polled.iter().flat_map(ahead).collect();
        let (Some(worker), false) = (&mut self.worker, ahead.is_empty()) else { return };
        let (id, number) = ahead[which % ahead.len()];
        worker.checkpoint_at(number).unwrap();
        self.checkpointed.insert(id, number);
    }

    fn reset(&mut self, stream: &Stream, shards: &[ShardModel], to: u8) {
        if !self.exists {
            return;
        }
        self.end_worker();
        let one_of =
            |records: &[Stored]| records.get(usize::from(to) % records.len().max(1)).map(|it| it.number);
        match to % 3 {
            0 => {
                stream.reset_consumer(NAME, Position::TrimHorizon).unwrap();
                self.start_over();
            }
            1 => {
                stream.reset_consumer(NAME, Position::Latest).unwrap();
                self.start_over();
                for (id, shard) in (0..).zip(shards).filter(|(_, shard)| !shard.is_gone) {
                    self.skipped.insert(id, shard.above);
                    if shard.ended.is_some() {
                        self.skipped_ends.insert(id);
                    }
                }
            }
            _ => {
                // Of one shard, and only there.
                let id = u32::from(to) % u32::try_from(shards.len()).unwrap();
                let Some(number) = one_of(&shards[id as usize].records) else { return };
                stream.reset_consumer(NAME, Position::AfterSequenceNumber(number)).unwrap();
                self.skipped.remove(&id);
                self.skipped_ends.remove(&id);
                self.checkpointed.insert(id, number);
                self.polled.insert(id, number);
            }
        }
        assert_eq!(stream.list_consumers().unwrap(), [NAME]);
        self.check_lag(stream, shards);
    }

    fn start_over(&mut self) {
        self.checkpointed.clear();
        self.polled.clear();
        self.skipped.clear();
        self.skipped_ends.clear();
    }
}
