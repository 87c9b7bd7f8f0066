//! Guards against metrics that are missing, counted twice, or under other names than the documentation says.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::with_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use riverbed::testing::{Disk, ManualClock};
use riverbed::{Maintenance, Store, StoreOptions, StreamOptions, Timestamp};

/// What the recorder has, by name and labels without the store's: a snapshot takes counters and histograms out.
fn snapshot(of: &Snapshotter) -> BTreeMap<String, DebugValue> {
    let series = of.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let (_, key) = key.into_parts();
        let labels: Vec<_> = key
            .labels()
            .filter(|label| label.key() != "store")
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        (format!("{}{{{}}}", key.name(), labels.join(",")), value)
    });
    series.collect()
}

#[track_caller]
fn counter(of: &BTreeMap<String, DebugValue>, name: &str) -> u64 {
    match of.get(name) {
        Some(DebugValue::Counter(value)) => *value,
        other => panic!("{name} is {other:?} among {:?}", of.keys()),
    }
}

#[track_caller]
fn gauge(of: &BTreeMap<String, DebugValue>, name: &str) -> f64 {
    match of.get(name) {
        Some(DebugValue::Gauge(value)) => value.into_inner(),
        other => panic!("{name} is {other:?} among {:?}", of.keys()),
    }
}

fn options() -> StoreOptions {
    Store::options().maintenance(Maintenance::Manual).segment_len(64 << 10, 64 << 10)
}

#[test]
fn figures_of_streams_shards_and_consumers_are_published() {
    let directory = tempfile::tempdir().unwrap();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        let store = options().shard_metrics(true).open(directory.path().join("data")).unwrap();
        let stream = store.create_stream("clicks", StreamOptions::new().shards(2)).unwrap();
        for number in 0..100 {
            stream.put(&*format!("key-{number}"), [7; 100]).unwrap();
        }
        let _consumer = stream.consumer("billing").unwrap();
        store.publish_metrics();
        let first = snapshot(&snapshotter);
        assert_eq!(counter(&first, "riverbed_appended_records_total{stream=clicks}"), 100);
        assert!(counter(&first, "riverbed_appended_bytes_total{stream=clicks}") > 10_000);
        let shards = ["shardId-000000000000", "shardId-000000000001"].map(|shard| {
            counter(&first, &format!("riverbed_appended_records_total{{stream=clicks,shard={shard}}}"))
        });
        assert_eq!(shards.iter().sum::<u64>(), 100);
        for (name, value) in [("records", 100.0), ("unsynced_records", 100.0), ("segments", 2.0)] {
            assert_eq!(gauge(&first, &format!("riverbed_{name}{{stream=clicks}}")), value, "{name}");
        }
        assert_eq!(gauge(&first, "riverbed_disk_bytes{stream=clicks}"), 131_072.0);
        assert_eq!(gauge(&first, "riverbed_consumer_lag_records{stream=clicks,consumer=billing}"), 100.0);

        stream.put("key", b"one more").unwrap();
        stream.sync().unwrap();
        store.publish_metrics();
        let second = snapshot(&snapshotter);
        assert_eq!(counter(&second, "riverbed_appended_records_total{stream=clicks}"), 1, "counted twice");
        assert_eq!(counter(&second, "riverbed_syncs_total{stream=clicks}"), 2);
        assert_eq!(gauge(&second, "riverbed_unsynced_records{stream=clicks}"), 0.0);
        match second.get("riverbed_sync_duration_seconds{stream=clicks}") {
            Some(DebugValue::Histogram(times)) => assert_eq!(times.len(), 2),
            other => panic!("{other:?} among {:?}", second.keys()),
        }
    });
}

#[test]
fn a_late_sync_is_published() {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        let store = options().storage(&Disk::new()).clock(clock.clone()).open("data").unwrap();
        let stream = store.create_stream("clicks", StreamOptions::new()).unwrap();
        stream.put("k", b"x").unwrap();
        for (more, late) in [(1, 0.0), (2, 2.0)] {
            clock.advance(Duration::from_secs(more));
            store.publish_metrics();
            let found = gauge(&snapshot(&snapshotter), "riverbed_sync_overdue_seconds{stream=clicks}");
            assert_eq!(found, late);
        }
    });
}

#[test]
fn shards_are_not_published_unless_asked() {
    let directory = tempfile::tempdir().unwrap();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        let store = options().open(directory.path().join("data")).unwrap();
        store.create_stream("clicks", StreamOptions::new().shards(2)).unwrap();
        store.publish_metrics();
        assert!(snapshot(&snapshotter).keys().all(|name| !name.contains("shard=")));
    });
}
