//! Guards against a reader in another process that sees half a record, a record twice, out of order or not at all, or one that
//! recovery takes back, while the writer is killed at random and started again; against one that needs to write; and
//! against one that dies with the writer's files.
//!
//! `RIVERBED_KILLS` says how often the writer is killed, `RIVERBED_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and the seed is printed")]

#[path = "common/child.rs"]
mod child;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use child::{Ack, Id, Records, Task};
use riverbed::{
    Durability, Position, PutRecord, ReadError, ReadLevel, ReaderOptions, Retention, Store, StreamOptions,
};

const SHARDS: u32 = 2;
const SEGMENT: u64 = 64 * 1024;
/// The data of the last record of each shard.
const LAST: &[u8] = b"the last record";

#[test]
fn child_writes() {
    child::write_if_child();
}

/// The other child: follows all shards at a level to their last records, and reports what it sees.
#[test]
fn child_follows() {
    let Some(task) = child::task() else { return };
    let (how, path) = task.split_once(',').unwrap();
    let level = if how.contains("durable") { ReadLevel::Durable } else { ReadLevel::Appended };
    let dawdles = how.contains("dawdling");
    child::report("\nfollowing\n");
    let stream = loop {
        match Store::open_read_only(path).ok().and_then(|store| store.open_stream("s").ok()) {
            Some(stream) => break stream,
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    thread::scope(|scope| {
        for shard in stream.shards().unwrap() {
            let stream = &stream;
            scope.spawn(move || {
                let options = ReaderOptions::new().level(level);
                let mut reader = stream.reader_with(shard.id, Position::TrimHorizon, options).unwrap();
                let mut random = fastrand::Rng::new();
                let mut lines = String::new();
                loop {
                    let mut ended = false;
                    // Hurries sometimes, dawdles sometimes.
                    for _ in 0..random.u32(1..200) {
                        match reader.next() {
                            Ok(None) => break,
                            Ok(Some(record)) if record.data() == LAST => ended = true,
                            Ok(Some(record)) => line(&mut lines, &record),
                            Err(error) => told(&mut lines, &error),
                        }
                    }
                    child::report(&lines);
                    lines.clear();
                    if ended {
                        break;
                    }
                    if let Err(error) = reader.wait(Duration::from_millis(random.u64(0..50))) {
                        told(&mut lines, &error);
                    }
                    if dawdles && random.u8(..30) == 0 {
                        thread::sleep(Duration::from_millis(random.u64(..700)));
                    }
                }
            });
        }
    });
    child::report("ended\n");
}

fn told(lines: &mut String, error: &ReadError) {
    match error {
        ReadError::Trimmed { oldest } => writeln!(lines, "trimmed {oldest}").unwrap(),
        error => {
            child::report(&format!("error {error:?}\n"));
            std::process::exit(1);
        }
    }
}

/// Reports a record, having checked that it is what some child wrote, byte for byte.
fn line(lines: &mut String, record: &riverbed::Record<'_>) {
    let number = record.sequence_number();
    match Id::of(record.data()) {
        Some(id) if record.data() == id.data() && record.partition_key().unwrap() == id.key() => {
            let Id { run, writer, index } = id;
            writeln!(lines, "seen {number} {run} {writer} {index}").unwrap();
        }
        _ => writeln!(lines, "error record {number} is not what was written: {record:?}").unwrap(),
    }
}

/// What one follower has reported of one shard, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Record(u128, Id),
    /// Records before this number have been removed.
    Trimmed(u128),
}

/// Collects what a follower reports until it ends, which it does in good order.
fn follow(how: &'static str, path: &Path) -> thread::JoinHandle<BTreeMap<u32, Vec<Seen>>> {
    collect(how, child::start("child_follows", &format!("{how},{}", path.display())))
}

fn collect(how: &'static str, mut started: child::Started) -> thread::JoinHandle<BTreeMap<u32, Vec<Seen>>> {
    started.line_starting(&["following"]);
    thread::spawn(move || {
        let (lines, status) = started.finish();
        if let Some(error) = lines.iter().find(|line| line.starts_with("error")) {
            panic!("the {how} follower says: {error}");
        }
        assert!(status.success(), "the {how} follower died: {status}");
        assert!(lines.iter().any(|line| line == "ended"));
        let mut shards: BTreeMap<u32, Vec<Seen>> = BTreeMap::new();
        for line in &lines {
            let seen = if let Some(words) = line.strip_prefix("seen ") {
                let parts: Vec<u128> = words.split(' ').map(|word| word.parse().unwrap()).collect();
                let part = |at: usize| u64::try_from(parts[at]).unwrap();
                Seen::Record(parts[0], Id { run: part(1), writer: part(2), index: part(3) })
            } else if let Some(number) = line.strip_prefix("trimmed ") {
                Seen::Trimmed(number.parse().unwrap())
            } else {
                continue;
            };
            let (Seen::Record(number, _) | Seen::Trimmed(number)) = seen;
            shards.entry(child::shard_of(number)).or_default().push(seen);
        }
        shards
    })
}

/// Checks that a follower has seen exactly `all`, in order, but for what it was told it had missed. Returns how often it was.
fn check_followed(seen: &BTreeMap<u32, Vec<Seen>>, all: &Records) -> usize {
    let mut trims = 0;
    for shard in 0..SHARDS {
        let mut expected = all.iter().filter(|&(&number, _)| child::shard_of(number) == shard).peekable();
        let mut last = None;
        for seen in seen.get(&shard).into_iter().flatten() {
            match *seen {
                Seen::Record(number, id) => {
                    assert!(last < Some(number), "{number} follows {last:?}");
                    last = Some(number);
                    let next = expected.next();
                    assert_eq!(next, Some((&number, &id)), "what comes next, and what a follower saw");
                }
                Seen::Trimmed(oldest) => {
                    trims += 1;
                    while expected.next_if(|&(&number, _)| number < oldest).is_some() {}
                }
            }
        }
        assert_eq!(expected.next(), None, "seen by nobody");
    }
    trims
}

/// Everything in the store as it lies there, read without writing.
fn read_now(path: &Path, level: ReadLevel) -> Records {
    let mut all = Records::new();
    let Ok(stream) = Store::open_read_only(path).unwrap().open_stream("s") else {
        return all;
    };
    for shard in stream.shards().unwrap() {
        let options = ReaderOptions::new().level(level);
        let mut reader = stream.reader_with(shard.id, Position::TrimHorizon, options).unwrap();
        let mut last = None;
        while let Some(record) = reader.next().unwrap() {
            let number = record.sequence_number().as_u128();
            assert!(last < Some(number));
            last = Some(number);
            let id = Id::of(record.data()).unwrap();
            assert!(record.data() == id.data());
            all.insert(number, id);
        }
    }
    all
}

/// Lets one writer after the other write, for at least so long, and kills them. Returns every record that there ever was, as far as acknowledgements
/// and readers of the dead store know.
fn write_and_kill(path: &Path, kills: u64, lifetime: Duration, random: &mut fastrand::Rng) -> Records {
    let mut known = Records::new();
    for run in 0..kills {
        let task = Task {
            path: path.to_owned(),
            run,
            writers: random.u64(1..5),
            shards: SHARDS,
            segment_len: SEGMENT,
            durabilities: (*random.choice(&["BPI", "B", "P", "M"]).unwrap()).to_owned(),
        };
        let mut child = task.start("child_writes");
        child.line_starting(&["opening"]);
        let mut acks: Vec<Ack> = Vec::new();
        if random.u8(..8) > 0 {
            let target = random.usize(..600);
            child.line_starting(&["ready"]);
            let began = Instant::now();
            while acks.len() < target || began.elapsed() < lifetime {
                acks.extend(Ack::parse(&child.line_starting(&["ack"])));
            }
        }
        thread::sleep(Duration::from_micros(random.u64(..3000)));
        acks.extend(child.kill().iter().filter_map(|line| Ack::parse(line)));

        let durable: Records =
            acks.iter().filter(|ack| ack.immediate).map(|ack| (ack.number, ack.id)).collect();
        let acks: Records = acks.iter().map(|ack| (ack.number, ack.id)).collect();
        if path.join("store.json").exists() {
            let dead = read_now(path, ReadLevel::Appended);
            let oldest = oldest_of(&dead);
            let kept = |records: &Records| -> Records {
                let is_kept =
                    |number: &u128| oldest.get(&child::shard_of(*number)).is_some_and(|it| it <= number);
                records
                    .iter()
                    .filter(|(number, _)| is_kept(number))
                    .map(|(&number, &id)| (number, id))
                    .collect()
            };
            child::check_there(&kept(&known), &dead, "formerly there");
            child::check_there(&kept(&acks), &dead, "acknowledged, read from a dead store");
            child::check_there(
                &kept(&durable),
                &read_now(path, ReadLevel::Durable),
                "acknowledged as durable, read from a dead store",
            );
            known.extend(dead);
        }
        known.extend(acks);
    }
    known
}

/// The oldest number of each shard.
fn oldest_of(records: &Records) -> BTreeMap<u32, u128> {
    let mut oldest = BTreeMap::new();
    for &number in records.keys() {
        oldest.entry(child::shard_of(number)).or_insert(number);
    }
    oldest
}

/// Ends every shard with a record that tells the followers so.
fn finish(path: &Path) {
    let store = child::open(path, SEGMENT);
    assert!(!store.recovery_report().is_damaged());
    let stream = store.open_stream("s").unwrap();
    for shard in stream.shards() {
        let last = PutRecord::new("last", LAST).explicit_hash_key(shard.range.start);
        stream.put_record(&last.durability(Durability::Buffered)).unwrap();
    }
    store.close().unwrap();
}

#[test]
fn followers_see_everything_once_whatever_happens_to_the_writer() {
    let seed = child::seed("read_only_processes");
    let kills = child::number("RIVERBED_KILLS", 12);
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("store");
    let followers = [follow("appended", &path), follow("durable", &path)];
    let mut known = write_and_kill(&path, kills, Duration::ZERO, &mut random);
    let store = child::open(&path, SEGMENT);
    known.extend(child::read_checked(&store));
    if store.list_streams().is_empty() {
        store.create_stream("s", StreamOptions::new().shards(SHARDS)).unwrap();
    }
    store.close().unwrap();
    finish(&path);
    for follower in followers {
        assert_eq!(check_followed(&follower.join().unwrap(), &known), 0, "nothing was trimmed");
    }
    println!("{kills} kills, {} records, seen by each of two followers once and in order", known.len());
}

#[test]
fn followers_are_told_what_retention_has_taken_from_them() {
    let seed = child::seed("read_only_processes, retention");
    let kills = child::number("RIVERBED_KILLS", 12);
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("store");
    let store = child::open(&path, SEGMENT);
    let retention = Retention::of_age(Duration::from_millis(200));
    store.create_stream("s", StreamOptions::new().shards(SHARDS).retention(retention)).unwrap();
    store.close().unwrap();
    let followers = [follow("dawdling appended", &path), follow("dawdling durable", &path)];
    // Long enough for retention to come round.
    let known = write_and_kill(&path, kills, Duration::from_millis(300), &mut random);
    finish(&path);
    for follower in followers {
        let seen = follower.join().unwrap();
        let count: usize = seen.values().map(Vec::len).sum();
        let trims = check_followed_of(&seen, &known);
        println!("{kills} kills: {count} of {} records seen, overtaken {trims} times", known.len());
    }
}

/// As [`check_followed`], where records may have been written and removed without anybody knowing of them.
fn check_followed_of(seen: &BTreeMap<u32, Vec<Seen>>, known: &Records) -> usize {
    let mut all = known.clone();
    for seen in seen.values().flatten() {
        if let Seen::Record(number, id) = *seen
            && let Some(before) = all.insert(number, id)
        {
            assert_eq!(before, id, "{number} is two records");
        }
    }
    // What was removed before the follower had begun is not missed.
    for shard in 0..SHARDS {
        let first = seen.get(&shard).into_iter().flatten().find_map(|seen| match seen {
            Seen::Record(number, _) => Some(*number),
            Seen::Trimmed(_) => None,
        });
        if let Some(first) = first {
            all.retain(|&number, _| child::shard_of(number) != shard || number >= first);
        }
    }
    check_followed(seen, &all)
}

/// Takes the right to write from everything in a directory, or gives it back; for others than root.
fn make_writable(path: &Path, writable: bool) {
    let mode = |mode| if writable { mode | 0o200 } else { mode };
    if path.is_dir() {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        for entry in std::fs::read_dir(path).unwrap() {
            make_writable(&entry.unwrap().path(), writable);
        }
        std::fs::set_permissions(path, Permissions::from_mode(mode(0o555))).unwrap();
    } else {
        std::fs::set_permissions(path, Permissions::from_mode(mode(0o444))).unwrap();
    }
}

/// Every file and directory: when it was changed, and what is in it.
fn tree(path: &Path, into: &mut BTreeMap<PathBuf, (SystemTime, Vec<u8>)>) {
    let changed = path.metadata().unwrap().modified().unwrap();
    if path.is_dir() {
        into.insert(path.to_owned(), (changed, Vec::new()));
        for entry in std::fs::read_dir(path).unwrap() {
            tree(&entry.unwrap().path(), into);
        }
    } else {
        into.insert(path.to_owned(), (changed, std::fs::read(path).unwrap()));
    }
}

#[test]
fn a_store_that_may_not_be_written_is_followed_and_stays_as_it_is() {
    // A user who may do nothing, where this is root, whom no permission stops.
    const NOBODY: u32 = 65_534;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let path = directory.path().join("store");
    let mut random = fastrand::Rng::with_seed(child::seed("read_only_processes, permissions"));
    child::open(&path, SEGMENT).create_stream("s", StreamOptions::new().shards(SHARDS)).unwrap();
    let known = write_and_kill(&path, 2, Duration::ZERO, &mut random);
    finish(&path);
    make_writable(&path, false);
    let mut before = BTreeMap::new();
    tree(&path, &mut before);

    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(&program);
    let is_root = directory.path().metadata().unwrap().uid() == 0;
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
        let reachable = Command::new("test").uid(NOBODY).args(["-x".as_ref(), program.as_os_str()]).status();
        if !reachable.is_ok_and(|status| status.success()) {
            println!("read-only directory: skipped, another user cannot reach {}", program.display());
            return;
        }
    }
    let task = format!("appended,{}", path.display());
    let follower = collect("unprivileged", child::start_by(&mut command, "child_follows", &task));
    assert_eq!(check_followed(&follower.join().unwrap(), &known), 0);
    let mut after = BTreeMap::new();
    tree(&path, &mut after);
    assert!(before == after, "something was written");
    make_writable(&path, true);
}
