//! Guards against what only many shards or segments show: descriptors or mappings that are held for each of them, or for those
//! that are long closed, until the process may have no more; and memory or time for opening that grows out of hand.
//!
//! `RIVERBED_SHARDS` says how many there are (1,000; 10,000 in `just shards`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "as above, and what was measured is printed"
)]

#[path = "common/child.rs"]
mod child;
#[path = "common/usage.rs"]
mod usage;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use riverbed::{
    Durability, HashKey, Position, PutRecord, ShardFilter, ShardId, Store, StoreOptions, Stream,
    StreamOptions,
};
use usage::Usage;

/// More than a store keeps open.
const DESCRIPTORS: u64 = 600;

fn options() -> StoreOptions {
    Store::options().durability(Durability::Buffered).segment_len(64 * 1024, 1024 * 1024)
}

fn stream_names(streams: u32) -> Vec<String> {
    (0..streams).map(|number| format!("stream-{number:03}")).collect()
}

/// Puts a record to each shard of each stream, from several threads. Returns how many there were.
fn put_to_all(streams: &[Stream], text: &str) -> usize {
    let shards: Vec<_> = streams
        .iter()
        .flat_map(|stream| stream.shards().into_iter().map(move |shard| (stream, shard)))
        .collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((stream, shard)) = shards.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let record = PutRecord::new("key", text).explicit_hash_key(shard.range.start);
                    assert_eq!(stream.put_record(&record).unwrap().shard_id, shard.id);
                }
            });
        }
    });
    shards.len()
}

/// How many records there are in all shards.
fn count(streams: &[Stream]) -> usize {
    let mut records = 0;
    for stream in streams {
        for shard in stream.shards() {
            let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
            while reader.next().unwrap().is_some() {
                records += 1;
            }
        }
    }
    records
}

/// The child: does what its task says, and reports what that took.
#[test]
fn child_takes() {
    let Some(task) = child::task() else { return };
    let parts: Vec<_> = task.splitn(4, ',').collect();
    let number = |at: usize| parts[at].parse::<u32>().unwrap();
    let (how, streams, shards, path) = (parts[0], number(1), number(2), Path::new(parts[3]));
    child::report("\n");
    match how {
        "create" => {
            let store = options().open(path).unwrap();
            let options = StreamOptions::new().shards(shards);
            let streams: Vec<_> = stream_names(streams)
                .iter()
                .map(|name| store.create_stream(name, options.clone()).unwrap())
                .collect();
            took("put to each shard", || put_to_all(&streams, "first"));
            took("sync", || store.sync().unwrap());
            took("put to each shard again", || put_to_all(&streams, "second"));
            took("close", || store.close().unwrap());
        }
        "open" => {
            let store = took("open", || options().open(path).unwrap());
            assert!(!store.recovery_report().is_damaged());
            let streams: Vec<_> =
                stream_names(streams).iter().map(|name| store.open_stream(name).unwrap()).collect();
            let records = took("read everything", || count(&streams));
            child::report(&format!("records {records}\n"));
            took("put to each shard", || put_to_all(&streams, "third"));
        }
        "follow" => {
            let store = Store::open_read_only(path).unwrap();
            let streams: Vec<_> =
                stream_names(streams).iter().map(|name| store.open_stream(name).unwrap()).collect();
            let mut records = 0;
            took("follow each shard", || {
                for stream in &streams {
                    for shard in stream.shards().unwrap() {
                        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
                        while reader.next().unwrap().is_some() {
                            records += 1;
                        }
                    }
                }
            });
            child::report(&format!("records {records}\n"));
        }
        "reshard" => {
            let store = options().max_mapped_segments(16).open(path).unwrap();
            let stream = store.create_stream("s", StreamOptions::new()).unwrap();
            took("reshard", || reshard(&stream, shards));
            took("close", || store.close().unwrap());
            let store = took("open", || options().max_mapped_segments(16).open(path).unwrap());
            let stream = store.open_stream("s").unwrap();
            child::report(&format!("records {}\n", count_closed_too(&stream)));
        }
        "segments" => {
            let store = options().segment_len(64 * 1024, 64 * 1024).open(path).unwrap();
            let stream = store.create_stream("stream-000", StreamOptions::new()).unwrap();
            // Here the number of shards is that of segments: two records have no room in one.
            took("fill segments", || {
                for _ in 0..shards {
                    stream.put("key", [1; 40_000]).unwrap();
                }
            });
            assert_eq!(stream.stats().shards[0].segments, shards as usize);
        }
        "verify" => {
            let report = took("verify", || Store::verify(path).unwrap());
            assert!(!report.is_damaged(), "{:?}", report.faults);
            child::report(&format!("records {}\n", report.records));
        }
        how => panic!("{how}?"),
    }
    child::report("ended\n");
    if how == "open" || how == "segments" {
        // For the next one to recover from.
        std::process::abort();
    }
}

/// Splits and merges so many times, with a record for each shard.
fn reshard(stream: &Stream, rounds: u32) {
    let mut shard = ShardId::new(0);
    let put = |hash_key: u128| {
        stream.put_record(&PutRecord::new("key", "data").explicit_hash_key(HashKey::from(hash_key))).unwrap();
    };
    put(0);
    for _ in 0..rounds {
        let [low, high] = stream.split_shard(shard, HashKey::from(1 << 127)).unwrap();
        put(0);
        put(u128::MAX);
        shard = stream.merge_shards(low, high).unwrap();
        put(0);
    }
}

fn count_closed_too(stream: &Stream) -> usize {
    let mut records = 0;
    for shard in stream.list_shards(ShardFilter::All) {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while reader.next().unwrap().is_some() {
            records += 1;
        }
    }
    records
}

/// Does something and reports how long it took and what the process takes afterwards.
fn took<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let outcome = act();
    let millis = start.elapsed().as_millis();
    child::report(&format!("{}{what}: {millis} ms\n", Usage::now().line()));
    outcome
}

/// What a child reported.
#[derive(Debug)]
struct Taken {
    most: Usage,
    records: usize,
}

/// Runs a child with this task to its end, with at most so many descriptors.
fn run(how: &str, streams: u32, shards: u32, path: &Path, descriptors: u64) -> Taken {
    let limited = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(limited).arg(std::env::current_exe().unwrap());
    let task = format!("{how},{streams},{shards},{}", path.display());
    let (lines, status) = child::start_by(&mut command, "child_takes", &task).finish();
    println!("{how}, {streams} streams of {shards} shards:");
    let mut taken = Taken { most: Usage::default(), records: 0 };
    for line in &lines {
        if let Some(usage) = Usage::parse(line) {
            let most = &mut taken.most;
            most.anonymous = most.anonymous.max(usage.anonymous);
            most.mappings = most.mappings.max(usage.mappings);
            most.descriptors = most.descriptors.max(usage.descriptors);
            print!(
                "  {} KiB, {} mappings, {} descriptors after ",
                usage.anonymous, usage.mappings, usage.descriptors
            );
        } else if line.contains(" ms") {
            println!("{line}");
        } else if let Some(records) = line.strip_prefix("records ") {
            taken.records = records.parse().unwrap();
        }
    }
    assert!(lines.iter().any(|line| line == "ended"), "{how}: {status}, {lines:?}");
    taken
}

fn check(taken: &Taken, shards: u64) {
    let Usage { anonymous, mappings, descriptors, .. } = taken.most;
    assert!(anonymous < 32 * 1024 + 16 * shards, "{anonymous} KiB of memory");
    assert!(mappings < 1000 + 2 * shards, "{mappings} mappings");
    assert!(descriptors < DESCRIPTORS, "{descriptors} descriptors");
}

#[test]
fn many_shards_are_opened_written_read_and_recovered() {
    let all = u32::try_from(child::number("RIVERBED_SHARDS", 1000)).unwrap();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // The same number of shards in one stream and in a hundred.
    for streams in [1, 100] {
        let shards = all / streams;
        let count = u64::from(shards * streams);
        let path = directory.path().join(format!("store-{streams}"));
        check(&run("create", streams, shards, &path, 1024), count);
        let follower = run("follow", streams, shards, &path, 1024);
        check(&follower, count);
        assert_eq!(follower.records as u64, 2 * count);
        for (opening, records) in [(1, 2), (2, 3)] {
            let taken = run("open", streams, shards, &path, 1024);
            check(&taken, count);
            assert_eq!(taken.records as u64, records * count, "opening {opening}");
        }
        std::fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn few_descriptors_are_enough() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("store");
    // Besides these the process has some of its own.
    let taken = run("create", 2, 100, &path, 40);
    assert!(taken.most.descriptors < 40);
    assert_eq!(run("open", 2, 100, &path, 40).records, 400);
    assert_eq!(run("open", 2, 100, &path, 40).records, 600);
}

#[test]
fn a_shard_may_have_more_segments_than_the_process_descriptors() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("store");
    run("segments", 1, 100, &path, 1024);
    // First all of them are as the killed process has left them, then sealed.
    for (opening, records) in [(1, 100), (2, 101)] {
        assert_eq!(run("verify", 1, 1, &path, 40).records, records, "opening {opening}");
        assert_eq!(run("open", 1, 1, &path, 40).records, records, "opening {opening}");
    }
}

#[test]
fn shards_that_have_ended_take_no_descriptor_and_no_mapping() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let taken = run("reshard", 1, 40, &directory.path().join("store"), 1024);
    assert_eq!(taken.records, 121);
    assert!(taken.most.descriptors < 40, "{taken:?}");
    assert!(taken.most.mappings < 120, "{taken:?}");
}
