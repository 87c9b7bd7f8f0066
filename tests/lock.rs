//! Guards against two writers in one store (which would overwrite each other), against a lock that outlives its holder,
//! and against a refusal that does not say who holds it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::expect_used, clippy::print_stdout, reason = "for the shared module")]

use std::path::Path;

use riverbed::testing::Disk;
use riverbed::{OpenError, Position, Store, StreamOptions};

#[path = "common/child.rs"]
mod child;

/// What the refusal says of the holder.
fn refused(path: &Path) -> String {
    match Store::open(path) {
        Err(OpenError::Locked { path: locked, holder }) => {
            assert_eq!(locked, path);
            let holder = holder.unwrap();
            let error = OpenError::Locked { path: locked, holder: Some(holder.clone()) }.to_string();
            assert!(error.contains(&holder) && error.contains(&path.display().to_string()), "{error}");
            holder
        }
        other => panic!("{other:?}"),
    }
}

fn pid_in(holder: &str) -> u32 {
    holder.strip_prefix("process ").unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_second_opener_in_the_process_is_refused_until_the_close() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = Store::open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", b"one").unwrap();
    for _ in 0..2 {
        let holder = refused(&path);
        assert_eq!(pid_in(&holder), std::process::id(), "{holder}");
        assert!(holder.contains(" of lock-"), "the program is named: {holder}");
    }
    // The refused ones did no harm.
    stream.put("k", b"two").unwrap();
    store.close().unwrap();

    // The closed handles are still there.
    let again = Store::open(&path).unwrap();
    assert_eq!(again.open_stream("s").unwrap().stats().shards[0].records, 2);
    refused(&path);
    drop((store, stream));
    refused(&path);
    again.close().unwrap();
    again.close().unwrap();
}

#[test]
fn what_the_last_holder_wrote_of_itself_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    Store::open(&path).unwrap().close().unwrap();
    for before in ["", "process 1 of x", &"process 12345678 of a program with a name ".repeat(20)] {
        std::fs::write(path.join("LOCK"), before).unwrap();
        let store = Store::open(&path).unwrap();
        let holder = refused(&path);
        assert_eq!(pid_in(&holder), std::process::id(), "{holder}");
        assert!(holder.contains(" of lock-") && holder.split(' ').count() == 4, "{holder}");
        store.close().unwrap();
    }
}

#[test]
fn the_last_drop_releases_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = Store::open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let clone = store.clone();
    drop(store);
    refused(&path);
    drop(clone);
    // A stream keeps its store open, and a clone of it does.
    refused(&path);
    let clone = stream.clone();
    drop(stream);
    refused(&path);
    clone.put("k", b"still open").unwrap();
    drop(clone);
    Store::open(&path).unwrap();
}

#[test]
fn a_reader_that_lives_on_holds_nothing_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = Store::open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let shard = stream.put("k", b"one").unwrap().shard_id;
    stream.put("k", b"two").unwrap();
    let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().data(), b"one");
    drop((store, stream));

    let store = Store::open(&path).unwrap();
    let stream = store.open_stream("s").unwrap();
    stream.put("k", b"three").unwrap();
    assert_eq!(reader.next().unwrap().unwrap().data(), b"two");
    drop(reader);
    refused(&path);
    assert_eq!(stream.stats().shards[0].records, 3);
}

#[test]
fn the_disk_of_the_testing_kit_locks_too() {
    let disk = Disk::new();
    let store = Store::options().storage(&disk).open("data").unwrap();
    let second = Store::options().storage(&disk).open("data");
    assert!(matches!(second, Err(OpenError::Locked { .. })), "{second:?}");
    Store::options().storage(&disk).open("other").unwrap();
    drop(store);
    Store::options().storage(&disk).open("data").unwrap();
}

#[test]
fn another_process() {
    const TEST: &str = "another_process";
    if let Some(task) = child::task() {
        let (what, path) = task.split_once(':').unwrap();
        match Store::open(path) {
            Ok(_store) if what == "hold" => {
                child::report("\nholding\n");
                loop {
                    std::thread::park();
                }
            }
            Ok(_) => child::report("\nopened\n"),
            Err(OpenError::Locked { holder, .. }) => {
                child::report(&format!("\nlocked {}\n", holder.unwrap()));
            }
            Err(error) => child::report(&format!("\nerror {error}\n")),
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let text = path.to_str().unwrap();

    // This process holds it, another is refused.
    let store = Store::open(&path).unwrap();
    let mut child = child::start(TEST, &format!("try:{text}"));
    let line = child.line_starting(&["locked ", "opened"]);
    assert_eq!(pid_in(line.strip_prefix("locked ").unwrap()), std::process::id());
    assert!(child.finish().1.success());
    store.close().unwrap();
    let mut child = child::start(TEST, &format!("try:{text}"));
    assert_eq!(child.line_starting(&["locked ", "opened"]), "opened");
    assert!(child.finish().1.success());

    // Another holds it, this one is refused, until the other is killed.
    let mut child = child::start(TEST, &format!("hold:{text}"));
    child.line_starting(&["holding"]);
    let holder = refused(&path);
    assert_ne!(pid_in(&holder), std::process::id());
    child.kill();
    drop(store);
    Store::open(&path).unwrap();
}
