//! Reading all shards of a stream in the order of arrival.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use crate::log::watchers::Watch;
use crate::sys::clock::{Clock, Timestamp};

use super::error::ReadError;
use super::live_shards::LiveShards;
use super::position::Position;
use super::reader::{Reader, ReaderOptions};
use super::record::Record;
use super::shard_map::{Shard, ShardMap};
use super::watch::thread_waker;

/// Reads all shards of a stream as one, by arrival time, those too that resharding makes of them later; records of the same time come in the order of their shards. Within
/// a shard the order is always the shard's own.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// use riverbed::{Position, ReaderOptions, StreamOptions};
///
/// let clicks = store.create_stream("clicks", StreamOptions::new().shards(4))?;
/// for key in ["ann", "bob", "cem"] {
///     clicks.put(key, b"hello")?;
/// }
/// let mut all = clicks.merged_reader(Position::TrimHorizon, ReaderOptions::new())?;
/// let mut keys = Vec::new();
/// while let Some(record) = all.next()? {
///     keys.push(record.partition_key()?.to_owned());
/// }
/// assert_eq!(keys, ["ann", "bob", "cem"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MergedReader {
    shards: Arc<LiveShards>,
    /// The shards that were looked at last.
    known: Arc<ShardMap>,
    options: ReaderOptions,
    /// A reader for each shard, parents before children; `None` once it has come to the shard's end.
    readers: Vec<Option<Reader>>,
    /// The next record of each reader that has one: time, then reader.
    heads: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The reader whose record was handed out last: it is asked again at the next call.
    last: Option<usize>,
    /// The other readers: they had nothing when they were last asked.
    idle: Vec<usize>,
    /// When the idle ones were last asked. What they have got since cannot have arrived before.
    asked: Timestamp,
    clock: Arc<dyn Clock>,
}

impl MergedReader {
    pub(crate) fn new(
        shards: &Arc<LiveShards>,
        clock: Arc<dyn Clock>,
        position: Position,
        options: ReaderOptions,
    ) -> Result<Self, ReadError> {
        if matches!(position, Position::AtSequenceNumber(_) | Position::AfterSequenceNumber(_)) {
            return Err(ReadError::PositionOfOneShard);
        }
        let known = shards.snapshot();
        let wanted = |shard: &&Arc<Shard>| position != Position::Latest || shard.is_open();
        let readers: Vec<_> = known
            .all()
            .iter()
            .filter(wanted)
            .map(|shard| Reader::new(shard, position, options).map(Some))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            shards: Arc::clone(shards),
            known,
            options,
            idle: (0..readers.len()).collect(),
            readers,
            heads: BinaryHeap::new(),
            last: None,
            asked: Timestamp::EPOCH,
            clock,
        })
    }

    /// The next record of all shards, borrowed from the mapping. `None` when there is none now.
    ///
    /// # Errors
    ///
    /// As for [`Reader::next`]; the other shards can be read on with [`Stream::reader`](crate::Stream::reader), or
    /// all of them after [`skip_damage`](Self::skip_damage).
    #[expect(
        clippy::should_implement_trait,
        reason = "a record borrows from the reader, which `Iterator` cannot say"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        if let Some(last) = self.last.take() {
            self.ask(last)?;
        }
        if self.heads.peek().is_none_or(|Reverse((time, _))| *time >= self.asked) {
            self.ask_idle()?;
        }
        let Some(Reverse((_, index))) = self.heads.pop() else {
            return Ok(None);
        };
        self.last = Some(index);
        match self.readers.get_mut(index) {
            Some(Some(reader)) => reader.next(),
            _ => Ok(None),
        }
    }

    /// Sleeps until there is something to read in any shard, at most for `timeout`. Returns whether there is. Otherwise as
    /// [`Reader::wait`].
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next), and [`ReadError::Sync`] when there will be nothing more because a sync has failed.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, ReadError> {
        // A timeout too long to be a point in time is no timeout.
        let deadline = Instant::now().checked_add(timeout);
        let waker = thread_waker();
        loop {
            let watch = self.watch(&waker);
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !matches!(watch, Ok(Watch::Watching)) || left == Some(Duration::ZERO) {
                self.unwatch(&waker);
                return watch.map(|watch| watch == Watch::Ready);
            }
            match left {
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }

    /// As [`wait`](Self::wait), but returns at once; `waker` is woken once there may be more.
    pub(crate) fn watch(&mut self, waker: &Waker) -> Result<Watch, ReadError> {
        if let Some(last) = self.last.take() {
            self.ask(last)?;
        }
        self.ask_idle()?;
        if !self.heads.is_empty() {
            return Ok(Watch::Ready);
        }
        let mut all = Watch::Over;
        for reader in self.readers.iter_mut().flatten() {
            match reader.watch(waker)? {
                // A shard that has come to its end has children, which are to be looked for.
                Watch::Over if !reader.is_at_end() => {}
                Watch::Ready | Watch::Over => return Ok(Watch::Ready),
                Watch::Watching => all = Watch::Watching,
            }
        }
        Ok(all)
    }

    /// Has `waker` not woken any more.
    pub(crate) fn unwatch(&self, waker: &Waker) {
        self.readers.iter().flatten().for_each(|reader| reader.unwatch(waker));
    }

    /// Goes on behind damage in every shard that has come to some; see [`Reader::skip_damage`].
    ///
    /// # Errors
    ///
    /// As for [`Reader::skip_damage`].
    pub fn skip_damage(&mut self) -> Result<(), ReadError> {
        self.idle = (0..self.readers.len()).collect();
        self.heads.clear();
        self.last = None;
        self.asked = Timestamp::EPOCH;
        self.readers.iter_mut().flatten().try_for_each(Reader::skip_damage)
    }

    /// Puts a reader where it belongs: among the heads, or the idle ones, or away when it is at its shard's end.
    fn ask(&mut self, index: usize) -> Result<(), ReadError> {
        let Some(place) = self.readers.get_mut(index) else {
            return Ok(());
        };
        let Some(reader) = place else {
            return Ok(());
        };
        match reader.peek() {
            Ok(Some(ahead)) => self.heads.push(Reverse((ahead.time, index))),
            Ok(None) if reader.is_at_end() => *place = None,
            Ok(None) => self.idle.push(index),
            Err(error) => {
                self.idle.push(index);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Adds readers for the shards that others were split or merged into. By arrival, their records come after those of
    /// their parents.
    fn follow_resharding(&mut self) -> Result<(), ReadError> {
        // Where another process reshards, a look at one shard shows what has become of all.
        if let Some(reader) = self.readers.iter().flatten().next() {
            reader.catch_up()?;
        }
        let map = self.shards.look();
        if Arc::ptr_eq(&map, &self.known) {
            return Ok(());
        }
        let last_known = self.known.all().last().map(|shard| shard.id);
        let new = map.all().iter().filter(|shard| Some(shard.id) > last_known);
        let readers: Vec<_> = new
            .map(|shard| Reader::new(shard, Position::TrimHorizon, self.options).map(Some))
            .collect::<Result<_, _>>()?;
        self.idle.extend((self.readers.len()..).take(readers.len()));
        self.readers.extend(readers);
        self.known = Arc::clone(&map);
        Ok(())
    }

    fn ask_idle(&mut self) -> Result<(), ReadError> {
        let asked = self.clock.now();
        // In this order: a record of a shard that is not known yet arrives later.
        self.follow_resharding()?;
        let idle = std::mem::take(&mut self.idle);
        let mut outcome = Ok(());
        for index in idle {
            // One that fails stays idle, and fails again when it is asked again; the others are asked all the same.
            let asked = self.ask(index);
            outcome = outcome.and(asked);
        }
        self.asked = asked;
        outcome
    }
}
