//! Guards against a follower of another's store that misses records, segments or streams, shows what is not durable to those
//! who asked for that, does not notice retention, writes anything, or goes astray when the writer dies.
//!
//! Both sides run in this process, on one disk in memory, so that every step is the same each time.
//! `tests/read_only_processes.rs` does it with processes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverbed::testing::{Disk, Operation, Verdict};
use riverbed::{
    Durability, HashKey, Maintenance, OpenError, Position, PutRecord, ReadError, ReadLevel, ReadOnlyStore,
    ReadOnlyStream, Reader, ReaderOptions, Retention, SequenceNumber, ShardFilter, ShardId, Store,
    StoreOptions, Stream, StreamError, StreamOptions,
};

const SEGMENT: u64 = 64 * 1024;

fn options(disk: &Disk) -> StoreOptions {
    let options = Store::options().storage(disk).maintenance(Maintenance::Manual);
    options.durability(Durability::Buffered).segment_len(SEGMENT, SEGMENT)
}

fn write(disk: &Disk) -> Store {
    options(disk).open("data").unwrap()
}

fn follow(disk: &Disk) -> ReadOnlyStore {
    options(disk).open_read_only("data").unwrap()
}

fn setup() -> (Disk, Store, Stream, ReadOnlyStream) {
    let disk = Disk::new();
    let store = write(&disk);
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let followed = follow(&disk).open_stream("s").unwrap();
    (disk, store, stream, followed)
}

fn shard(stream: &ReadOnlyStream) -> ShardId {
    stream.shards().unwrap()[0].id
}

fn reader(stream: &ReadOnlyStream, level: ReadLevel) -> Reader {
    let options = ReaderOptions::new().level(level);
    stream.reader_with(shard(stream), Position::TrimHorizon, options).unwrap()
}

/// Three of these need two segments.
fn large(index: u32) -> Vec<u8> {
    let mut data = index.to_le_bytes().to_vec();
    data.resize(25_000, 0);
    data
}

fn put(stream: &Stream, indexes: std::ops::Range<u32>) {
    for index in indexes {
        stream.put("k", large(index)).unwrap();
    }
}

/// Everything there is to read now.
fn indexes(reader: &mut Reader) -> Vec<u32> {
    let mut indexes = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        indexes.push(u32::from_le_bytes(record.data()[..4].try_into().unwrap()));
    }
    indexes
}

fn range(range: std::ops::Range<u32>) -> Vec<u32> {
    range.collect()
}

#[test]
fn every_record_is_seen_once_its_put_has_returned_across_rolls() {
    let (_disk, store, stream, followed) = setup();
    let mut reader = reader(&followed, ReadLevel::Appended);
    assert_eq!(indexes(&mut reader), range(0..0));
    for index in 0..40 {
        put(&stream, index..index + 1);
        if index % 7 == 0 {
            store.maintain();
        }
        assert_eq!(indexes(&mut reader), [index]);
    }
    let mut late = self::reader(&followed, ReadLevel::Appended);
    assert_eq!(indexes(&mut late), range(0..40));
}

#[test]
fn many_small_records_are_followed_from_any_position() {
    let (_disk, _store, stream, followed) = setup();
    let mut numbers: Vec<SequenceNumber> = Vec::new();
    let shard = shard(&followed);
    let mut tailing = followed.reader(shard, Position::Latest).unwrap();
    for index in 0..3000_u32 {
        numbers.push(stream.put("k", index.to_le_bytes()).unwrap().sequence_number);
        let found = tailing.next().unwrap().map(|record| record.sequence_number());
        assert_eq!(found, numbers.last().copied());
    }
    for index in [0, 1, 999, 2998, 2999] {
        let at = Position::AtSequenceNumber(numbers[index]);
        let mut reader = followed.reader(shard, at).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().sequence_number(), numbers[index]);
        let after = Position::AfterSequenceNumber(numbers[index]);
        let mut reader = followed.reader(shard, after).unwrap();
        let found = reader.next().unwrap().map(|record| record.sequence_number());
        assert_eq!(found, numbers.get(index + 1).copied());
    }
    let next = stream.put("k", b"one more").unwrap().sequence_number;
    let mut reader = followed.reader(shard, Position::AtSequenceNumber(next)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().data(), b"one more");
}

#[test]
fn a_reader_of_what_is_durable_sees_what_has_been_synced_and_no_more() {
    let (_disk, store, stream, followed) = setup();
    let mut reader = reader(&followed, ReadLevel::Durable);
    let number = followed.durable_sequence_number(shard(&followed)).unwrap();
    assert_eq!(number, None);
    put(&stream, 0..9);
    assert_eq!(indexes(&mut reader), range(0..0), "over several segments");
    stream.sync().unwrap();
    assert_eq!(indexes(&mut reader), range(0..9));
    put(&stream, 9..15);
    store.maintain();
    assert_eq!(indexes(&mut reader), range(0..0));
    let data = large(15);
    let last = stream.put_record(&PutRecord::new("k", &data).durability(Durability::Immediate)).unwrap();
    assert_eq!(indexes(&mut reader), range(9..16));
    assert_eq!(followed.durable_sequence_number(last.shard_id).unwrap(), Some(last.sequence_number));
    assert!(followed.wait_durable(last.sequence_number, Duration::ZERO).unwrap());
    let next = stream.put("k", b"later").unwrap();
    assert!(!followed.wait_durable(next.sequence_number, Duration::from_millis(2)).unwrap());
    let stats = followed.shard_stats(next.shard_id).unwrap();
    assert_eq!((stats.records, stats.unsynced), (17, 1));
    assert_eq!(stats.newest.unwrap().0, next.sequence_number);
}

#[test]
fn streams_come_and_go() {
    let (disk, store, stream, followed) = setup();
    let reading = follow(&disk);
    assert_eq!(reading.list_streams().unwrap(), ["s"]);
    let more = store.create_stream("more", StreamOptions::new().shards(3)).unwrap();
    assert_eq!(reading.list_streams().unwrap(), ["more", "s"]);
    let put = more.put("key", b"hello").unwrap();
    let more = reading.open_stream("more").unwrap();
    assert_eq!(more.shards().unwrap().len(), 3);
    assert_eq!(more.shard_for_key("key").unwrap(), Some(put.shard_id));
    let mut all = more.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    assert_eq!(all.next().unwrap().unwrap().data(), b"hello");

    // A reader that has begun reads what it has mapped, and is told that nothing will come.
    self::put(&stream, 0..2);
    let mut reader = reader(&followed, ReadLevel::Appended);
    assert_eq!(reader.next().unwrap().unwrap().data(), large(0));
    store.delete_stream("s").unwrap();
    assert_eq!(indexes(&mut reader), [1]);
    assert!(!reader.wait(Duration::from_secs(300)).unwrap());
    assert!(matches!(followed.shards(), Err(StreamError::NotFound { .. })));
    assert!(matches!(reading.open_stream("s"), Err(StreamError::NotFound { .. })));

    // Another stream of the same name is another stream.
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    self::put(&stream, 7..9);
    assert_eq!(indexes(&mut reader), range(0..0));
    assert!(!reader.wait(Duration::from_secs(300)).unwrap());
    let mut reader = self::reader(&reading.open_stream("s").unwrap(), ReadLevel::Appended);
    assert_eq!(indexes(&mut reader), [7, 8]);
}

#[test]
fn who_is_overtaken_by_retention_is_told_and_goes_on() {
    let (_disk, _store, stream, followed) = setup();
    put(&stream, 0..20);
    let mut reading = reader(&followed, ReadLevel::Appended);
    let mut idle = reader(&followed, ReadLevel::Appended);
    for reader in [&mut reading, &mut idle] {
        assert_eq!(reader.next().unwrap().unwrap().data(), large(0));
    }
    let held = reading.next().unwrap().unwrap().to_bytes();
    let kept = 2 * SEGMENT;
    stream.set_retention(Retention::FOREVER.and_bytes(kept)).unwrap();
    assert_eq!(followed.retention().unwrap().bytes(), Some(kept));

    let oldest = stream.stats().shards[0].oldest.unwrap().0;
    for reader in [&mut reading, &mut idle] {
        let error = loop {
            match reader.next() {
                Ok(record) => assert!(record.is_some(), "it has not come to the end"),
                Err(error) => break error,
            }
        };
        let ReadError::Trimmed { oldest: told } = error else { panic!("{error}") };
        assert_eq!(told, oldest);
        assert_eq!(reader.next().unwrap().unwrap().sequence_number(), oldest);
    }
    assert_eq!(held, large(1));
    // Everything that the follower knew has gone, its newest segment too.
    put(&stream, 20..40);
    stream.set_retention(Retention::FOREVER.and_bytes(SEGMENT)).unwrap();
    let oldest = stream.stats().shards[0].oldest.unwrap().0;
    let error = loop {
        match idle.next() {
            Ok(record) => assert!(record.is_some(), "it has not come to the end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::Trimmed { oldest: told } if told == oldest), "{error}");
    assert_eq!(idle.next().unwrap().unwrap().sequence_number(), oldest);
    assert_eq!(indexes(&mut idle).last(), Some(&39));
    let mut fresh = reader(&followed, ReadLevel::Appended);
    assert_eq!(fresh.next().unwrap().unwrap().sequence_number(), oldest);
    put(&stream, 40..45);
    assert_eq!(indexes(&mut fresh).last(), Some(&44));
}

#[test]
fn resharding_is_followed_to_its_children() {
    let (disk, store, stream, followed) = setup();
    let parent = shard(&followed);
    let mut one = reader(&followed, ReadLevel::Appended);
    let mut durable = reader(&followed, ReadLevel::Durable);
    let mut all = followed.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    let mut tip = followed.merged_reader(Position::Latest, ReaderOptions::new()).unwrap();
    let merged = |reader: &mut riverbed::MergedReader| {
        let mut data = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            data.push(u32::from_le_bytes(record.data()[..4].try_into().unwrap()));
        }
        data
    };
    put(&stream, 0..5);
    assert_eq!(merged(&mut all), range(0..5));
    put(&stream, 5..7);
    assert!(!one.is_at_end());
    let children = stream.split_shard(parent, HashKey::from(1 << 127)).unwrap();
    let keys: Vec<_> = (0..20).map(|index| format!("key {index}")).collect();
    for (index, key) in (7..).zip(&keys) {
        stream.put(key.as_str(), large(index)).unwrap();
    }
    let between = merged(&mut all);
    assert_eq!(between, range(5..27), "in order of arrival, children after their parent");
    assert_eq!(merged(&mut tip), range(0..27), "from when the stream was empty");
    assert_eq!(indexes(&mut one), range(0..7));
    assert!(one.is_at_end());
    assert!(!one.wait(Duration::from_secs(300)).unwrap());
    assert_eq!(indexes(&mut durable), range(0..7), "a split makes its parent durable");
    assert!(durable.is_at_end());
    let open: Vec<_> = followed.shards().unwrap().iter().map(|shard| shard.id).collect();
    assert_eq!(open, children);
    assert_eq!(followed.list_shards(ShardFilter::All).unwrap(), stream.list_shards(ShardFilter::All));
    let key = keys[0].as_str();
    assert_eq!(followed.shard_for_key(key).unwrap(), stream.shard_for_key(key));

    // Once more, and the writer ends.
    let merged_into = stream.merge_shards(children[0], children[1]).unwrap();
    stream.put("key", large(27)).unwrap();
    store.close().unwrap();
    assert_eq!(merged(&mut all), [27]);
    let mut reader = followed.reader(merged_into, Position::TrimHorizon).unwrap();
    assert_eq!(indexes(&mut reader), [27]);
    let mut fresh = follow(&disk)
        .open_stream("s")
        .unwrap()
        .merged_reader(Position::TrimHorizon, ReaderOptions::new())
        .unwrap();
    assert_eq!(merged(&mut fresh), range(0..28));
}

#[test]
fn a_closed_shard_that_retention_takes_is_not_silence() {
    let (_disk, store, stream, followed) = setup();
    let parent = shard(&followed);
    put(&stream, 0..6);
    let mut behind = reader(&followed, ReadLevel::Appended);
    assert_eq!(behind.next().unwrap().unwrap().data(), large(0));
    let mut through = reader(&followed, ReadLevel::Appended);
    assert_eq!(indexes(&mut through), range(0..6));
    stream.split_shard(parent, HashKey::from(1 << 127)).unwrap();
    assert!(!through.wait(Duration::from_secs(300)).unwrap());
    assert!(through.is_at_end());
    // Everything that is closed goes, and with it the shard.
    stream.set_retention(Retention::FOREVER.and_bytes(1)).unwrap();
    store.maintain();
    let listed = stream.list_shards(ShardFilter::All);
    assert!(listed.iter().all(|shard| shard.id != parent), "{listed:?}");
    assert_eq!(followed.list_shards(ShardFilter::All).unwrap(), listed);
    let error = loop {
        match behind.next() {
            Ok(record) => assert!(record.is_some(), "it has not come to the end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::Trimmed { .. }), "{error}");
    assert_eq!(indexes(&mut behind), range(0..0));
    assert!(behind.is_at_end());
    assert_eq!(indexes(&mut through), range(0..0), "it has missed nothing");
    let gone = followed.reader(parent, Position::TrimHorizon);
    assert!(matches!(gone, Err(ReadError::NoSuchShard { .. })), "{gone:?}");
}

#[test]
fn a_clean_end_and_another_beginning_are_followed() {
    let (disk, store, stream, followed) = setup();
    let mut reader = reader(&followed, ReadLevel::Appended);
    put(&stream, 0..1);
    store.close().unwrap();
    for round in 1..12 {
        let store = write(&disk);
        let stream = store.open_stream("s").unwrap();
        assert_eq!(indexes(&mut reader), [round - 1]);
        put(&stream, round..round + 1);
        store.close().unwrap();
        let mut late = self::reader(&follow(&disk).open_stream("s").unwrap(), ReadLevel::Durable);
        assert_eq!(indexes(&mut late), range(0..round + 1), "durable by the clean end");
    }
}

#[test]
fn nothing_is_written_and_no_lock_is_taken() {
    let (disk, store, stream, _) = setup();
    put(&stream, 0..10);
    // Once after a kill, with a segment that was prepared and not begun, and once after a clean end.
    store.maintain();
    let killed = disk.kill();
    for disk in [killed.duplicate().unwrap(), {
        write(&killed).close().unwrap();
        killed
    }] {
        let operations = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&operations);
        disk.plan(move |call| {
            seen.lock().unwrap().push(call.operation);
            Verdict::Proceed
        });
        let reading = follow(&disk);
        reading.list_streams().unwrap();
        let stream = reading.open_stream("s").unwrap();
        for level in [ReadLevel::Appended, ReadLevel::Durable] {
            let mut reader = reader(&stream, level);
            indexes(&mut reader);
            reader.wait(Duration::from_millis(5)).unwrap();
        }
        let shard = shard(&stream);
        let time = riverbed::Timestamp::from_nanos(1);
        indexes(&mut stream.reader(shard, Position::AtTimestamp(time)).unwrap());
        stream.stats().unwrap();
        assert!(!reading.verify().unwrap().is_damaged());
        drop((stream, reading));
        let operations = operations.lock().unwrap();
        assert!(operations.len() > 20);
        let allowed = [Operation::OpenFile, Operation::List, Operation::Read, Operation::Map];
        assert!(operations.iter().all(|operation| allowed.contains(operation)), "{operations:?}");
    }
}

#[test]
fn there_must_be_a_store() {
    let disk = Disk::new();
    let missing = options(&disk).open_read_only("data");
    assert!(matches!(missing, Err(OpenError::NotFound { .. })), "{missing:?}");
    assert!(disk.files().is_empty());
}

/// A segment begins while a trim makes the call of this number, counted from 1, that opens or syncs a segment.
fn trim_while_a_segment_begins(at_call: usize) {
    let disk = Disk::new();
    // Each sync opens its file.
    let store = options(&disk).max_open_files(0).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let followed = follow(&disk).open_stream("s").unwrap();
    put(&stream, 0..8);
    let mut lagging = reader(&followed, ReadLevel::Appended);
    assert!(lagging.next().unwrap().is_some());
    let mut newest = stream.reader(shard(&followed), Position::Latest).unwrap();
    put(&stream, 8..9);
    let number = newest.next().unwrap().unwrap().sequence_number();
    let segments = stream.stats().shards[0].segments;

    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    disk.plan(move |call| {
        let of_segment = call.path.extension().is_some_and(|extension| extension == "segment");
        let counts = of_segment
            && matches!(call.operation, Operation::OpenFile | Operation::SyncData)
            && std::thread::current().name() == Some("trim");
        // Time for a segment to begin.
        let waits = counts && seen.fetch_add(1, Ordering::SeqCst) + 1 == at_call;
        if waits { Verdict::Delay(Duration::from_millis(100)) } else { Verdict::Proceed }
    });
    std::thread::scope(|scope| {
        let trim = || stream.trim_to(number).unwrap();
        let trimming = std::thread::Builder::new().name("trim".to_owned()).spawn_scoped(scope, trim).unwrap();
        while calls.load(Ordering::SeqCst) < at_call {
            assert!(!trimming.is_finished(), "a trim makes fewer calls than {at_call}");
            std::thread::yield_now();
        }
        for index in 9_u32..12 {
            // As long as the others, and stored: writing it would wait for the file that the trim is opening.
            let data = index.to_le_bytes();
            stream.put_record(&PutRecord::new("k", &data).metadata(&[0; 25_000])).unwrap();
        }
        assert!(stream.stats().shards[0].segments > segments);
        // Somebody else has come to the segment that has begun.
        let mut ahead = followed.reader(shard(&followed), Position::Latest).unwrap();
        assert!(ahead.next().unwrap().is_none());
        assert!(trimming.join().unwrap() > 0);
    });
    // It holds the first segment, and has its second record.
    let overtaken = std::iter::repeat_with(|| lagging.next().map(drop)).take(20).find_map(Result::err);
    assert!(matches!(overtaken, Some(ReadError::Trimmed { .. })), "{overtaken:?}");
    assert_eq!(indexes(&mut lagging), range(8..12));
    let fresh = follow(&disk).open_stream("s").unwrap();
    assert_eq!(indexes(&mut reader(&fresh, ReadLevel::Appended)), range(8..12));
}

#[test]
fn a_trim_in_the_midst_of_which_a_segment_begins_is_neither_damage_nor_a_missing_file() {
    // Five syncs of segments with records that are not durable yet, and one of the trim point.
    for at_call in 1..=12 {
        trim_while_a_segment_begins(at_call);
    }
}
