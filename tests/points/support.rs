//! What several of these tests need.

use riverbed::point::{Point, PointDecoder};
use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    Maintenance, Position, ReaderOptions, ShardId, Store, StoreOptions, Stream, StreamOptions, Timestamp,
};

/// 2022-07-13T16:17:43.123456789Z.
pub(crate) const NOW: Timestamp = Timestamp::from_nanos(1_657_729_063_123_456_789);

pub(crate) fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).clock(ManualClock::new(NOW)).maintenance(Maintenance::Manual)
}

/// A new stream of four shards, in memory.
pub(crate) fn stream() -> Stream {
    let store = options(&Disk::new()).open("data").unwrap();
    store.create_stream("metrics", StreamOptions::new().shards(4)).unwrap()
}

/// A record, copied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) shard_id: ShardId,
    pub(crate) key: String,
    pub(crate) line: Vec<u8>,
}

impl Stored {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.line).unwrap()
    }
}

/// All records of a stream, shard by shard.
pub(crate) fn stored(stream: &Stream) -> Vec<Stored> {
    let mut all = Vec::new();
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            let key = record.partition_key().unwrap().to_owned();
            all.push(Stored { shard_id: shard.id, key, line: record.data().to_vec() });
        }
    }
    all
}

/// The lines of all records of a stream, sorted.
pub(crate) fn sorted_lines(stream: &Stream) -> Vec<String> {
    let mut lines: Vec<_> = stored(stream).iter().map(|stored| stored.text().to_owned()).collect();
    lines.sort();
    lines
}

/// All points of a stream, by arrival.
pub(crate) fn points(stream: &Stream) -> Vec<Point> {
    let mut reader = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    let mut decoder = PointDecoder::new();
    let mut points = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        points.push(decoder.decode(&record).unwrap().point().to_point().unwrap());
    }
    points
}
