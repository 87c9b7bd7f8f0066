//! Opening a table.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::payload::measures::encoding::MeasureRef;
use crate::payload::measures::index::{IndexError, KeptIndex, Latest, NameUse, PointKey, Watermark};
use crate::store::error::StreamError;
use crate::store::layout;
use crate::store::stream_handle::Stream;
use crate::stream::error::ReadError;
use crate::stream::position::Position;
use crate::stream::reader::Reader;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;

use super::checkpoint::{CheckpointError, Sweep};
use super::ledger::Ledger;
use super::options::TableOptions;
use super::read_error::ReadMeasureError;
use super::table_handle::{Claim, TableCore};

/// Why a table was not opened.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenTableError {
    /// The stream's table is open.
    #[error(
        "the table of stream {stream} is open already: clone that one, since each write must see the others' versions"
    )]
    AlreadyOpen {
        /// The stream's name.
        stream: String,
    },
    /// The store was closed or the stream deleted.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The version index could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The stream could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was read could not be kept.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

pub(super) fn open(stream: &Stream, options: TableOptions) -> Result<TableCore, OpenTableError> {
    let Some(claim) = Claim::take(stream) else {
        return Err(OpenTableError::AlreadyOpen { stream: stream.name().to_owned() });
    };
    let cache = options.index_cache;
    let (index, lock) = stream.open_beside(|storage, stream_dir| {
        let path = stream_dir.join(layout::VERSION_INDEX);
        Ok::<_, OpenTableError>(Arc::new(KeptIndex::open(storage, &path, cache)?))
    })?;
    let table = TableCore {
        stream: stream.clone(),
        options,
        ledger: Mutex::new(Ledger::new(Arc::clone(&index))?),
        index,
        sweep: Mutex::new(Sweep::default()),
        _lock: lock,
        _claim: claim,
    };
    table.catch_up()?;
    Ok(table)
}

impl TableCore {
    /// Learns what the stream has and the kept index does not know.
    fn catch_up(&self) -> Result<(), OpenTableError> {
        let mut summary = self.index.summary()?;
        let mut fits = true;
        for (shard, watermark) in &summary.watermarks {
            fits = fits && self.fits(*shard, watermark)?;
        }
        if !fits {
            self.index.clear()?;
            *self.ledger.lock() = Ledger::new(Arc::clone(&self.index))?;
            summary = self.index.summary()?;
        }
        for shard in self.stream.core().shards.snapshot().all() {
            let next = summary.watermarks.get(&shard.id.as_u32()).map_or(0, |watermark| watermark.next);
            if next < shard.log.tip().0 {
                let position = Position::AtSequenceNumber(SequenceNumber::new(next, shard.id));
                self.read_on(self.stream.reader(shard.id, position)?)?;
            }
        }
        self.ledger.lock().has_read_all();
        Ok(())
    }

    /// Whether a watermark can be of this stream: the stream goes that far, and has the record that it names.
    fn fits(&self, shard: u32, watermark: &Watermark) -> Result<bool, ReadError> {
        let id = ShardId::new(shard);
        let tip = self.stream.core().shards.look().by_id(id).map(|shard| shard.log.tip().0);
        let Some(tip) = tip else {
            return Ok(true);
        };
        if watermark.next > tip {
            return Ok(false);
        }
        let Some((counter, checksum)) = watermark.last else {
            return Ok(true);
        };
        match self.record(SequenceNumber::new(counter, id)) {
            Ok(Some(stored)) => Ok(crc32fast::hash(stored.data()) == checksum),
            // Removed by retention.
            Ok(None) => Ok(true),
            Err(ReadMeasureError::Missing { .. } | ReadMeasureError::Decode { .. }) => Ok(false),
            // Damaged: all the more reason to keep what the index knows.
            Err(ReadMeasureError::Stream(ReadError::Corrupt { .. })) => Ok(true),
            Err(ReadMeasureError::Stream(error)) => Err(error),
            // No record is looked up in the index.
            Err(ReadMeasureError::Index(_)) => Ok(true),
        }
    }

    fn read_on(&self, mut reader: Reader) -> Result<(), OpenTableError> {
        loop {
            self.relieve()?;
            match reader.next() {
                Ok(Some(record)) => {
                    let number = record.sequence_number();
                    // What is no measure is none of the table's business.
                    if let Ok(measure) = MeasureRef::decode(record.data()) {
                        self.learn(&measure, number)?;
                    }
                    self.ledger
                        .lock()
                        .has_read(number.shard_id().as_u32(), number.counter().saturating_add(1));
                }
                Ok(None) => return Ok(()),
                Err(ReadError::Corrupt { .. }) => reader.skip_damage()?,
                Err(ReadError::Trimmed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Learns of a record in the stream, unless a later version is known that is still there.
    fn learn(&self, measure: &MeasureRef<'_>, number: SequenceNumber) -> Result<(), IndexError> {
        let mut ledger = self.ledger.lock();
        let series = ledger.series(measure.series_bytes())?;
        let known = match series {
            Some(series) => ledger.get(PointKey { series, time: measure.time() })?,
            None => None,
        };
        if known.is_some_and(|known| known.version >= measure.version() && self.is_kept(known.number)) {
            return Ok(());
        }
        let dimensions = measure.dimensions().map(|dimension| (dimension.name, NameUse::Dimension));
        let values = measure.value().values().map(|(name, _)| (name, NameUse::Value));
        let names = dimensions.chain([(measure.measure_name(), NameUse::Measure)]).chain(values);
        let latest = Latest { version: measure.version(), number };
        ledger.learn(series, measure.series_bytes(), measure.time(), latest, names);
        Ok(())
    }
}
