//! How far a consumer is behind.

use std::time::Duration;

use crate::stream::reader::{Reader, ReaderOptions};
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::{Shard, ShardMap};

use super::checkpoint::Checkpoint;
use super::file::Progress;

/// How far a consumer is behind in one shard, by its checkpoint there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardLag {
    /// The shard.
    pub shard_id: ShardId,
    /// How far the consumer has come.
    pub checkpoint: Checkpoint,
    /// Kept records that it has not processed. One that is a batch counts once for each of its rows.
    pub records: u64,
    /// By how much the oldest of them is older than the newest, by their arrival; zero when there is none, and `None` when
    /// it cannot be read. Kinesis's `MillisBehindLatest`.
    pub behind: Option<Duration>,
    /// Whether a worker has the shard at present. Not known of a [`ReadOnlyStream`](crate::ReadOnlyStream), and `false` there.
    pub held: bool,
}

/// The shards of a stream that a consumer has not finished, in the order of their ids.
pub(crate) fn of(shards: &ShardMap, progress: &Progress, is_held: impl Fn(ShardId) -> bool) -> Vec<ShardLag> {
    let unfinished = shards.all().iter().filter(|shard| !progress.is_finished(shard.id));
    unfinished.map(|shard| shard_lag(shard, progress.of(shard.id), is_held(shard.id))).collect()
}

fn shard_lag(shard: &Shard, checkpoint: Checkpoint, held: bool) -> ShardLag {
    let (next, newest) = shard.log.tip();
    let position = checkpoint.position(shard.id, next);
    // Whoever polls it checks the whole record.
    let options = ReaderOptions::new().verify(false);
    let first = Reader::new(shard, position, options).and_then(|mut reader| {
        let first = reader.next()?;
        Ok(first.map(|record| (record.sequence_number().counter(), record.arrival_time())))
    });
    let from = match &first {
        Ok(Some((counter, _))) => *counter,
        Ok(None) => next,
        Err(_) => checkpoint.next().unwrap_or(0),
    };
    let segments = shard.log.list().all();
    let records =
        segments.iter().map(|segment| segment.extent().next.saturating_sub(segment.base().max(from)));
    ShardLag {
        shard_id: shard.id,
        checkpoint,
        records: records.sum(),
        behind: first.ok().map(|first| first.map_or(Duration::ZERO, |(_, time)| newest.since(time))),
        held,
    }
}
