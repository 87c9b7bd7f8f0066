//! Which record of the stream holds the latest version of each data point.
//!
//! Derived from the stream, and kept so that opening need not read it all. What is in a kept index was durable in the
//! stream before: it is never ahead of what a power cut leaves.

mod backend;
mod changes;
mod error;
mod kept;
mod names;

use std::collections::BTreeMap;

use crate::stream::sequence_number::SequenceNumber;
use crate::sys::clock::Timestamp;

pub(crate) use changes::Changes;
pub use error::IndexError;
pub(crate) use kept::KeptIndex;
pub(crate) use names::{NameUse, Names};

/// A series, numbered in the order in which the index came to know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct SeriesId(pub(crate) u64);

impl SeriesId {
    pub(crate) fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// What tells data points apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PointKey {
    pub(crate) series: SeriesId,
    pub(crate) time: Timestamp,
}

impl PointKey {
    pub(crate) const MIN: Self = Self { series: SeriesId(0), time: Timestamp::EPOCH };
    pub(crate) const MAX: Self = Self { series: SeriesId(u64::MAX), time: Timestamp::MAX };

    /// The key behind this one.
    pub(crate) fn next(self) -> Option<Self> {
        match self.time.as_nanos().checked_add(1) {
            Some(nanos) => Some(Self { time: Timestamp::from_nanos(nanos), ..self }),
            None => Some(Self { series: self.series.next()?, time: Timestamp::EPOCH }),
        }
    }
}

/// The latest version of a data point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Latest {
    pub(crate) version: i64,
    /// The record that holds it.
    pub(crate) number: SequenceNumber,
}

/// How far an index knows a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// The first counter whose record the index may not know.
    pub(crate) next: u64,
    /// The last measure before it and a checksum of its data, to find an index that is of another stream.
    pub(crate) last: Option<(u64, u32)>,
}

/// What an index says about itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    /// By shard.
    pub(crate) watermarks: BTreeMap<u32, Watermark>,
    /// The first series id that is not used.
    pub(crate) next_series: SeriesId,
    pub(crate) names: Names,
}
