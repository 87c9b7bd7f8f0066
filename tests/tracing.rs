//! Guards against events that nobody is told of, or that do not say what they are about.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "says when it could show nothing")]

use std::cell::RefCell;
use std::fmt::Debug;
use std::io::ErrorKind;
use std::sync::{Once, mpsc};
use std::thread;
use std::time::Duration;

use riverbed::testing::{Disk, Operation, Verdict};
use riverbed::{Maintenance, Store, StoreOptions, Stream, StreamOptions};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

thread_local! {
    /// What was told on this thread, as text.
    static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn options() -> StoreOptions {
    Store::options().maintenance(Maintenance::Manual).segment_len(64 << 10, 64 << 10)
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

struct Collect;

impl<S: tracing::Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "riverbed" {
            let mut text = Text(event.metadata().level().to_string());
            event.record(&mut text);
            TOLD.with_borrow_mut(|told| told.push(text.0));
        }
    }
}

/// What is told while `act` runs, on this thread.
fn told_by(act: impl FnOnce()) -> Vec<String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Collect)).unwrap();
    });
    TOLD.take();
    act();
    TOLD.take()
}

#[track_caller]
fn assert_told(events: &[String], parts: &[&str]) {
    let told = events.iter().any(|event| parts.iter().all(|part| event.contains(part)));
    assert!(told, "{parts:?} is not in {events:#?}");
}

#[test]
fn what_happens_to_a_store_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let told = told_by(|| {
        let store = options().open(directory.path().join("data")).unwrap();
        let stream = store.create_stream("clicks", StreamOptions::new()).unwrap();
        for _ in 0..3000 {
            stream.put("k", [7; 100]).unwrap();
        }
        stream.sync().unwrap();
        let newest = stream.stats().shards[0].newest.unwrap().0;
        stream.trim_to(newest).unwrap();
        stream.update_shard_count(2).unwrap();
        store.delete_stream("clicks").unwrap();
        store.close().unwrap();
    });
    assert_told(&told, &["INFO", "opened a store", "clean=true"]);
    assert_told(&told, &["INFO", "created a stream", "stream=\"clicks\"", "shards=1"]);
    assert_told(&told, &["DEBUG", "began a segment", "ordinal=2", "ready=false"]);
    assert_told(&told, &["TRACE", "synced", "next=3000"]);
    assert_told(&told, &["DEBUG", "removed the oldest segments"]);
    assert_told(&told, &["INFO", "split or merged shards", "open_shards=2"]);
    assert_told(&told, &["INFO", "deleted a stream"]);
    assert_told(&told, &["INFO", "closed a store"]);
}

#[test]
fn a_failed_sync_is_told_with_what_to_do() {
    let disk = Disk::new();
    let told = told_by(|| {
        let store = options().storage(&disk).open("data").unwrap();
        let stream = store.create_stream("clicks", StreamOptions::new()).unwrap();
        stream.put("k", b"lost").unwrap();
        disk.plan(|call| match call.operation {
            Operation::SyncData => Verdict::Fail(ErrorKind::Other),
            _ => Verdict::Proceed,
        });
        stream.sync().unwrap_err();
        store.close().unwrap_err();
    });
    assert_told(&told, &["ERROR", "a sync failed", "until the store is opened again", "shard-000000"]);
    assert_told(&told, &["ERROR", "closed a store, but not in good order"]);
}

/// What the tests below have the disk wait for, some of it twice and more.
const LATE: Duration = Duration::from_millis(100);

/// Syncs a stream, and deletes it while the sync waits for the disk.
fn sync_while_deleted(store: &Store, clicks: &Stream) {
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(LATE);
            store.delete_stream("clicks").unwrap();
        });
        if clicks.sync().is_ok() {
            println!("the deletion came too late to show anything");
        }
    });
}

/// A file that has to be opened to be synced is not there any more.
#[test]
fn a_stream_that_is_deleted_while_it_is_synced_tells_of_no_failure() {
    let disk = Disk::new();
    let store = options().storage(&disk).max_open_files(1).open("data").unwrap();
    let [clicks, other] =
        ["clicks", "other"].map(|name| store.create_stream(name, StreamOptions::new()).unwrap());
    clicks.put("k", b"deleted").unwrap();
    // Has the first one's file closed.
    other.put("k", b"kept").unwrap();
    disk.plan(|call| match call.operation {
        Operation::OpenFile if call.path.to_str().is_some_and(|path| path.contains("clicks")) => {
            Verdict::Delay(2 * LATE)
        }
        _ => Verdict::Proceed,
    });
    let told = told_by(|| sync_while_deleted(&store, &clicks));
    assert!(!told.iter().any(|event| event.contains("ERROR")), "{told:#?}");
    other.put("k", b"kept too").unwrap();
}

/// Nor when the deleting itself waits, for the next segment that is just being made.
#[test]
fn a_stream_whose_deletion_waits_tells_of_no_failure() {
    let disk = Disk::new();
    let options = options().maintenance(Maintenance::Threads).storage(&disk).max_open_files(0);
    let store = options.open("data").unwrap();
    let clicks = store.create_stream("clicks", StreamOptions::new()).unwrap();
    let (begun, has_begun) = mpsc::channel();
    clicks.put("k", b"deleted").unwrap();
    disk.plan(move |call| match call.operation {
        Operation::CreateFile if call.path.starts_with("data/streams/clicks") => {
            begun.send(()).unwrap();
            Verdict::Delay(3 * LATE)
        }
        Operation::OpenFile if call.path.starts_with("data/streams/clicks") => Verdict::Delay(2 * LATE),
        _ => Verdict::Proceed,
    });
    let told = told_by(|| {
        // More than half of a segment.
        clicks.put("k", [7; 40 << 10]).unwrap();
        has_begun.recv().unwrap();
        sync_while_deleted(&store, &clicks);
    });
    assert!(!told.iter().any(|event| event.contains("ERROR")), "{told:#?}");
}
