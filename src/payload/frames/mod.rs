//! Data frames in streams, after the streaming backend of v3io Frames.
//!
//! A [`Client`] over a store has the backend's operations: create, write, read, put (the backend's `execute`) and delete. A table
//! is a stream, a frame is an Arrow record batch, and columns keep their types and nulls: a table can be read and written
//! through [`columns`](crate::columns) as well.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let store = riverbed::Store::open(directory.path().join("data"))?;
//! use arrow_array::record_batch;
//! use riverbed::ShardId;
//! use riverbed::frames::{Client, CreateOptions, Seek};
//!
//! let client = Client::new(&store);
//! client.create("/taxi_streams/rides", &CreateOptions::new().retention_hours(48))?;
//! let rides = record_batch!(("driver_id", Int32, [24, 24, 1]), ("total_km", Float64, [332.0, 260.0, 125.0]))?;
//! let written = client.write("/taxi_streams/rides", &rides, 0)?;
//! assert_eq!(written.rows, 3);
//!
//! for frame in client.read("/taxi_streams/rides", Seek::Earliest, ShardId::new(0), 1024)? {
//!     let frame = frame?;
//!     assert_eq!(frame.index(), ["seq_number"]);
//!     assert_eq!(frame.rows().project(&[1, 2])?, rides);
//!     assert!(frame.rows().column_by_name("stream_time").is_some());
//! }
//! client.delete("/taxi_streams/rides")?;
//! # Ok(())
//! # }
//! ```

mod create;
mod frame;
mod original;
mod put;
mod read;
mod seek;
mod table;
mod write;

use std::sync::Arc;

use crate::log::durability::Durability;
use crate::payload::columns::{Columns, Evolution};
use crate::store::handle::Store;
use crate::store::stream_handle::Stream;
use crate::stream::hash_key::HashKey;
use crate::sys::sync::{AtomicUsize, Ordering};

pub use create::{CreateOptions, CreateTableError, IfExists};
pub use frame::{Frame, FrameError};
pub use put::{PutArgs, PutRecordError};
pub use read::{FrameReader, ReadFramesError};
pub use seek::Seek;
pub use table::TableError;
pub use write::{AsFrame, IntoFrames, Many, One, WriteFramesError, Written};

/// The partition key of what is put without one: an explicit hash key chooses the shard.
const NO_KEY: &str = "-";

/// The operations of Frames' streaming backend on the streams of a store.
///
/// Clones take turns with each other among the shards.
#[derive(Debug, Clone)]
pub struct Client {
    store: Store,
    durability: Option<Durability>,
    original_types: bool,
    turn: Arc<AtomicUsize>,
}

impl Client {
    /// A client of this store, with exact types.
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), durability: None, original_types: false, turn: Arc::default() }
    }

    /// What writes and puts through this client promise, instead of the stream's default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Whether to make of columns what the original makes of them; off by default.
    ///
    /// Writing then replaces what is null or not a number by 0, false, the empty text or the beginning of 1970, and refuses types
    /// other than numbers, text, timestamps and booleans. Reading then gives numbers as `Float64`, timestamps as text, after
    /// RFC 3339 in UTC, and numbers of rows as `Int64`; a record of bytes that is a JSON object of numbers, texts and booleans
    /// becomes a row of its members, another one text.
    #[must_use]
    pub fn original_types(mut self, on: bool) -> Self {
        self.original_types = on;
        self
    }

    /// The stream of a table.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub fn stream(&self, table: &str) -> Result<Stream, TableError> {
        table::open(&self.store, table)
    }

    /// The stream as a place for columns, of any schema: tables have none.
    fn columns(&self, stream: &Stream) -> Columns {
        let columns = stream.columns().evolution(Evolution::Any);
        match self.durability {
            Some(durability) => columns.durability(durability),
            None => columns,
        }
    }

    /// A hash key of the shard whose turn it is.
    fn hash_key_in_turn(&self, stream: &Stream) -> Option<HashKey> {
        let shards = stream.shards();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let shard = shards.get(turn.checked_rem(shards.len())?)?;
        Some(shard.range.start)
    }
}
