//! How to consume.

use std::time::Duration;

use crate::log::durability::{Durability, ReadLevel};
use crate::stream::position::Position;
use crate::stream::reader::ReaderOptions;

/// How a worker of a consumer reads and makes its checkpoints.
///
/// ```
/// use riverbed::{ConsumerOptions, Durability, Position};
///
/// let options = ConsumerOptions::new().start(Position::Latest).durability(Durability::Immediate);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ConsumerOptions {
    pub(crate) start: Position,
    pub(crate) create: bool,
    pub(crate) durability: Durability,
    pub(crate) handover: Duration,
    pub(crate) reader: ReaderOptions,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            start: Position::TrimHorizon,
            create: true,
            durability: Durability::default(),
            handover: Duration::from_secs(30),
            reader: ReaderOptions::new(),
        }
    }
}

impl ConsumerOptions {
    /// A consumer that begins at the oldest records, whose checkpoints are synced within a second, and whose workers have
    /// thirty seconds to hand a shard over.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where a consumer that does not exist yet begins: [`TrimHorizon`](Position::TrimHorizon), which is the default,
    /// [`Latest`](Position::Latest) or a time. Shards that come of resharding later are read from their beginning in any
    /// case. One that exists goes on where it is.
    #[must_use]
    pub fn start(mut self, position: Position) -> Self {
        self.start = position;
        self
    }

    /// Whether to create the consumer if it does not exist. On by default.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// What is promised of this worker's checkpoints once they return. Like records, they survive the death of the process
    /// in any case; a power cut can set a consumer back to an earlier checkpoint unless they are
    /// [`Immediate`](Durability::Immediate). Default: [`Periodic`](Durability::Periodic), one second.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long this worker may keep a shard that another worker is to have, and of which it has polled records that it has
    /// not checkpointed yet. It gets no new ones of that shard meanwhile. After that the shard goes to the other worker,
    /// which polls those records too, and checkpoints of this one fail with
    /// [`LeaseLost`](crate::CheckpointError::LeaseLost). Default: 30 seconds. Zero hands over at once.
    #[must_use]
    pub fn handover(mut self, timeout: Duration) -> Self {
        self.handover = timeout;
        self
    }

    /// Which records to read. Default: [`ReadLevel::Appended`], every record that has been put. With
    /// [`ReadLevel::Durable`] only what is on disk, so that nothing is processed that a power cut then takes.
    #[must_use]
    pub fn level(mut self, level: ReadLevel) -> Self {
        self.reader = self.reader.level(level);
        self
    }

    /// Whether to check every record's checksums. On by default.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.reader = self.reader.verify(verify);
        self
    }
}
