//! How long a stream keeps its records.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{IoError, SyncError};
use crate::log::append::AppendError;
use crate::log::segment::Segment;
use crate::log::trim::TrimError;
use crate::sys::clock::Timestamp;

use super::shard_id::ShardId;
use super::shard_map::Shard;

/// How long a stream keeps its records: by their age, by the bytes of all its segments, by both, or for ever.
///
/// Retention removes whole segments, oldest first, by the engine's clock: a record goes when all of its segment may go. A
/// record that somebody still holds stays readable; a reader that was overtaken is told by
/// [`ReadError::Trimmed`](crate::ReadError::Trimmed).
///
/// ```
/// use riverbed::Retention;
/// use std::time::Duration;
///
/// let day = Retention::of_age(Duration::from_secs(24 * 3600)).and_bytes(10 << 30);
/// assert_eq!(day.age(), Some(Duration::from_secs(86_400)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    age: Option<Duration>,
    bytes: Option<u64>,
}

impl Retention {
    /// Nothing is removed.
    pub const FOREVER: Self = Self { age: None, bytes: None };

    /// Records go once they are older than this.
    pub const fn of_age(age: Duration) -> Self {
        Self { age: Some(age), bytes: None }
    }

    /// The oldest records go when the stream's segments take more bytes than this on disk. The newest segment of each
    /// shard stays whatever it takes.
    pub const fn of_bytes(bytes: u64) -> Self {
        Self { age: None, bytes: Some(bytes) }
    }

    /// As this, and older records go too.
    #[must_use]
    pub const fn and_age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// As this, and the oldest records go too when the segments take more bytes than this.
    #[must_use]
    pub const fn and_bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// The age up to which records are kept; `None` when age does not matter.
    pub const fn age(&self) -> Option<Duration> {
        self.age
    }

    /// The bytes that segments may take; `None` when they do not matter.
    pub const fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// How often to look whether something may go; `None` when nothing ever does.
    pub(crate) fn interval(&self) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(60);
        const BY_BYTES: Duration = Duration::from_secs(5);
        let by_age = self.age.map(|age| (age / 20).clamp(Duration::from_millis(100), LONGEST));
        let by_bytes = self.bytes.map(|_| BY_BYTES);
        [by_age, by_bytes].into_iter().flatten().min()
    }
}

/// Why retention could not do its work. It tries again later.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RetainError {
    #[error(transparent)]
    Sync(#[from] SyncError),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Roll(#[from] AppendError),
}

impl From<TrimError> for RetainError {
    fn from(error: TrimError) -> Self {
        match error {
            TrimError::Sync(error) => Self::Sync(error),
            TrimError::Closed => Self::Roll(AppendError::Closed),
            TrimError::Io(error) => Self::Io(error),
        }
    }
}

/// What retention has done.
#[derive(Debug)]
pub(crate) struct Retained {
    /// Closed shards of which nothing is to be kept.
    pub(crate) expired: Vec<ShardId>,
    /// The first thing that could not be done.
    pub(crate) outcome: Result<(), RetainError>,
}

impl Retained {
    fn note(&mut self, outcome: Result<(), RetainError>) {
        if self.outcome.is_ok() {
            self.outcome = outcome;
        }
    }
}

/// Removes what `retention` does not keep, and tells which shards are not kept at all. A shard that fails does not keep
/// the others from being looked at.
pub(crate) fn retain(shards: &[Arc<Shard>], retention: Retention, now: Timestamp) -> Retained {
    let mut retained = Retained { expired: Vec::new(), outcome: Ok(()) };
    if let Some(age) = retention.age {
        for shard in shards {
            retain_age(shard, age, now, &mut retained);
        }
    }
    if let Some(bytes) = retention.bytes {
        retain_bytes(shards, bytes, &mut retained);
    }
    retained
}

fn retain_age(shard: &Shard, age: Duration, now: Timestamp, retained: &mut Retained) {
    // The clock may have gone back, records' times never do.
    let (_, newest) = shard.log.tip();
    let cutoff = now.max(newest).saturating_sub(age);
    let trim = || -> Result<(), RetainError> {
        shard.log.trim_while(|segment| segment.extent().last_time < cutoff)?;
        Ok(())
    };
    // First what needs no room: on a full disk it makes that for the rest, a new segment or a manifest.
    retained.note(trim());
    if shard.lineage.ended.is_some_and(|ended| ended.at < cutoff) {
        retained.expired.push(shard.id);
        return;
    }
    match shard.log.roll_idle(cutoff) {
        Ok(true) => retained.note(trim()),
        Ok(false) => {}
        Err(error) => retained.note(Err(error.into())),
    }
}

/// Takes the oldest segment of all shards away until the rest is small enough. Those of an open shard's newest segment
/// stay; a closed shard can go as a whole.
fn retain_bytes(shards: &[Arc<Shard>], limit: u64, retained: &mut Retained) {
    let mut total = 0_u64;
    let mut removable = Vec::new();
    for (index, shard) in shards.iter().enumerate() {
        let segments = shard.log.list().all();
        let staying = usize::from(shard.is_open());
        let may_go = segments.len().saturating_sub(staying);
        for (place, segment) in segments.iter().enumerate() {
            let capacity = segment.identity().capacity;
            total = total.saturating_add(capacity);
            if place < may_go {
                let last = place + 1 == segments.len();
                removable.push((segment.extent().last_time, index, segment.ordinal(), capacity, last));
            }
        }
    }
    removable.sort_unstable();
    let mut keep_from = vec![0; shards.len()];
    for (_, index, ordinal, capacity, last) in removable {
        if total <= limit {
            break;
        }
        total -= capacity;
        match (keep_from.get_mut(index), shards.get(index)) {
            (Some(_), Some(shard)) if last => retained.expired.push(shard.id),
            (Some(keep_from), _) => *keep_from = ordinal + 1,
            _ => {}
        }
    }
    drop_empty(shards, retained);
    for (shard, keep_from) in shards.iter().zip(keep_from) {
        if keep_from > 0 {
            let trimmed = shard.log.trim_while(|segment: &Segment| segment.ordinal() < keep_from);
            retained.note(trimmed.map(drop).map_err(RetainError::from));
        }
    }
}

/// Closed shards that have nothing go too, but none before its parents: whoever reads parents before children must find the
/// way from a shard to its grandchildren.
fn drop_empty(shards: &[Arc<Shard>], retained: &mut Retained) {
    let expired: BTreeSet<_> = retained.expired.iter().copied().collect();
    let mut kept = BTreeSet::new();
    for shard in shards.iter().filter(|shard| !expired.contains(&shard.id)) {
        let is_empty = !shard.is_open() && shard.log.list().last().is_none();
        if is_empty && !shard.lineage.parents().any(|parent| kept.contains(&parent)) {
            retained.expired.push(shard.id);
        } else {
            kept.insert(shard.id);
        }
    }
}
