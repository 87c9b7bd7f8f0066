//! Guards against a wake-up that gets lost (which leaves a consumer asleep beside its records), against waiting for more
//! than the read level shows, and against sleeping on in a store that has been closed.
//!
//! A lost wake-up shows as a test that does not end, or ends after its long timeout: nothing here is timed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use riverbed::testing::Disk;
use riverbed::{
    Durability, Position, PutRecord, ReadError, ReadLevel, Reader, ReaderOptions, Store, Stream,
    StreamOptions,
};

const LONG: Duration = Duration::from_secs(300);
const SHORT: Duration = Duration::from_millis(1);

fn setup() -> (Store, Stream) {
    let options = Store::options().storage(&Disk::new()).durability(Durability::Buffered);
    let store = options.segment_len(64 * 1024, 64 * 1024).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    (store, stream)
}

fn reader(stream: &Stream, level: ReadLevel) -> Reader {
    let options = ReaderOptions::new().level(level);
    stream.reader_with(stream.shards()[0].id, Position::TrimHorizon, options).unwrap()
}

/// Has a reader wait for every one of the records that this thread puts, and answer before the next one is put.
fn in_turns(level: ReadLevel, put: impl Fn(&Stream, &[u8])) {
    let (_store, stream) = setup();
    let mut reader = reader(&stream, level);
    let (answer, answers) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for round in 0..300_u32 {
                assert!(reader.wait(LONG).unwrap(), "round {round}");
                let record = reader.next().unwrap().unwrap();
                assert_eq!(record.data()[..4], round.to_le_bytes());
                answer.send(round).unwrap();
            }
        });
        for round in 0..300_u32 {
            // Every now and then it rolls to another segment.
            let mut data = round.to_le_bytes().to_vec();
            data.resize(2000, 0);
            put(&stream, &data);
            assert_eq!(answers.recv().unwrap(), round);
        }
    });
}

#[test]
fn a_put_wakes_a_reader_of_what_is_appended() {
    in_turns(ReadLevel::Appended, |stream, data| {
        stream.put("k", data).unwrap();
    });
    in_turns(ReadLevel::Appended, |stream, data| {
        stream.put_records(&[PutRecord::new("k", data)]).all().unwrap();
    });
}

#[test]
fn a_sync_wakes_a_reader_of_what_is_durable() {
    in_turns(ReadLevel::Durable, |stream, data| {
        stream.put("k", data).unwrap();
        stream.sync().unwrap();
    });
    in_turns(ReadLevel::Durable, |stream, data| {
        stream.put_record(&PutRecord::new("k", data).durability(Durability::Immediate)).unwrap();
    });
    in_turns(ReadLevel::Durable, |stream, data| {
        // In the background.
        let durability = Durability::Periodic(Duration::from_millis(1));
        stream.put_record(&PutRecord::new("k", data).durability(durability)).unwrap();
    });
}

#[test]
fn what_is_not_durable_does_not_wake_a_reader_of_what_is() {
    let (_store, stream) = setup();
    let mut durable = reader(&stream, ReadLevel::Durable);
    let mut appended = reader(&stream, ReadLevel::Appended);
    let number = stream.put("k", b"v").unwrap().sequence_number;
    assert!(appended.wait(SHORT).unwrap());
    assert!(!durable.wait(SHORT).unwrap());
    assert!(durable.next().unwrap().is_none());
    assert!(!stream.wait_durable(number, SHORT).unwrap());
    stream.sync().unwrap();
    assert!(durable.wait(SHORT).unwrap());
    assert!(stream.wait_durable(number, SHORT).unwrap());
    assert_eq!(durable.next().unwrap().unwrap().data(), b"v");
}

#[test]
fn nothing_to_read_is_false_after_the_timeout() {
    let (_store, stream) = setup();
    for level in [ReadLevel::Appended, ReadLevel::Durable] {
        let mut reader = reader(&stream, level);
        assert!(!reader.wait(Duration::ZERO).unwrap());
        assert!(!reader.wait(SHORT).unwrap());
    }
    stream.put("k", b"v").unwrap();
    let mut reader = reader(&stream, ReadLevel::Appended);
    // Waiting consumes nothing.
    assert!(reader.wait(Duration::ZERO).unwrap());
    assert!(reader.wait(Duration::MAX).unwrap());
    reader.next().unwrap().unwrap();
    assert!(!reader.wait(SHORT).unwrap());
}

#[test]
fn many_readers_are_all_woken() {
    let (_store, stream) = setup();
    thread::scope(|scope| {
        for level in [ReadLevel::Appended, ReadLevel::Durable].repeat(4) {
            let mut reader = reader(&stream, level);
            scope.spawn(move || {
                let mut count = 0;
                while count < 200 {
                    assert!(reader.wait(LONG).unwrap());
                    while reader.next().unwrap().is_some() {
                        count += 1;
                    }
                }
            });
        }
        for _ in 0..200 {
            stream.put("k", [0; 1000]).unwrap();
        }
        stream.sync().unwrap();
    });
}

#[test]
fn closing_the_store_ends_every_wait() {
    for level in [ReadLevel::Appended, ReadLevel::Durable] {
        for _ in 0..50 {
            let (store, stream) = setup();
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    let mut reader = reader(&stream, level);
                    thread::spawn(move || reader.wait(Duration::MAX).unwrap())
                })
                .collect();
            store.close().unwrap();
            for waiting in waiting {
                assert!(!waiting.join().unwrap());
            }
            // And of one that begins only now.
            assert!(!reader(&stream, level).wait(Duration::MAX).unwrap());
        }
    }
    // What there is to read is there all the same.
    let (store, stream) = setup();
    stream.put("k", b"v").unwrap();
    let mut reader = reader(&stream, ReadLevel::Durable);
    store.close().unwrap();
    assert!(reader.wait(Duration::MAX).unwrap());
    assert_eq!(reader.next().unwrap().unwrap().data(), b"v");
    assert!(!reader.wait(Duration::MAX).unwrap());
}

#[test]
fn dropping_the_last_handle_ends_the_wait_too() {
    let (store, stream) = setup();
    let mut reader = reader(&stream, ReadLevel::Appended);
    let waiting = thread::spawn(move || reader.wait(Duration::MAX));
    drop((store, stream));
    assert!(matches!(waiting.join().unwrap(), Ok(false) | Err(ReadError::Sync(_))));
}

#[test]
fn deleting_the_stream_ends_the_wait_too() {
    let (store, stream) = setup();
    let mut reader = reader(&stream, ReadLevel::Appended);
    let waiting = thread::spawn(move || reader.wait(LONG).unwrap());
    store.delete_stream("s").unwrap();
    assert!(!waiting.join().unwrap());
}
