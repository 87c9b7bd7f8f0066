//! Points of many threads on a real file system that somebody else fills and empties, in a stream with limits.
//!
//! Guards against a point that is lost, there twice or out of order after the writer's thread has met `StorageFull` and
//! `ThroughputExceeded` in the same batches, and against a signal where the real disk has no room.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use riverbed::line_protocol::{Dialect, FieldValueRef};
use riverbed::point::{Point, PointDecoder, PointEncoder, PointOptions, PointTime, Precision};
use riverbed::write::{BatchWriter, Retry, WriteOptions, WriteRecord};
use riverbed::{Durability, Limits, Position, PutError, Store, Stream, StreamOptions};

use super::mount::Mount;
use super::support::SECOND;

const PRODUCERS: usize = 4;
const SERIES: usize = 5;
/// How often the disk is filled while points are under way.
const ROUNDS: usize = 3;

/// How often the writer was told to come back.
#[derive(Default)]
struct Refusals {
    full: AtomicUsize,
    throttled: AtomicUsize,
}

impl Refusals {
    fn count(&self, retry: &Retry<'_, WriteRecord, PutError>) {
        match retry.error {
            PutError::StorageFull { .. } => self.full.fetch_add(1, Ordering::Relaxed),
            PutError::ThroughputExceeded { .. } => self.throttled.fetch_add(1, Ordering::Relaxed),
            error => panic!("{error:?}"),
        };
    }
}

/// Takes all the room that is left.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).unwrap();
    let mut len = 64 * 1024;
    while len > 0 {
        match file.write(&vec![1; len]) {
            Ok(0) => len = 0,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                len /= 2;
            }
        }
    }
}

/// The numbers of the points of each series, in their order.
fn stored(stream: &Stream) -> BTreeMap<String, Vec<i64>> {
    let (mut stored, mut decoder) = (BTreeMap::<_, Vec<_>>::new(), PointDecoder::new());
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            let point = decoder.decode(&record).unwrap();
            let Some(FieldValueRef::Integer(number)) = point.point().field("number") else {
                panic!("{record:?}")
            };
            stored.entry(point.point().series_key().to_string()).or_default().push(number);
        }
    }
    stored
}

#[test]
fn every_accepted_point_lands_once_and_in_order_on_a_disk_that_fills_and_empties() {
    let directory = tempfile::tempdir().unwrap();
    let disk = match Mount::tmpfs(24 << 20, &directory.path().join("disk")) {
        Ok(disk) => disk,
        Err(why) => return println!("full tmpfs: skipped, no tmpfs: {why}"),
    };
    let options = || {
        Store::options()
            .durability(Durability::Buffered)
            .segment_len(64 * 1024, 128 * 1024)
            .limits(Limits::NONE.records_in(4000))
    };
    let store = options().open(disk.point().join("data")).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(4)).unwrap();
    let refusals = Arc::new(Refusals::default());
    let counted = Arc::clone(&refusals);
    let writer = BatchWriter::builder(stream.clone())
        .options(
            WriteOptions::new()
                .batch_size(200)
                .flush_interval(Duration::from_millis(5))
                .max_items(1000)
                .retry_interval(Duration::from_millis(1))
                .max_retry_delay(Duration::from_millis(20))
                .max_retries(u32::MAX)
                .max_retry_time(SECOND * 100_000),
        )
        .on_retry(move |retry| counted.count(&retry))
        .on_error(|lost| panic!("{lost:?}"))
        .start()
        .unwrap();
    let encoder = PointEncoder::new(PointOptions::new());
    let enough = AtomicBool::new(false);
    let produced: Vec<i64> = thread::scope(|scope| {
        let producer = |producer: usize| {
            let (writer, encoder, enough) = (&writer, &encoder, &enough);
            scope.spawn(move || {
                let mut number = 0;
                while !enough.load(Ordering::Relaxed) {
                    for series in 0..SERIES {
                        let name = format!("{producer}-{series}");
                        // As a point, or as text.
                        if number % 2 == 0 {
                            let point = Point::new("m").tag("series", name).field("number", number);
                            let point = point.time(PointTime::from_nanos(number));
                            writer.write(encoder.encode(&point).unwrap()).unwrap();
                        } else {
                            let line = format!("m,series={name} number={number}i {number}");
                            let lines = encoder.encode_lines(line, Dialect::V2Server, Precision::Nanoseconds);
                            assert!(lines.bad.is_empty());
                            lines.records.into_iter().for_each(|record| writer.write(record).unwrap());
                        }
                    }
                    number += 1;
                }
                number
            })
        };
        let producers: Vec<_> = (0..PRODUCERS).map(producer).collect();
        let ballast = disk.point().join("ballast");
        for _ in 0..ROUNDS {
            let before = refusals.full.load(Ordering::Relaxed);
            fill(&ballast);
            // Until batches are refused again and again, and until they go in again.
            wait_until(|| refusals.full.load(Ordering::Relaxed) > before + 10);
            let written = writer.stats().written;
            std::fs::remove_file(&ballast).unwrap();
            wait_until(|| writer.stats().written > written + 2000);
        }
        wait_until(|| refusals.throttled.load(Ordering::Relaxed) > 0);
        enough.store(true, Ordering::Relaxed);
        producers.into_iter().map(|producer| producer.join().unwrap()).collect()
    });
    writer.close().unwrap();
    let stats = writer.stats();
    let all = produced.iter().sum::<i64>().unsigned_abs() * SERIES as u64;
    assert_eq!((stats.accepted, stats.written, stats.not_written), (all, all, 0));

    let check = |stream: &Stream| {
        let stored = stored(stream);
        assert_eq!(stored.len(), PRODUCERS * SERIES);
        for (producer, produced) in produced.iter().enumerate() {
            for series in 0..SERIES {
                let numbers = &stored[&format!("m,series={producer}-{series}")];
                assert!(numbers.iter().copied().eq(0..*produced), "{producer}-{series}: {numbers:?}");
            }
        }
    };
    check(&stream);
    drop((writer, stream));
    store.close().unwrap();
    let store = options().open(disk.point().join("data")).unwrap();
    check(&store.open_stream("s").unwrap());
    store.close().unwrap();
}

/// Waits for something that comes about within milliseconds; a minute means that it never will.
fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("the writer hangs");
}
