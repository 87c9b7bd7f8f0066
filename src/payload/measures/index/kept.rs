//! The version index in its file, an embedded B-tree.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableError};

use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;
use crate::sys::storage::{Access, Storage, StorageFile, remove_if_there};

use super::backend::IndexFile;
use super::{Changes, IndexError, Latest, NameUse, PointKey, SeriesId, Summary, Watermark};

/// What the tables below hold, in its present form. An index of another form is made anew.
const FORMAT: u64 = 1;

/// Series id and time, big-endian so that their order is that of the keys, to version, shard and counter.
const POINTS: TableDefinition<'_, [u8; 16], [u8; 20]> = TableDefinition::new("points");
/// A series' bytes to its id.
const SERIES: TableDefinition<'_, &[u8], u64> = TableDefinition::new("series");
/// A name to the bits of its uses.
const NAMES: TableDefinition<'_, &str, u8> = TableDefinition::new("names");
/// A shard to its watermark.
const SHARDS: TableDefinition<'_, u32, (u64, Option<(u64, u32)>)> = TableDefinition::new("shards");
/// `format` and `next_series`.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");

/// A version index in a file. Every call sees all changes that were committed before.
///
/// After a failed call, that of a full disk say, the file is opened again by the next one: what was committed is there. Not
/// so after a failed sync, since what the file reads as may then never be on disk: the file is removed, every further call
/// fails, and whoever opens the index next makes it anew.
#[derive(Debug)]
pub(crate) struct KeptIndex {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    cache: usize,
    /// `None` from a failed call to the next one.
    database: RwLock<Option<Database>>,
    sync_failed: Arc<AtomicBool>,
}

impl KeptIndex {
    /// Opens the index in the file `path`, or makes an empty one: when there is none, and when what is there cannot be used.
    /// Up to `cache` bytes of it are held in memory.
    pub(crate) fn open(storage: &Arc<dyn Storage>, path: &Path, cache: usize) -> Result<Self, IndexError> {
        let index = Self {
            storage: Arc::clone(storage),
            path: path.to_owned(),
            cache,
            database: RwLock::new(None),
            sync_failed: Arc::default(),
        };
        if index.about("format").is_ok_and(|format| format == Some(FORMAT)) {
            return Ok(index);
        }
        // Closed before it goes.
        *index.database.write() = None;
        index.remove()?;
        index.sync_failed.store(false, Ordering::Release);
        let file = storage.create_file(path).map_err(|error| failed("create", path)(error.into()))?;
        *index.database.write() = Some(index.database_in(file)?);
        index.clear()?;
        Ok(index)
    }

    fn remove(&self) -> Result<(), IndexError> {
        remove_if_there(&*self.storage, &self.path)
            .map_err(|error| failed("remove", &self.path)(error.into()))
    }

    fn database_in(&self, file: Arc<dyn StorageFile>) -> Result<Database, IndexError> {
        let file = IndexFile { file, sync_failed: Arc::clone(&self.sync_failed) };
        redb::Builder::new()
            .set_cache_size(self.cache)
            .create_with_backend(file)
            .map_err(|error| failed("open", &self.path)(error.into()))
    }

    /// Opens the file, again after a failure.
    fn ensure_open(&self) -> Result<(), IndexError> {
        if self.sync_failed.load(Ordering::Acquire) {
            self.remove()?;
            let error = io::Error::other("a sync of it has failed: drop the table and open it again");
            return Err(failed("use", &self.path)(error.into()));
        }
        let mut database = self.database.write();
        if database.is_none() {
            let file = self.storage.open_file(&self.path, Access::Write);
            let file = file.map_err(|error| failed("open", &self.path)(error.into()))?;
            *database = Some(self.database_in(file)?);
        }
        Ok(())
    }

    /// Does something with the database, and closes it when that fails: it may not take any further call.
    fn with<T>(
        &self,
        action: &'static str,
        run: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, IndexError> {
        let mut open = self.database.read();
        if open.is_none() {
            drop(open);
            self.ensure_open()?;
            open = self.database.read();
        }
        // Another call may have failed meanwhile.
        let outcome = open.as_ref().map_or(Err(redb::Error::PreviousIo), run);
        drop(open);
        outcome.map_err(|error| {
            *self.database.write() = None;
            // Else what it reads as could be believed. Each further call tries again.
            let removed = if self.sync_failed.load(Ordering::Acquire) { self.remove() } else { Ok(()) };
            removed.err().unwrap_or_else(|| failed(action, &self.path)(error))
        })
    }
    fn about(&self, what: &str) -> Result<Option<u64>, IndexError> {
        self.read(|reading| match reading.open_table(ABOUT) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            table => Ok(table?.get(what)?.map(|value| value.value())),
        })
    }

    /// What the index says about itself.
    pub(crate) fn summary(&self) -> Result<Summary, IndexError> {
        let next_series = SeriesId(self.about("next_series")?.unwrap_or(0));
        self.read(|reading| {
            let mut summary = Summary { next_series, ..Summary::default() };
            for entry in reading.open_table(NAMES)?.iter()? {
                let (name, uses) = entry?;
                for name_use in NameUse::ALL.into_iter().filter(|one| uses.value() & one.bit() != 0) {
                    summary.names.add(name.value(), name_use);
                }
            }
            for entry in reading.open_table(SHARDS)?.iter()? {
                let (shard, watermark) = entry?;
                let (next, last) = watermark.value();
                summary.watermarks.insert(shard.value(), Watermark { next, last });
            }
            Ok(summary)
        })
    }

    /// How many points and how many series it has.
    pub(crate) fn len(&self) -> Result<(u64, u64), IndexError> {
        self.read(|reading| Ok((reading.open_table(POINTS)?.len()?, reading.open_table(SERIES)?.len()?)))
    }

    pub(crate) fn series(&self, bytes: &[u8]) -> Result<Option<SeriesId>, IndexError> {
        self.read(|reading| {
            let id = reading.open_table(SERIES)?.get(bytes)?;
            Ok(id.map(|id| SeriesId(id.value())))
        })
    }

    pub(crate) fn get(&self, key: PointKey) -> Result<Option<Latest>, IndexError> {
        self.read(|reading| {
            let latest = reading.open_table(POINTS)?.get(key_bytes(key))?;
            Ok(latest.map(|latest| latest_of(latest.value())))
        })
    }

    /// The first points from `from` up to and including `to`, at most `limit`, in order.
    pub(crate) fn page(
        &self,
        from: PointKey,
        to: PointKey,
        limit: usize,
    ) -> Result<Vec<(PointKey, Latest)>, IndexError> {
        self.read(|reading| {
            let table = reading.open_table(POINTS)?;
            let mut page = Vec::new();
            for entry in table.range(key_bytes(from)..=key_bytes(to))?.take(limit) {
                let (key, latest) = entry?;
                page.push((key_of(key.value()), latest_of(latest.value())));
            }
            Ok(page)
        })
    }

    /// Learns the changes and forgets the points that are removed: all of it, or nothing, durably.
    pub(crate) fn commit(
        &self,
        changes: &Changes,
        removed: &[PointKey],
        watermarks: &BTreeMap<u32, Watermark>,
    ) -> Result<(), IndexError> {
        self.write(|writing| {
            let mut points = writing.open_table(POINTS)?;
            for (key, latest) in &changes.points {
                points.insert(key_bytes(*key), latest_bytes(*latest))?;
            }
            for key in removed {
                points.remove(key_bytes(*key))?;
            }
            let mut series = writing.open_table(SERIES)?;
            let mut about = writing.open_table(ABOUT)?;
            for (bytes, id) in &changes.series {
                series.insert(&**bytes, id.0)?;
            }
            if let Some(next) = changes.series.values().max().and_then(|id| id.next()) {
                about.insert("next_series", next.0)?;
            }
            let mut names = writing.open_table(NAMES)?;
            for (name, name_use) in &changes.names {
                let uses = names.get(&**name)?.map_or(0, |uses| uses.value());
                names.insert(&**name, uses | name_use.bit())?;
            }
            let mut shards = writing.open_table(SHARDS)?;
            for (shard, watermark) in watermarks {
                shards.insert(shard, (watermark.next, watermark.last))?;
            }
            Ok(())
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) -> Result<(), IndexError> {
        self.write(|writing| {
            writing.delete_table(POINTS)?;
            writing.delete_table(SERIES)?;
            writing.delete_table(NAMES)?;
            writing.delete_table(SHARDS)?;
            writing.delete_table(ABOUT)?;
            // Reading needs them to be there.
            writing.open_table(POINTS)?;
            writing.open_table(SERIES)?;
            writing.open_table(NAMES)?;
            writing.open_table(SHARDS)?;
            writing.open_table(ABOUT)?.insert("format", FORMAT)?;
            Ok(())
        })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, IndexError> {
        self.with("read", |database| read(&database.begin_read()?))
    }

    fn write(
        &self,
        write: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), IndexError> {
        self.with("write", |database| {
            let mut writing = database.begin_write()?;
            // Opening after a crash need not walk through the tree then.
            writing.set_quick_repair(true);
            write(&writing)?;
            Ok(writing.commit()?)
        })
    }
}

fn failed<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(redb::Error) -> IndexError + 'p {
    move |source| IndexError { action, path: path.to_owned(), source: Arc::new(source) }
}

fn key_bytes(key: PointKey) -> [u8; 16] {
    (u128::from(key.series.0) << 64 | u128::from(key.time.as_nanos())).to_be_bytes()
}

fn key_of(bytes: [u8; 16]) -> PointKey {
    let [a, b, c, d, e, f, g, h, time @ ..] = bytes;
    PointKey {
        series: SeriesId(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        time: Timestamp::from_nanos(u64::from_be_bytes(time)),
    }
}

fn latest_bytes(latest: Latest) -> [u8; 20] {
    let mut bytes = [0; 20];
    let parts = latest
        .version
        .to_le_bytes()
        .into_iter()
        .chain(latest.number.shard_id().as_u32().to_le_bytes())
        .chain(latest.number.counter().to_le_bytes());
    for (byte, part) in bytes.iter_mut().zip(parts) {
        *byte = part;
    }
    bytes
}

fn latest_of(bytes: [u8; 20]) -> Latest {
    let [a, b, c, d, e, f, g, h, shard0, shard1, shard2, shard3, counter @ ..] = bytes;
    let shard = u32::from_le_bytes([shard0, shard1, shard2, shard3]);
    Latest {
        version: i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        number: SequenceNumber::new(u64::from_le_bytes(counter), ShardId::new(shard)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_points_come_back() {
        let key = |series, nanos| PointKey { series: SeriesId(series), time: Timestamp::from_nanos(nanos) };
        let keys =
            [key(0, 0), key(0, 255), key(0, 256), key(0, u64::MAX), key(1, 0), key(256, 3), PointKey::MAX];
        for key in keys {
            assert_eq!(key_of(key_bytes(key)), key);
        }
        assert!(keys.windows(2).all(|pair| key_bytes(pair[0]) < key_bytes(pair[1])));
        let number = SequenceNumber::new(u64::MAX - 1, ShardId::new(u32::MAX - 2));
        let latest = Latest { version: i64::MAX, number };
        assert_eq!(latest_of(latest_bytes(latest)), latest);
    }
}
