//! What waits to be written, and what is to be done next.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::sys::clock::Timestamp;

use super::not_written::{FlushError, NotWritten};
use super::options::{OnFull, WriteOptions};
use super::sink::{Item, Sink};
use super::stats::WriterStats;
use super::ticket::Ticket;

/// Who waits for one item.
pub(crate) type WriteTicket<S> = Arc<Ticket<Settled<S>>>;

/// What became of an item in the end.
pub(crate) type Settled<S> = Result<<S as Sink>::Ack, Lost<S>>;

/// An item of this sink's that was not written.
pub(crate) type Lost<S> = NotWritten<<S as Sink>::Item, <S as Sink>::Error>;

/// Who waits for all items so far.
pub(crate) type FlushTicket<S> = Arc<Ticket<Result<(), FlushError<<S as Sink>::Error>>>>;

/// What a writer knows about an item.
pub(crate) struct Tag<S: Sink> {
    /// Counts the items of a writer. What waits is kept sorted by it, so that order is nobody's concern.
    order: u64,
    arrived: Timestamp,
    pub(crate) ticket: Option<WriteTicket<S>>,
}

/// Items to be given to the sink, with a tag each.
pub(crate) struct Batch<S: Sink> {
    pub(crate) items: Vec<S::Item>,
    pub(crate) tags: Vec<Tag<S>>,
    /// How often it was given to the sink before.
    pub(crate) attempts: u32,
    /// How often it was tried again, as far as that counts.
    pub(crate) retries: u32,
    /// How many items the sink had accepted when the batch was last given to it.
    pub(crate) accepted_before: u64,
    /// When it was first given to the sink.
    pub(crate) started: Timestamp,
}

/// A batch that the sink could not take, and what must not overtake it.
struct Parked<S: Sink> {
    batch: Batch<S>,
    due: Timestamp,
    /// Items of its keys that came later, in order.
    followers: Vec<(S::Item, Tag<S>)>,
}

/// Somebody waits until everything below this is settled.
struct Flush<S: Sink> {
    barrier: u64,
    ticket: FlushTicket<S>,
}

/// What is to be done next.
pub(crate) enum Work<S: Sink> {
    /// To give this to the sink, and then say what became of it with [`Schedule::settle`].
    Write(Batch<S>),
    /// To flush the sink, for these.
    Flush(Vec<FlushTicket<S>>),
    /// To report these as overtaken by the end of closing.
    Abandon(Batch<S>),
    /// To flush the sink for the last time, for these, and then [`Schedule::finish`].
    Finish(Vec<FlushTicket<S>>),
    /// Nothing before this time, unless something comes.
    Wait(Option<Timestamp>),
    /// Nothing ever.
    Finished,
}

/// What waits to be written. Knows neither threads nor locks nor what time it is.
pub(crate) struct Schedule<S: Sink> {
    options: WriteOptions,
    queue: VecDeque<(S::Item, Tag<S>)>,
    /// How many in the queue somebody waits for.
    awaited: usize,
    /// The delay of the batch at the front of the queue, once it has been drawn.
    jitter: Option<Duration>,
    /// Nothing more fits, and somebody may be waiting for that: what is in the queue is to make room.
    full: bool,
    /// By a number that says which came first.
    parked: BTreeMap<u64, Parked<S>>,
    /// The keys of what is parked, with the number of the one parked batch that has each.
    held: HashMap<Vec<u8>, u64>,
    flushes: Vec<Flush<S>>,
    /// Until when closing may take.
    closing: Option<Timestamp>,
    finished: bool,
    pub(crate) stats: WriterStats,
}

impl<S: Sink> Schedule<S> {
    pub(crate) fn new(options: WriteOptions) -> Self {
        Self {
            options,
            queue: VecDeque::new(),
            awaited: 0,
            jitter: None,
            full: false,
            parked: BTreeMap::new(),
            held: HashMap::new(),
            flushes: Vec::new(),
            closing: None,
            finished: false,
            stats: WriterStats::default(),
        }
    }

    /// Whether an item of this size may be taken now.
    pub(crate) fn has_room(&self, size: usize) -> bool {
        let waiting = &self.stats;
        waiting.waiting_items == 0
            || (waiting.waiting_items < self.options.max_items
                && waiting.waiting_bytes.saturating_add(size) <= self.options.max_bytes)
    }

    pub(crate) fn blocks(&self) -> bool {
        self.options.on_full == OnFull::Block
    }

    /// Takes an item. Returns whether what is to be done next may have changed.
    pub(crate) fn push(&mut self, item: S::Item, ticket: Option<WriteTicket<S>>, now: Timestamp) -> bool {
        self.stats.waiting_items += 1;
        self.stats.waiting_bytes = self.stats.waiting_bytes.saturating_add(item.size());
        let awaited = ticket.is_some();
        self.awaited += usize::from(awaited);
        self.queue.push_back((item, Tag { order: self.stats.accepted, arrived: now, ticket }));
        self.stats.accepted += 1;
        self.full |= !self.has_room(1);
        awaited || self.full || self.queue.len() == 1 || self.queue.len() == self.options.batch_size
    }

    /// There was no room for an item. Returns whether what is to be done next may have changed.
    pub(crate) fn refuse(&mut self) -> bool {
        // With nothing in the queue, room comes from what is under way or waits for its retry, and from nothing else.
        let makes_room = !self.full && !self.queue.is_empty();
        self.full |= makes_room;
        makes_room
    }

    /// Asks for a flush of everything so far.
    pub(crate) fn flush(&mut self, ticket: FlushTicket<S>) {
        self.flushes.push(Flush { barrier: self.stats.accepted, ticket });
    }

    /// Takes no more items, and ends once everything is settled, or at this time if that is earlier.
    pub(crate) fn close(&mut self, until: Timestamp) {
        self.closing = Some(self.closing.map_or(until, |closing| closing.min(until)));
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// What is to be done now. `jitter` draws the delay of a batch.
    pub(crate) fn next(
        &mut self,
        now: Timestamp,
        mut jitter: impl FnMut(&WriteOptions) -> Duration,
    ) -> Work<S> {
        if self.finished {
            return Work::Finished;
        }
        if self.closing.is_some_and(|until| until <= now) {
            let left = self.drain(now);
            if !left.items.is_empty() {
                return Work::Abandon(left);
            }
        }
        if self.closing.is_some() && self.queue.is_empty() && self.parked.is_empty() {
            return Work::Finish(self.flushes.drain(..).map(|flush| flush.ticket).collect());
        }
        let oldest = self.oldest();
        let (ready, waiting) = std::mem::take(&mut self.flushes)
            .into_iter()
            .partition::<Vec<_>, _>(|flush| oldest.is_none_or(|oldest| oldest >= flush.barrier));
        self.flushes = waiting;
        if !ready.is_empty() {
            return Work::Flush(ready.into_iter().map(|flush| flush.ticket).collect());
        }
        let retry = self.parked.values().map(|parked| parked.due).min();
        if retry.is_some_and(|due| due <= now) {
            return self.retry(now);
        }
        let batch = self.batch_due(now, &mut jitter);
        if batch.is_some_and(|due| due <= now) {
            return match self.take_batch(now) {
                Some(batch) => Work::Write(batch),
                // All of them follow what is parked.
                None => self.next(now, jitter),
            };
        }
        Work::Wait([retry, batch, self.closing].into_iter().flatten().min())
    }

    /// The lowest order of all that wait.
    fn oldest(&self) -> Option<u64> {
        let parked = self.parked.values().flat_map(|parked| {
            let first = parked.batch.tags.first().map(|tag| tag.order);
            first.into_iter().chain(parked.followers.first().map(|(_, tag)| tag.order))
        });
        self.queue.front().map(|(_, tag)| tag.order).into_iter().chain(parked).min()
    }

    /// When the batch at the front of the queue is to be sent.
    fn batch_due(
        &mut self,
        now: Timestamp,
        jitter: impl FnOnce(&WriteOptions) -> Duration,
    ) -> Option<Timestamp> {
        let (_, front) = self.queue.front()?;
        let waited_for = self.awaited > 0 || self.flushes.iter().any(|flush| front.order < flush.barrier);
        if waited_for || self.full || self.closing.is_some() {
            return Some(now);
        }
        let latest = front.arrived.saturating_add(self.options.flush_interval);
        let full = self.queue.get(self.options.batch_size - 1).map_or(latest, |(_, last)| last.arrived);
        let jitter = *self.jitter.get_or_insert_with(|| jitter(&self.options));
        Some(latest.min(full).saturating_add(jitter))
    }

    /// The next items that do not follow a parked one; the others are put behind it.
    fn take_batch(&mut self, now: Timestamp) -> Option<Batch<S>> {
        self.jitter = None;
        self.full = false;
        let count = self.queue.len().min(self.options.batch_size);
        let (mut items, mut tags) = (Vec::with_capacity(count), Vec::with_capacity(count));
        while items.len() < self.options.batch_size {
            let Some((item, tag)) = self.queue.pop_front() else { break };
            self.awaited -= usize::from(tag.ticket.is_some());
            let holder = if self.held.is_empty() { None } else { self.held.get(item.key()) };
            match holder.and_then(|number| self.parked.get_mut(number)) {
                Some(parked) => parked.followers.push((item, tag)),
                None => {
                    items.push(item);
                    tags.push(tag);
                }
            }
        }
        (!items.is_empty()).then_some(self.batch(items, tags, now))
    }

    fn batch(&self, items: Vec<S::Item>, tags: Vec<Tag<S>>, started: Timestamp) -> Batch<S> {
        Batch { items, tags, attempts: 0, retries: 0, accepted_before: self.stats.written, started }
    }

    /// The parked batch that has been due for longest.
    fn retry(&mut self, now: Timestamp) -> Work<S> {
        let longest = self.parked.iter().min_by_key(|(_, parked)| parked.due).map(|(number, _)| *number);
        let Some(Parked { batch, followers, .. }) = longest.and_then(|number| self.parked.remove(&number))
        else {
            return Work::Wait(Some(now));
        };
        for item in &batch.items {
            self.held.remove(item.key());
        }
        // Nothing is taken from the queue while the batch is under way. What is parked again holds them back again.
        self.requeue(followers);
        Work::Write(batch)
    }

    /// Puts items back to where their order says.
    fn requeue(&mut self, items: Vec<(S::Item, Tag<S>)>) {
        if items.is_empty() {
            return;
        }
        self.awaited += items.iter().filter(|(_, tag)| tag.ticket.is_some()).count();
        self.queue.extend(items);
        self.queue.make_contiguous().sort_by_key(|(_, tag)| tag.order);
    }

    /// A batch is no longer under way: items of these sizes are settled, and this is to be tried again at this time.
    pub(crate) fn settle(&mut self, items: usize, bytes: usize, again: Option<(Batch<S>, Timestamp)>) {
        self.stats.waiting_items = self.stats.waiting_items.saturating_sub(items);
        self.stats.waiting_bytes = self.stats.waiting_bytes.saturating_sub(bytes);
        if let Some((batch, due)) = again {
            let number = self.stats.retries;
            self.stats.retries += 1;
            self.held.extend(batch.items.iter().map(|item| (item.key().to_vec(), number)));
            self.parked.insert(number, Parked { batch, due, followers: Vec::new() });
        }
    }

    /// Everything that waits, in order.
    fn drain(&mut self, now: Timestamp) -> Batch<S> {
        self.held.clear();
        for Parked { batch, followers, .. } in std::mem::take(&mut self.parked).into_values() {
            self.requeue(batch.items.into_iter().zip(batch.tags).collect());
            self.requeue(followers);
        }
        self.awaited = 0;
        let (items, tags) = std::mem::take(&mut self.queue).into_iter().unzip();
        self.batch(items, tags, now)
    }

    /// Everything is settled, and nothing will come.
    ///
    /// Returns who asked for a flush in the meantime.
    pub(crate) fn finish(&mut self) -> Vec<FlushTicket<S>> {
        self.finished = true;
        self.flushes.drain(..).map(|flush| flush.ticket).collect()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }
}
