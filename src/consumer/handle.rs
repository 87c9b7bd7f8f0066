//! A worker of a consumer, as its users hold it.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::stream::core::StreamCore;
use crate::stream::error::ReadError;
use crate::stream::record::{OwnedRecord, Record};
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;

use super::checkpoint::Checkpoint;
use super::error::{CheckpointError, PollError};
use super::group::{Group, Step};
use super::held::{Held, Stop};
use super::lag::ShardLag;
use super::leases::{LeaseId, WorkerId};
use super::options::ConsumerOptions;
use super::signal::Signal;

/// A worker of a named consumer: polls the records of all shards of a stream, or of its part of them, and makes checkpoints
/// of what has been processed. After Kinesis's client library.
///
/// Opening the same consumer again, in another thread, adds a worker; they share the shards evenly, and when one is
/// dropped the others get what it had. Every record is delivered at least once: again after a crash, or when a worker
/// was dropped or lost a shard, if it had been polled but not checkpointed. Records of one shard come in their order, and
/// no two workers have the same shard at once, so that records of one key are processed in order.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// use riverbed::StreamOptions;
/// use std::time::Duration;
///
/// let orders = store.create_stream("orders", StreamOptions::new().shards(4))?;
/// orders.put("customer-7", b"ordered")?;
///
/// let mut billing = orders.consumer("billing")?;
/// let records = billing.poll(500, Duration::from_secs(1))?;
/// for record in &records {
///     println!("{}: {} bytes", record.partition_key()?, record.data().len());
/// }
/// billing.checkpoint()?; // after a restart, billing goes on behind these
/// assert_eq!(records.len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    name: String,
    core: Arc<StreamCore>,
    group: Arc<Group>,
    /// Keeps the store open.
    _store: Arc<dyn Any + Send + Sync>,
    id: WorkerId,
    options: ConsumerOptions,
    signal: Arc<Signal>,
    held: BTreeMap<ShardId, Held>,
    /// Shards that may have something to read, in turn.
    queue: VecDeque<ShardId>,
    /// Shards that could not be read when it was last tried.
    failed: Vec<ShardId>,
    /// What is to be told before anything else is read.
    trouble: VecDeque<PollError>,
    /// Shards with records that were handed out and not checkpointed.
    pending: BTreeSet<ShardId>,
    /// Shards that were lost with such records, which the user has not been told yet.
    lost: BTreeSet<ShardId>,
    /// When to look at the leases again, whatever happens.
    next_inheritance: Option<Instant>,
    closed: bool,
}

impl Consumer {
    /// A new worker; `None` when the consumer is closed.
    pub(crate) fn join(
        name: String,
        core: Arc<StreamCore>,
        group: Arc<Group>,
        store: Arc<dyn Any + Send + Sync>,
        options: ConsumerOptions,
    ) -> Option<Self> {
        let signal = Arc::new(Signal::default());
        // Even a worker that gets no shard looks once, at what there may be to be told.
        signal.leases_changed();
        let id = group.join(&core, Arc::clone(&signal), options.handover)?;
        Some(Self {
            name,
            core,
            group,
            _store: store,
            id,
            options,
            signal,
            held: BTreeMap::new(),
            queue: VecDeque::new(),
            failed: Vec::new(),
            trouble: VecDeque::new(),
            pending: BTreeSet::new(),
            lost: BTreeSet::new(),
            next_inheritance: None,
            closed: false,
        })
    }

    /// The consumer's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Up to `max` records: as many as there are, of all shards in turn. When there are none, sleeps until there are some, at
    /// most for `timeout`; an empty answer says that the time has passed. The records stay valid on their own, without
    /// having been copied; they keep the segments mapped in which they lie.
    ///
    /// Polling again without a checkpoint goes on behind what was polled before.
    ///
    /// # Errors
    ///
    /// [`PollError`]. What was polled before can be checkpointed all the same, and polling again goes on, unless the
    /// consumer is [`Closed`](PollError::Closed).
    pub fn poll(&mut self, max: usize, timeout: Duration) -> Result<Vec<OwnedRecord>, PollError> {
        let mut records = Vec::new();
        self.poll_with(max, timeout, |record| records.push(record.to_owned()))?;
        Ok(records)
    }

    /// As [`poll`](Self::poll), with the records borrowed, one after the other: nothing is allocated and no reference
    /// counted. Returns how many there were.
    ///
    /// # Errors
    ///
    /// As for [`poll`](Self::poll).
    pub fn poll_with(
        &mut self,
        max: usize,
        timeout: Duration,
        mut each: impl FnMut(Record<'_>),
    ) -> Result<usize, PollError> {
        // A timeout too long to be a point in time is no timeout.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            self.follow()?;
            if let Some(trouble) = self.trouble.pop_front() {
                return Err(trouble);
            }
            let count = self.read(max, &mut each);
            if count > 0 || max == 0 {
                return Ok(count);
            }
            if let Some(trouble) = self.trouble.pop_front() {
                return Err(trouble);
            }
            if !self.failed.is_empty() {
                // Nothing else to do: they are tried again, and if it is in vain, the caller is told.
                self.queue.extend(self.failed.drain(..));
                continue;
            }
            if self.signal.has_news() {
                // As when the end of a shard that was empty has opened its children.
                continue;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(0);
            }
            self.signal.wait([deadline, self.next_inheritance].into_iter().flatten().min());
        }
    }

    /// Makes a checkpoint of everything that was polled: it is not delivered again.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]. After [`LeaseLost`](CheckpointError::LeaseLost) everything else is checkpointed; it is told once
    /// of each loss.
    pub fn checkpoint(&mut self) -> Result<(), CheckpointError> {
        let held = self.pending.iter().filter_map(|shard_id| self.held.get(shard_id));
        let steps: Vec<_> = held
            .filter_map(|held| Some(Step { shard_id: held.shard_id, lease: held.lease, to: held.due()? }))
            .collect();
        self.make(&steps)?;
        match std::mem::take(&mut self.lost) {
            lost if lost.is_empty() => Ok(()),
            lost => Err(CheckpointError::LeaseLost { shard_ids: lost.into_iter().collect() }),
        }
    }

    /// Makes a checkpoint of what was polled of one shard, up to the record with this number: it and everything before it
    /// in its shard is not delivered again.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`].
    pub fn checkpoint_at(&mut self, number: SequenceNumber) -> Result<(), CheckpointError> {
        let shard_id = number.shard_id();
        let lost = || CheckpointError::LeaseLost { shard_ids: vec![shard_id] };
        let Some(held) = self.held.get(&shard_id) else {
            self.lost.remove(&shard_id);
            return Err(lost());
        };
        let to = Checkpoint::AfterSequenceNumber(number);
        if to == held.checkpoint {
            return Ok(());
        }
        if held.delivered.is_none_or(|delivered| delivered < number) {
            return Err(CheckpointError::NotPolled { number });
        }
        if held.checkpoint.next().is_some_and(|next| number.counter() < next) {
            return Err(CheckpointError::Backwards { number, present: held.checkpoint });
        }
        let step = Step { shard_id, lease: held.lease, to: held.after(number) };
        self.make(&[step])?;
        if self.lost.remove(&shard_id) { Err(lost()) } else { Ok(()) }
    }

    /// The shards that this worker has, as of its last poll.
    pub fn shards(&self) -> Vec<ShardId> {
        self.held.keys().copied().collect()
    }

    /// How far the consumer is behind in each shard that it has not finished, by its checkpoints.
    pub fn lag(&self) -> Vec<ShardLag> {
        self.group.lag(&self.core)
    }

    /// Goes on behind the damage that [`poll`](Self::poll) reports, in every shard that has come to some; see
    /// [`Reader::skip_damage`](crate::Reader::skip_damage).
    ///
    /// # Errors
    ///
    /// As for [`Reader::skip_damage`](crate::Reader::skip_damage).
    pub fn skip_damage(&mut self) -> Result<(), ReadError> {
        self.held.values_mut().try_for_each(Held::skip_damage)
    }

    /// Makes checkpoints, and notes which shards have been lost.
    fn make(&mut self, steps: &[Step]) -> Result<(), CheckpointError> {
        if steps.is_empty() {
            return Ok(());
        }
        let lost = self.group.checkpoint(&self.core, steps, self.options.durability)?;
        let mut handed_over = Vec::new();
        for step in steps {
            if lost.contains(&step.shard_id) {
                self.pending.remove(&step.shard_id);
                continue;
            }
            let Some(held) = self.held.get_mut(&step.shard_id) else { continue };
            held.checkpoint = step.to;
            if step.to == Checkpoint::ShardEnd {
                held.let_go();
                self.held.remove(&step.shard_id);
                self.pending.remove(&step.shard_id);
            } else if held.due().is_none() {
                self.pending.remove(&step.shard_id);
                if held.leaving {
                    handed_over.push((step.shard_id, step.lease));
                }
            }
        }
        self.lost.extend(lost);
        self.hand_over(&handed_over);
        Ok(())
    }

    /// Takes in what the worker has been told since it last looked.
    fn follow(&mut self) -> Result<(), PollError> {
        let news = self.signal.take();
        for shard_id in news.ready {
            self.enqueue(shard_id);
        }
        if !self.closed && !news.leases && self.next_inheritance.is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        let Some(view) = self.group.view(self.id) else {
            self.closed = true;
            return Err(PollError::Closed);
        };
        self.next_inheritance = view.next_inheritance;
        let gone = view.gone.into_iter();
        self.trouble.extend(gone.map(|(shard_id, checkpoint)| PollError::ShardGone { shard_id, checkpoint }));
        let granted: BTreeMap<_, _> =
            view.granted.into_iter().map(|granted| (granted.0.shard_id, granted)).collect();
        let Self { held, pending, lost, .. } = self;
        held.retain(|shard_id, held| {
            let keep = granted.get(shard_id).is_some_and(|(granted, _)| granted.lease == held.lease);
            if !keep {
                held.let_go();
                if pending.remove(shard_id) {
                    lost.insert(*shard_id);
                }
            }
            keep
        });
        let mut handed_over = Vec::new();
        for (shard_id, (granted, checkpoint)) in granted {
            if granted.leaving && !self.pending.contains(&shard_id) {
                handed_over.push((shard_id, granted.lease));
                continue;
            }
            let held = self.held.entry(shard_id).or_insert_with(|| {
                Held::new(shard_id, granted.lease, checkpoint, self.signal.waker(shard_id))
            });
            held.leaving = granted.leaving;
            if !held.leaving {
                self.enqueue(shard_id);
            }
        }
        self.hand_over(&handed_over);
        Ok(())
    }

    /// Lets go of shards that other workers wait for.
    fn hand_over(&mut self, leases: &[(ShardId, LeaseId)]) {
        if leases.is_empty() {
            return;
        }
        for (shard_id, _) in leases {
            if let Some(held) = self.held.remove(shard_id) {
                held.let_go();
            }
        }
        self.group.hand_over(leases);
    }

    fn enqueue(&mut self, shard_id: ShardId) {
        if let Some(held) = self.held.get_mut(&shard_id).filter(|held| !held.queued) {
            held.queued = true;
            self.queue.push_back(shard_id);
        }
    }

    /// Hands out up to `max` records of the shards that have some.
    fn read(&mut self, max: usize, each: &mut impl FnMut(Record<'_>)) -> usize {
        let mut count = 0;
        while count < max && self.trouble.is_empty() {
            let Some(shard_id) = self.queue.pop_front() else { break };
            let Some(held) = self.held.get_mut(&shard_id) else { continue };
            held.queued = false;
            if held.leaving {
                continue;
            }
            // Each of those that wait gets its part.
            let share = (max - count).div_ceil(self.queue.len() + 1);
            let (read, stop) = held.read(&self.core, self.options.reader, share, each);
            if read > 0 {
                count += read;
                self.pending.insert(shard_id);
            }
            match stop {
                Stop::Nothing => {}
                Stop::Enough => self.enqueue(shard_id),
                Stop::Skipped(error) => {
                    self.trouble.push_back(error);
                    self.enqueue(shard_id);
                }
                Stop::Ahead { next } => {
                    let error = self.take_back(shard_id, next);
                    self.trouble.push_back(error);
                    self.enqueue(shard_id);
                }
                Stop::End if self.pending.contains(&shard_id) => {}
                Stop::End => {
                    // Nothing of it is left to be processed, so nobody need say so.
                    let step = Step { shard_id, lease: held.lease, to: Checkpoint::ShardEnd };
                    if let Err(error) = self.make(&[step]) {
                        self.trouble.push_back(error.into());
                        self.retry_later(shard_id);
                    }
                }
                Stop::Gone => {
                    let checkpoint = held.checkpoint;
                    self.held.remove(&shard_id);
                    self.group.forget(&self.core, shard_id);
                    self.trouble.push_back(PollError::ShardGone { shard_id, checkpoint });
                }
                Stop::Failed(error) => {
                    self.trouble.push_back(PollError::Read { shard_id, error });
                    self.retry_later(shard_id);
                }
            }
        }
        count
    }

    /// Has a shard read again when there is nothing else to do.
    fn retry_later(&mut self, shard_id: ShardId) {
        if let Some(held) = self.held.get_mut(&shard_id) {
            held.queued = true;
            self.failed.push(shard_id);
        }
    }

    /// Sets a checkpoint that is behind the shard's end to that end. Returns what to tell of it.
    fn take_back(&mut self, shard_id: ShardId, next: SequenceNumber) -> PollError {
        let Some(held) = self.held.get_mut(&shard_id) else {
            return PollError::Closed;
        };
        let checkpoint = held.checkpoint;
        let step = Step { shard_id, lease: held.lease, to: Checkpoint::AtSequenceNumber(next) };
        match self.group.take_back(step) {
            Ok(()) => {
                held.checkpoint = step.to;
                PollError::Ahead { shard_id, checkpoint, next }
            }
            Err(error) => error.into(),
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("stream", &self.core.name)
            .field("name", &self.name)
            .field("options", &self.options)
            .field("shards", &self.shards())
            .finish_non_exhaustive()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.held.values().for_each(Held::let_go);
        self.group.leave(self.id);
    }
}
