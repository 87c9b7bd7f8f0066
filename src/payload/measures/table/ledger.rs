//! What a table knows: the kept index, and what it is yet to learn.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::payload::measures::index::{
    Changes, IndexError, KeptIndex, Latest, NameUse, Names, PointKey, SeriesId,
};

use crate::sys::clock::Timestamp;

/// How many series to remember the ids of, besides those that are yet to be kept.
const CACHED_SERIES: usize = 65_536;

/// The kept index with what has changed since, newest first: pending, being committed, kept.
#[derive(Debug)]
pub(super) struct Ledger {
    index: Arc<KeptIndex>,
    pending: Changes,
    committing: Option<Arc<Changes>>,
    names: Names,
    next_series: SeriesId,
    cache: HashMap<Box<[u8]>, SeriesId>,
    /// While the table is being opened: up to which counter each shard has been read.
    reading: Option<BTreeMap<u32, u64>>,
    read_at_opening: u64,
    /// The last measure of each shard, by its counter.
    last: BTreeMap<u32, u64>,
}

impl Ledger {
    pub(super) fn new(index: Arc<KeptIndex>) -> Result<Self, IndexError> {
        let summary = index.summary()?;
        Ok(Self {
            index,
            pending: Changes::default(),
            committing: None,
            names: summary.names,
            next_series: summary.next_series,
            reading: Some(
                summary.watermarks.iter().map(|(shard, watermark)| (*shard, watermark.next)).collect(),
            ),
            cache: HashMap::new(),
            read_at_opening: 0,
            last: summary
                .watermarks
                .iter()
                .filter_map(|(shard, watermark)| Some((*shard, watermark.last?.0)))
                .collect(),
        })
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// How many records were read while opening.
    pub(super) fn read_at_opening(&self) -> u64 {
        self.read_at_opening
    }

    /// How many changes are yet to be kept.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Notes that a record was read while opening, and its shard so up to this counter.
    pub(super) fn has_read(&mut self, shard: u32, next: u64) {
        self.read_at_opening += 1;
        if let Some(reading) = &mut self.reading {
            reading.insert(shard, next);
        }
    }

    /// Notes that all shards have been read: from now on every measure that is appended is learnt of.
    pub(super) fn has_read_all(&mut self) {
        self.reading = None;
    }

    /// Whether all shards have been read.
    pub(super) fn is_complete(&self) -> bool {
        self.reading.is_none()
    }

    /// Up to which counter all measures of a shard are known, whose next counter is `tip`.
    pub(super) fn known_up_to(&self, shard: u32, tip: u64) -> u64 {
        match &self.reading {
            None => tip,
            Some(reading) => reading.get(&shard).copied().unwrap_or(0),
        }
    }

    /// The last measure of each shard that the ledger knows, by its counter.
    pub(super) fn last(&self) -> &BTreeMap<u32, u64> {
        &self.last
    }

    fn layers(&self) -> impl Iterator<Item = &Changes> {
        [&self.pending].into_iter().chain(self.committing.as_deref())
    }

    /// The id of a series, if any data point of it was ever stored.
    pub(super) fn series(&mut self, bytes: &[u8]) -> Result<Option<SeriesId>, IndexError> {
        let layers = self.layers().find_map(|changes| changes.series.get(bytes)).copied();
        if let Some(id) = layers.or_else(|| self.cache.get(bytes).copied()) {
            return Ok(Some(id));
        }
        let found = self.index.series(bytes)?;
        if let Some(id) = found {
            if self.cache.len() >= CACHED_SERIES {
                self.cache.clear();
            }
            self.cache.insert(bytes.into(), id);
        }
        Ok(found)
    }

    /// The latest version of a data point.
    pub(super) fn get(&self, key: PointKey) -> Result<Option<Latest>, IndexError> {
        match self.layers().find_map(|changes| changes.points.get(&key)) {
            Some(latest) => Ok(Some(*latest)),
            None => self.index.get(key),
        }
    }

    /// The first data points from `from` up to and including `to`, at most `limit`, in order.
    pub(super) fn page(
        &self,
        from: PointKey,
        to: PointKey,
        limit: usize,
    ) -> Result<Vec<(PointKey, Latest)>, IndexError> {
        if from > to {
            return Ok(Vec::new());
        }
        // Of each layer the first ones are enough; what newer layers say goes over the rest.
        let mut page: BTreeMap<_, _> = self.index.page(from, to, limit)?.into_iter().collect();
        let layers: Vec<_> = self.layers().collect();
        for changes in layers.into_iter().rev() {
            page.extend(changes.points.range(from..=to).take(limit).map(|(key, latest)| (*key, *latest)));
        }
        Ok(page.into_iter().take(limit).collect())
    }

    /// Learns that a record is in the stream and holds the latest version of its data point. `series` is the id that
    /// [`series`](Self::series) gave for these bytes.
    pub(super) fn learn<'n>(
        &mut self,
        series: Option<SeriesId>,
        bytes: &[u8],
        time: Timestamp,
        latest: Latest,
        names: impl IntoIterator<Item = (&'n str, NameUse)>,
    ) {
        let series = series.unwrap_or_else(|| {
            let id = self.next_series;
            self.next_series = SeriesId(id.0 + 1);
            self.pending.series.insert(bytes.into(), id);
            id
        });
        self.pending.points.insert(PointKey { series, time }, latest);
        for (name, name_use) in names {
            if self.names.add(name, name_use) {
                self.pending.names.push((name.into(), name_use));
            }
        }
        let shard = latest.number.shard_id().as_u32();
        let last = self.last.entry(shard).or_default();
        *last = (*last).max(latest.number.counter());
    }

    /// Takes the changes to commit; until [`committed`](Self::committed) says how it went they are found as before.
    pub(super) fn begin_commit(&mut self) -> Arc<Changes> {
        let changes = Arc::new(std::mem::take(&mut self.pending));
        self.committing = Some(Arc::clone(&changes));
        changes
    }

    /// Ends a commit. What was not kept is pending again.
    pub(super) fn committed(&mut self, changes: Arc<Changes>, kept: bool) {
        self.committing = None;
        if kept {
            return;
        }
        // Nobody else holds them now, so that nothing is copied.
        let mut changes = Arc::unwrap_or_clone(changes);
        let newer = std::mem::take(&mut self.pending);
        changes.series.extend(newer.series);
        changes.points.extend(newer.points);
        changes.names.extend(newer.names);
        self.pending = changes;
    }
}
