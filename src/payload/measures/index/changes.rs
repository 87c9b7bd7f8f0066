//! What an index is yet to learn.

use std::collections::{BTreeMap, HashMap};

use super::{Latest, NameUse, PointKey, SeriesId};

/// What an index is yet to learn, committed together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    pub(crate) series: HashMap<Box<[u8]>, SeriesId>,
    pub(crate) points: BTreeMap<PointKey, Latest>,
    pub(crate) names: Vec<(Box<str>, NameUse)>,
}

impl Changes {
    /// How many there are to be kept in memory.
    pub(crate) fn len(&self) -> usize {
        self.points.len() + self.series.len()
    }
}
