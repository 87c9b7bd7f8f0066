//! How long a stream keeps its records.

use std::time::Duration;

use crate::error::{IoError, SyncError};
use crate::log::append::AppendError;
use crate::log::segment::Segment;
use crate::log::shard_log::ShardLog;
use crate::log::trim::TrimError;
use crate::sys::clock::Timestamp;

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

/// Removes what `retention` does not keep. Returns the bytes that went. A shard that fails does not keep the others from
/// being looked at.
pub(crate) fn retain(shards: &[Shard], retention: Retention, now: Timestamp) -> Result<u64, RetainError> {
    let mut freed = 0;
    let mut outcome = Ok(());
    if let Some(age) = retention.age {
        for shard in shards {
            match retain_age(shard, age, now) {
                Ok(bytes) => freed += bytes,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
    }
    if let Some(bytes) = retention.bytes {
        match retain_bytes(shards, bytes) {
            Ok(bytes) => freed += bytes,
            Err(error) => outcome = outcome.and(Err(error.into())),
        }
    }
    outcome.map(|()| freed)
}

fn retain_age(shard: &Shard, age: Duration, now: Timestamp) -> Result<u64, RetainError> {
    // The clock may have gone back, records' times never do.
    let (_, newest) = shard.log.tip();
    let cutoff = now.max(newest).saturating_sub(age);
    shard.log.roll_idle(cutoff)?;
    Ok(shard.log.trim_while(|segment| segment.extent().last_time < cutoff)?)
}

/// Takes the oldest segment of all shards away until the rest is small enough.
fn retain_bytes(shards: &[Shard], limit: u64) -> Result<u64, TrimError> {
    let sizes = |log: &ShardLog| -> Vec<_> {
        let segments = log.list().all();
        let sealed = segments.len().saturating_sub(1);
        segments
            .iter()
            .enumerate()
            .map(|(index, segment)| {
                let removable = index < sealed;
                (segment.extent().last_time, segment.ordinal(), segment.identity().capacity, removable)
            })
            .collect()
    };
    let mut total = 0_u64;
    let mut removable = Vec::new();
    for (index, shard) in shards.iter().enumerate() {
        for (time, ordinal, capacity, may_go) in sizes(&shard.log) {
            total = total.saturating_add(capacity);
            if may_go {
                removable.push((time, index, ordinal, capacity));
            }
        }
    }
    removable.sort_unstable();
    let mut keep_from = vec![0; shards.len()];
    for (_, index, ordinal, capacity) in removable {
        if total <= limit {
            break;
        }
        total -= capacity;
        if let Some(keep_from) = keep_from.get_mut(index) {
            *keep_from = ordinal + 1;
        }
    }
    let mut freed = 0;
    for (shard, keep_from) in shards.iter().zip(keep_from) {
        if keep_from > 0 {
            freed += shard.log.trim_while(|segment: &Segment| segment.ordinal() < keep_from)?;
        }
    }
    Ok(freed)
}
