//! Guards against a shard that takes more than its limits, less, or anything at all after an error that says it took
//! nothing.
#![cfg(feature = "limits")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    HashKey, Limits, Maintenance, Position, PutError, PutRecord, ReadError, Store, Stream, StreamOptions,
    Timestamp,
};

fn stream(limits: Limits, shards: u32) -> (ManualClock, Stream) {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000_000_000));
    let options = Store::options().storage(&Disk::new()).clock(clock.clone());
    let store = options.maintenance(Maintenance::Manual).limits(limits).open("data").unwrap();
    (clock, store.create_stream("s", StreamOptions::new().shards(shards)).unwrap())
}

fn retry_after(error: &PutError) -> Duration {
    match error {
        PutError::ThroughputExceeded { retry_after, .. } => *retry_after,
        error => panic!("{error:?}"),
    }
}

#[test]
fn kinesis_takes_a_thousand_records_a_second_in_each_shard() {
    let (clock, stream) = stream(Limits::kinesis(), 2);
    let ids: Vec<_> = stream.shards().iter().map(|shard| shard.id).collect();
    let record = |hash_key| PutRecord::new("k", b"x").explicit_hash_key(hash_key);
    for _ in 0..1000 {
        stream.put_record(&record(HashKey::MIN)).unwrap();
    }
    let refused = stream.put_record(&record(HashKey::MIN)).unwrap_err();
    assert!(retry_after(&refused) <= Duration::from_millis(1), "{refused}");
    assert_eq!(stream.shard_stats(ids[0]).unwrap().records, 1000);
    stream.put_record(&record(HashKey::MAX)).unwrap();
    // A tenth of a second later it takes a tenth of its records.
    clock.advance(Duration::from_millis(100));
    let taken = (0..1000).take_while(|_| stream.put_record(&record(HashKey::MIN)).is_ok()).count();
    assert_eq!(taken, 100);
}

#[test]
fn a_batch_lands_in_part_and_says_which() {
    let (clock, stream) = stream(Limits::kinesis(), 1);
    let records: Vec<_> = (0..1200).map(|_| PutRecord::new("k", b"x")).collect();
    let results = stream.put_records(&records);
    assert_eq!(results.failed_record_count(), 200);
    let results = results.into_results();
    assert!(results[..1000].iter().all(Result::is_ok));
    assert!(results[1000..].iter().all(|result| retry_after(result.as_ref().unwrap_err()) > Duration::ZERO));
    clock.advance(Duration::from_secs(1));
    assert_eq!(stream.put_records(&records[1000..]).failed_record_count(), 0);
    assert_eq!(stream.stats().shards[0].records, 1200);
}

#[test]
fn bytes_are_limited_too_and_what_is_refused_passes_after_the_time_said() {
    let (clock, stream) = stream(Limits::NONE.bytes_in(1024 * 1024), 1);
    // A burst allows a record of the largest size.
    stream.put("k", vec![0; 10 * 1024 * 1024 - 1]).unwrap();
    let refused = stream.put("k", vec![0; 1024 * 1024 - 1]).unwrap_err();
    let wait = retry_after(&refused);
    assert!(wait > Duration::from_millis(990) && wait < Duration::from_millis(1010), "{wait:?}");
    clock.advance(wait - Duration::from_millis(10));
    retry_after(&stream.put("k", vec![0; 1024 * 1024 - 1]).unwrap_err());
    clock.advance(Duration::from_millis(10));
    stream.put("k", vec![0; 1024 * 1024 - 1]).unwrap();
}

#[test]
fn pages_are_limited_and_a_reader_stays_where_it_is() {
    let (clock, stream) = stream(Limits::NONE.pages_out(5).bytes_out(2 * 1024 * 1024), 1);
    let put: Vec<_> =
        (0..12).map(|_| stream.put("k", vec![0; 1024 * 1024]).unwrap().sequence_number).collect();
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    // The burst is a page of ten mebibytes, as Kinesis's largest.
    let page = reader.get_records(10_000, usize::MAX).unwrap();
    assert_eq!(page.records.len(), 10);
    let refused = reader.get_records(10_000, usize::MAX);
    assert!(
        matches!(refused, Err(ReadError::ThroughputExceeded { retry_after, .. })
            if retry_after <= Duration::from_millis(500)),
        "{refused:?}"
    );
    clock.advance(Duration::from_secs(1));
    let page = reader.get_records(10_000, usize::MAX).unwrap();
    let numbers: Vec<_> = page.records.iter().map(|record| record.sequence_number()).collect();
    assert_eq!(numbers, put[10..]);
    for _ in 0..4 {
        assert!(reader.get_records(1, 1).unwrap().records.is_empty());
    }
    assert!(matches!(reader.get_records(1, 1), Err(ReadError::ThroughputExceeded { .. })));
    // Reading in place costs the shard nothing.
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    for _ in 0..12 {
        reader.next().unwrap().unwrap();
    }
}

#[test]
fn limits_go_on_through_a_resharding() {
    let (_, stream) = stream(Limits::NONE.records_in(10), 2);
    for _ in 0..10 {
        stream.put_record(&PutRecord::new("k", b"x").explicit_hash_key(HashKey::MIN)).unwrap();
    }
    let high = stream.shards()[1];
    let middle = high.range.start.as_u128().midpoint(high.range.end.as_u128());
    stream.split_shard(high.id, HashKey::from(middle)).unwrap();
    retry_after(&stream.put_record(&PutRecord::new("k", b"x").explicit_hash_key(HashKey::MIN)).unwrap_err());
    stream.put_record(&PutRecord::new("k", b"x").explicit_hash_key(HashKey::MAX)).unwrap();
}
