//! What a table has and has done, in figures.

use crate::payload::measures::index::IndexError;

use super::table_handle::TableCore;

/// What a table has and has done; see [`MeasureTable::stats`](super::MeasureTable::stats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TableStats {
    /// Data points in the kept version index, those included that retention has removed since it was last searched.
    pub kept_points: u64,
    /// Series in the kept version index. They stay when their data points go.
    pub kept_series: u64,
    /// Data points and series that the kept version index is yet to learn of: they are held in memory.
    pub pending: usize,
    /// Records of the stream that were read when the table was opened, because the kept version index did not know them.
    pub read_at_opening: u64,
}

impl TableCore {
    pub(super) fn stats(&self) -> Result<TableStats, IndexError> {
        let (kept_points, kept_series) = self.index.len()?;
        let ledger = self.ledger.lock();
        Ok(TableStats {
            kept_points,
            kept_series,
            pending: ledger.pending(),
            read_at_opening: ledger.read_at_opening(),
        })
    }
}
