//! An index in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Changes, IndexError, IndexStore, Latest, PointKey, SeriesId, Summary, Watermark};

/// An index in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryIndex(Arc<Mutex<Content>>);

#[derive(Debug, Clone, Default)]
struct Content {
    summary: Summary,
    series: HashMap<Box<[u8]>, SeriesId>,
    points: BTreeMap<PointKey, Latest>,
}

impl IndexStore for MemoryIndex {
    fn summary(&self) -> Result<Summary, IndexError> {
        Ok(self.0.lock().summary.clone())
    }

    fn series(&self, bytes: &[u8]) -> Result<Option<SeriesId>, IndexError> {
        Ok(self.0.lock().series.get(bytes).copied())
    }

    fn get(&self, key: PointKey) -> Result<Option<Latest>, IndexError> {
        Ok(self.0.lock().points.get(&key).copied())
    }

    fn page(
        &self,
        from: PointKey,
        to: PointKey,
        limit: usize,
    ) -> Result<Vec<(PointKey, Latest)>, IndexError> {
        if from > to {
            return Ok(Vec::new());
        }
        let content = self.0.lock();
        Ok(content.points.range(from..=to).take(limit).map(|(key, latest)| (*key, *latest)).collect())
    }

    fn commit(
        &self,
        changes: &Changes,
        removed: &[PointKey],
        watermarks: &BTreeMap<u32, Watermark>,
    ) -> Result<(), IndexError> {
        let mut content = self.0.lock();
        for (bytes, id) in &changes.series {
            content.series.insert(bytes.clone(), *id);
            content.summary.next_series = content.summary.next_series.max(SeriesId(id.0 + 1));
        }
        for key in removed {
            content.points.remove(key);
        }
        content.points.extend(changes.points.iter().map(|(key, latest)| (*key, *latest)));
        for (name, name_use) in &changes.names {
            content.summary.names.add(name, *name_use);
        }
        content.summary.watermarks.extend(watermarks);
        Ok(())
    }

    fn clear(&self) -> Result<(), IndexError> {
        *self.0.lock() = Content::default();
        Ok(())
    }
}
