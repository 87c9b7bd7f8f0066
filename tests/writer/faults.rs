//! A stream as the sink: its disk fills and empties and loses its power, its shards are split and merged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use riverbed::testing::{Disk, ManualClock};
use riverbed::write::{BatchWriter, NotWritten, Outcome, Reason, Sink, WriteOptions, WriteRecord};
use riverbed::{
    Clock, Durability, Maintenance, Position, Put, PutError, ShardFilter, Store, StoreOptions, Stream,
    StreamOptions,
};

use super::support::SECOND;

const KEYS: u32 = 12;

fn options(disk: &Disk, clock: &ManualClock) -> StoreOptions {
    Store::options()
        .storage(disk)
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .durability(Durability::Buffered)
        .segment_len(64 * 1024, 128 * 1024)
}

/// Records of very different lengths, so that where one finds no room a later one still does.
fn record(number: u32, rng: &mut fastrand::Rng) -> WriteRecord {
    let len = if rng.u8(..4) == 0 { rng.usize(3000..9000) } else { rng.usize(4..60) };
    let mut data = number.to_le_bytes().to_vec();
    data.resize(len, b'.');
    WriteRecord::new(format!("key-{}", rng.u32(..KEYS)), data)
}

/// The numbers of the records in the stream, by key, in their order.
fn stored(stream: &Stream) -> BTreeMap<String, Vec<u32>> {
    let mut stored: BTreeMap<_, Vec<_>> = BTreeMap::new();
    // Parents come before their children.
    for shard in stream.list_shards(ShardFilter::All) {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            let number = u32::from_le_bytes(record.data()[..4].try_into().unwrap());
            stored.entry(record.partition_key().unwrap().to_owned()).or_default().push(number);
        }
    }
    stored
}

fn assert_in_order(stored: &BTreeMap<String, Vec<u32>>, expected: impl IntoIterator<Item = u32>) {
    for (key, numbers) in stored {
        assert!(numbers.is_sorted_by(|before, after| before < after), "{key}: {numbers:?}");
    }
    let mut all: Vec<_> = stored.values().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, expected.into_iter().collect::<Vec<_>>(), "something is missing, or there twice");
}

/// A stream behind a throttle, on a disk that somebody else fills and empties at times.
struct Unreliable {
    stream: Stream,
    disk: Disk,
    rng: fastrand::Rng,
    full: Arc<Mutex<(u32, u32)>>,
}

impl Sink for Unreliable {
    type Item = WriteRecord;
    type Ack = Option<Put>;
    type Error = PutError;

    fn write(&mut self, batch: &[WriteRecord]) -> Vec<Outcome<Option<Put>, PutError>> {
        match self.rng.u8(..6) {
            0 => self.disk.set_capacity(Some(self.disk.used())),
            1 => self.disk.set_capacity(Some(self.disk.used() + 64 * 1024)),
            2 => self.disk.set_capacity(None),
            _ => {}
        }
        if self.rng.u8(..5) == 0 {
            self.full.lock().unwrap().0 += 1;
            let throttled = || Outcome::Retry { error: PutError::Closed, retry_after: Some(SECOND * 3) };
            return batch.iter().map(|_| throttled()).collect();
        }
        let outcomes = self.stream.write(batch);
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Retry { .. })).count();
        if (1..outcomes.len()).contains(&refused) {
            self.full.lock().unwrap().1 += 1;
        }
        let keep = |outcome| match outcome {
            Outcome::Accepted(put) => Outcome::Accepted(Some(put)),
            Outcome::Rejected(error) => Outcome::Rejected(error),
            Outcome::Retry { error, retry_after } => {
                assert!(matches!(error, PutError::StorageFull { .. }), "{error}");
                Outcome::Retry { error, retry_after }
            }
            other => panic!("{other:?}"),
        };
        outcomes.into_iter().map(keep).collect()
    }

    fn flush(&mut self) -> Result<(), PutError> {
        self.stream.flush()
    }
}

/// Splits a shard, or merges two.
fn reshard(stream: &Stream, rng: &mut fastrand::Rng) {
    let shards = stream.shards();
    let index = rng.usize(..shards.len());
    match shards.get(index + 1) {
        Some(next) if rng.bool() => drop(stream.merge_shards(shards[index].id, next.id).unwrap()),
        _ => {
            let range = shards[index].range;
            let half = (range.end.as_u128() - range.start.as_u128()) / 2;
            stream.split_shard(shards[index].id, (range.start.as_u128() + half).into()).unwrap();
        }
    }
}

#[test]
fn everything_lands_once_and_in_order_while_the_disk_fills_and_empties() {
    let (mut throttled, mut partly, mut resharded) = (0, 0, 0);
    for seed in 0..20 {
        let (disk, clock) = (Disk::new(), ManualClock::default());
        let store = options(&disk, &clock).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new().shards(4)).unwrap();
        let full = Arc::new(Mutex::new((0, 0)));
        let sink = Unreliable {
            stream: stream.clone(),
            disk: disk.clone(),
            rng: fastrand::Rng::with_seed(seed),
            full: Arc::clone(&full),
        };
        let writer = BatchWriter::builder(sink)
            .seed(seed)
            .options(
                WriteOptions::new()
                    .batch_size(25)
                    .max_items(200)
                    .max_retries(10_000)
                    .max_retry_time(SECOND * 1_000_000)
                    .max_retry_delay(SECOND * 20)
                    .max_close_wait(SECOND * 1_000_000),
            )
            .on_error(|lost| panic!("{lost:?}"))
            .start_manual(clock.clone());
        let mut rng = fastrand::Rng::with_seed(seed);
        for number in 0..600 {
            writer.write(record(number, &mut rng)).unwrap();
            if rng.u8(..10) == 0 {
                clock.advance(SECOND);
                writer.run_due();
            }
            if rng.u8(..100) == 0 {
                let waiting = writer.stats().waiting_items;
                disk.set_capacity(None);
                reshard(&stream, &mut rng);
                resharded += usize::from(waiting > 25);
            }
        }
        writer.close().unwrap();
        assert_eq!(writer.stats().written, 600, "{:?}", writer.stats());
        assert_in_order(&stored(&stream), 0..600);
        let (throttles, parts) = *full.lock().unwrap();
        throttled += throttles;
        partly += parts;
    }
    assert!(resharded > 20, "only {resharded} times were shards split or merged while much waited");
    assert!(throttled > 100, "the sink throttled only {throttled} times");
    assert!(partly > 20, "only {partly} batches found room for a part");
}

/// What a full disk does with default options: retries for three minutes, and then the records come back.
#[test]
fn a_disk_that_stays_full_gives_the_records_back() {
    let (disk, clock) = (Disk::new(), ManualClock::default());
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    disk.set_capacity(Some(disk.used()));
    let lost = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&lost);
    let writer = BatchWriter::builder(stream.clone())
        .on_error(move |failed| keep.lock().unwrap().extend(failed))
        .start_manual(clock.clone());
    for number in 0..10_u32 {
        writer.write(WriteRecord::new("k", number.to_le_bytes().to_vec())).unwrap();
    }
    writer.flush().unwrap();
    let again: Vec<NotWritten<_, _>> = std::mem::take(&mut *lost.lock().unwrap());
    assert_eq!(again.len(), 10);
    let full = |lost: &NotWritten<_, _>| {
        matches!(lost.reason, Reason::GaveUp { error: PutError::StorageFull { .. }, .. })
    };
    assert!(again.iter().all(full), "{again:?}");
    // There is room: they can be written as they are.
    disk.set_capacity(None);
    for lost in again {
        writer.write(lost.item).unwrap();
    }
    writer.close().unwrap();
    assert_in_order(&stored(&stream), 0..10);
}

#[test]
fn what_was_flushed_survives_a_power_cut() {
    for seed in 0..40 {
        let (disk, clock) = (Disk::new(), ManualClock::default());
        let store = options(&disk, &clock).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new().shards(3)).unwrap();
        let writer = BatchWriter::builder(stream)
            .options(WriteOptions::new().batch_size(10))
            .on_error(|lost| panic!("{lost:?}"))
            .start_manual(clock.clone());
        let mut rng = fastrand::Rng::with_seed(seed);
        let (flushed, after) = (rng.u32(1..200), rng.u32(..50));
        for number in 0..flushed {
            writer.write(record(number, &mut rng)).unwrap();
        }
        writer.flush().unwrap();
        for number in flushed..flushed + after {
            writer.write(record(number, &mut rng)).unwrap();
        }
        writer.run_due();
        let disk = disk.cut_power(seed);
        // The writer has lost its disk; what it says about that is not looked at.
        std::mem::forget((writer, store));

        let store = options(&disk, &clock).open("data").unwrap();
        let stored = stored(&store.open_stream("s").unwrap());
        for numbers in stored.values() {
            assert!(numbers.is_sorted_by(|before, after| before < after), "{numbers:?}");
        }
        let durable = stored.values().flatten().filter(|number| **number < flushed).count();
        assert_eq!(durable, flushed as usize, "seed {seed}");
    }
}

/// More than the limits allow, for a while: it takes longer, and nothing is lost although every batch is refused more often
/// than `max_retries`.
#[cfg(feature = "limits")]
#[test]
fn a_stream_with_limits_takes_everything_in_its_own_time() {
    let (disk, clock) = (Disk::new(), ManualClock::new(riverbed::Timestamp::from_millis(1_000_000)));
    let limits = riverbed::Limits::NONE.records_in(100);
    let store = options(&disk, &clock).limits(limits).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let writer = BatchWriter::builder(stream.clone())
        .on_error(|lost| panic!("{lost:?}"))
        .options(WriteOptions::new().batch_size(100))
        .start_manual(clock.clone());
    let mut rng = fastrand::Rng::with_seed(3);
    for number in 0..6000 {
        writer.write(record(number, &mut rng)).unwrap();
    }
    let start = clock.now();
    writer.close().unwrap();
    assert_in_order(&stored(&stream), 0..6000);
    // What the busier shard has got, at its rate; the first hundred go at once.
    let most = stream.stats().shards.iter().map(|stats| stats.records).max().unwrap();
    let least = SECOND * u32::try_from(most - 100).unwrap() / 100;
    let took = clock.now().since(start);
    assert!(took >= least && took < least * 5 / 4, "{took:?} for what takes {least:?}");
    let retries = writer.stats().retries;
    assert!(retries < 60 * most / 100, "{retries} retries for {most} records");
}

#[test]
fn bad_records_are_rejected_and_a_closed_store_too() {
    let (disk, clock) = (Disk::new(), ManualClock::default());
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let writer = BatchWriter::builder(stream.clone()).start_manual(clock);
    let failed = writer.write_sync(WriteRecord::new("", "no key")).unwrap_err();
    assert!(matches!(failed.reason, Reason::Rejected(PutError::PartitionKey(_))), "{failed:?}");
    assert_eq!(failed.item.data(), b"no key");
    let put = writer
        .write_sync(WriteRecord::new("k", "data").metadata("trace").explicit_hash_key(7.into()))
        .unwrap();
    let mut reader = stream.reader(put.shard_id, Position::AtSequenceNumber(put.sequence_number)).unwrap();
    let record = reader.next().unwrap().unwrap();
    assert_eq!((record.data(), record.metadata()), (&b"data"[..], &b"trace"[..]));
    assert_eq!(record.explicit_hash_key(), Some(7.into()));
    store.close().unwrap();
    let failed = writer.write_sync(WriteRecord::new("k", "data")).unwrap_err();
    assert!(matches!(failed.reason, Reason::Rejected(PutError::Closed)), "{failed:?}");
}

/// Many threads, the writer's own thread and a real directory.
#[test]
fn many_threads_write_to_a_stream_through_one_writer() {
    const EACH: u32 = 2000;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(4)).unwrap();
    let writer = BatchWriter::builder(stream.clone())
        .options(WriteOptions::new().batch_size(100).max_items(500))
        .start()
        .unwrap();
    std::thread::scope(|scope| {
        for producer in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                for number in producer * EACH..(producer + 1) * EACH {
                    writer
                        .write(WriteRecord::new(format!("key-{producer}"), number.to_le_bytes().to_vec()))
                        .unwrap();
                }
                writer.flush().unwrap();
            });
        }
    });
    assert_in_order(&stored(&stream), 0..4 * EACH);
    for stats in stream.stats().shards {
        assert_eq!(stats.unsynced, 0, "a flush makes everything durable");
    }
}
