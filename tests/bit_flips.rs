//! Guards against damage that passes unnoticed: whatever bit flips and wherever a file is cut, every record is served as
//! it was put, or an error or a finding says that something is wrong.
//!
//! A sample by default; `RIVERBED_FLIPS=all` flips every bit of every byte that is not zero.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "seeds and counts, for whoever looks into a failure")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use riverbed::testing::Disk;
use riverbed::{
    Durability, HashKey, Maintenance, OpenError, Position, PutRecord, ReadError, Store, StoreOptions, Stream,
    StreamError, StreamOptions,
};

const THREADS: usize = 2;

/// A record, its number and arrival included.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    number: u64,
    time: u64,
    key: Vec<u8>,
    hash_key: Option<HashKey>,
    metadata: Vec<u8>,
    data: Vec<u8>,
}

/// The records of each shard of each stream.
type Contents = BTreeMap<(String, usize), Vec<Seen>>;

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
}

fn all() -> bool {
    std::env::var("RIVERBED_FLIPS").is_ok_and(|value| value == "all")
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stop {
    Closed,
    Killed,
}

/// Two streams of three segments each, whose bytes are mostly zero, so that every one that is not can be flipped.
fn small_store(stop: Stop) -> Disk {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let large: Vec<u8> = std::iter::once(7).chain([0; 12_000]).collect();
    for name in ["a", "b"] {
        let stream = store.create_stream(name, StreamOptions::new()).unwrap();
        for index in 0_u8..22 {
            let small = [name.as_bytes(), b" says ", &[b'0' + index]].concat();
            let data = if index % 2 == 0 { &large } else { &small };
            let mut record = PutRecord::new("key", data).durability(Durability::Immediate);
            if index % 3 == 1 {
                record = record.metadata(b"about it").explicit_hash_key(HashKey::from(u128::from(index)));
            }
            stream.put_record(&record).unwrap();
            // The last background work stays undone, as it does when a process dies.
            if index < 18 {
                store.maintain();
            }
        }
        if stop == Stop::Killed {
            for _ in 0..3 {
                stream
                    .put_record(&PutRecord::new("key", b"buffered").durability(Durability::Buffered))
                    .unwrap();
            }
        }
    }
    match stop {
        Stop::Closed => {
            store.close().unwrap();
            disk
        }
        Stop::Killed => {
            std::mem::forget(store);
            disk.kill()
        }
    }
}

/// A store with shards, segments of many sizes and random records, whose last segments are not synced to their ends.
fn larger_store(seed: u64, stop: Stop) -> Disk {
    let mut rng = fastrand::Rng::with_seed(seed);
    let disk = Disk::new();
    let open = options(&disk).segment_len(64 * 1024, 256 * 1024);
    let store = open.open("data").unwrap();
    for name in ["orders", "clicks", "empty"] {
        let stream = store.create_stream(name, StreamOptions::new().shards(3)).unwrap();
        let records = if name == "empty" { 0 } else { 250 };
        for _ in 0..records {
            let len = if rng.u8(..) < 16 { rng.usize(0..40_000) } else { rng.usize(0..2000) };
            let data: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
            let level = if rng.u8(..) < 200 { Durability::Immediate } else { Durability::Buffered };
            stream.put_record(&PutRecord::new(&rng.u32(..).to_string(), &data).durability(level)).unwrap();
            if rng.bool() {
                store.maintain();
            }
        }
    }
    match stop {
        Stop::Closed => {
            store.close().unwrap();
            disk
        }
        Stop::Killed => {
            std::mem::forget(store);
            disk.kill()
        }
    }
}

/// Everything that can be read of one shard, and the damage met on the way.
fn read(stream: &Stream, shard: usize) -> (Vec<Seen>, Vec<ReadError>) {
    let (mut found, mut damage) = (Vec::new(), Vec::new());
    let mut reader = match stream.reader(stream.shards()[shard].id, Position::TrimHorizon) {
        Ok(reader) => reader,
        Err(error) => return (found, vec![error]),
    };
    loop {
        match reader.next() {
            Ok(Some(record)) => found.push(Seen {
                number: record.sequence_number().counter(),
                time: record.arrival_time().as_nanos(),
                key: record.key().to_vec(),
                hash_key: record.explicit_hash_key(),
                metadata: record.metadata().to_vec(),
                data: record.data().to_vec(),
            }),
            Ok(None) => return (found, damage),
            Err(error) => {
                assert!(damage.len() < 20, "the reader does not get past {error}");
                damage.push(error);
                if let Err(error) = reader.skip_damage() {
                    damage.push(error);
                    return (found, damage);
                }
            }
        }
    }
}

/// What is in an undamaged store.
fn contents(disk: &Disk) -> Contents {
    let store = options(&disk.duplicate().unwrap()).open("data").unwrap();
    let mut contents = Contents::new();
    for name in store.list_streams() {
        let stream = store.open_stream(&name).unwrap();
        for shard in 0..stream.shards().len() {
            let (found, damage) = read(&stream, shard);
            assert!(damage.is_empty());
            contents.insert((name.clone(), shard), found);
        }
    }
    contents
}

/// How damage showed.
#[derive(Debug, Default)]
struct Tally {
    cases: AtomicUsize,
    harmless: AtomicUsize,
    store_refused: AtomicUsize,
    stream_refused: AtomicUsize,
    records_missing: AtomicUsize,
    written_to: AtomicUsize,
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Opens a damaged store and reads everything. `Err` says which promise was broken.
fn check(
    disk: &Disk,
    before: &Contents,
    stop: Stop,
    damaged: &Path,
    write: bool,
    tally: &Tally,
) -> Result<(), String> {
    count(&tally.cases);
    // What is lost, verifying finds without opening.
    let verified = write.then(|| options(disk).verify("data").unwrap());
    let store = match options(disk).open("data") {
        Ok(store) => store,
        Err(OpenError::Damaged { path, .. } | OpenError::NewerFormat { path, .. }) => {
            count(&tally.store_refused);
            if verified.is_some_and(|report| !report.damage().any(|fault| fault.path == damaged)) {
                return Err("verifying does not find it".to_owned());
            }
            return if path == damaged { Ok(()) } else { Err(format!("{} is blamed", path.display())) };
        }
        Err(error) => return Err(format!("the store does not open: {error}: {error:?}")),
    };
    let report = store.recovery_report();
    let mut harmless = true;
    for ((name, shard), expected) in before {
        let stream = match store.open_stream(name) {
            Ok(stream) => stream,
            Err(StreamError::Damaged { path, .. }) if path == damaged => {
                count(&tally.stream_refused);
                harmless = false;
                continue;
            }
            Err(error) => return Err(format!("stream {name} does not open: {error}")),
        };
        let (found, damage) = read(&stream, *shard);
        let mut rest = expected.iter();
        for seen in &found {
            if !rest.any(|record| record == seen) {
                return Err(format!(
                    "{name}/{shard}: a record that was never put, or out of order: {seen:?}"
                ));
            }
        }
        let mine = || {
            let of_shard = |shard_name: &str, number: u32| shard_name == name && number as usize == *shard;
            report.findings().filter(move |(owner, _)| of_shard(&owner.stream, owner.shard))
        };
        let lost = mine().any(|(_, finding)| finding.row.is_damage());
        let dropped = mine().any(|(_, finding)| finding.dropped_bytes > 0);
        if found.len() < expected.len() {
            harmless = false;
            count(&tally.records_missing);
            // In a store that was closed, nothing is an unacknowledged tail.
            let told = !damage.is_empty() || lost || dropped;
            if !told {
                let missing = expected.len() - found.len();
                return Err(format!("{name}/{shard}: {missing} records are missing, and nobody says so"));
            }
        }
        let is_here = |path: &Path| path.starts_with(damaged.parent().unwrap());
        for error in &damage {
            harmless = false;
            match error {
                ReadError::Corrupt { path, .. } if is_here(path) => {}
                ReadError::Corrupt { path, .. } => return Err(format!("{} is blamed", path.display())),
                ReadError::Io(error) if error.path == damaged => {}
                other => return Err(format!("{name}/{shard}: {other:?}")),
            }
        }
        if stop == Stop::Closed && dropped && found.len() < expected.len() && damage.is_empty() && !lost {
            return Err(format!(
                "{name}/{shard}: durable records pass for an unacknowledged tail: {report:#?}"
            ));
        }
    }
    if harmless {
        count(&tally.harmless);
    }
    if let Some(report) = verified {
        let blamed = report.faults.iter().any(|fault| fault.path == damaged);
        let found = blamed && (report.is_damaged() || stop == Stop::Killed);
        if !harmless && !found {
            return Err(format!("verifying does not find it: {:?}", report.faults));
        }
    }
    if write {
        count(&tally.written_to);
        write_and_reopen(disk, store, before)?;
    }
    Ok(())
}

/// A store with damage takes new records, above every number there ever was, and keeps them and what could be read.
fn write_and_reopen(disk: &Disk, store: Store, before: &Contents) -> Result<(), String> {
    let mut kept = Contents::new();
    for ((name, shard), expected) in before {
        let Ok(stream) = store.open_stream(name) else { continue };
        let range = stream.shards()[*shard].range;
        let record = PutRecord::new("new", b"afterwards")
            .explicit_hash_key(range.start)
            .durability(Durability::Immediate);
        let put = stream.put_record(&record).map_err(|error| format!("{name}/{shard}: {error}"))?;
        if expected.last().is_some_and(|last| last.number >= put.sequence_number.counter()) {
            return Err(format!("{name}/{shard}: number {} is used twice", put.sequence_number));
        }
        kept.insert((name.clone(), *shard), read(&stream, *shard).0);
    }
    store.close().map_err(|error| error.to_string())?;
    drop(store);
    let store = options(disk).open("data").map_err(|error| format!("not a second time: {error}"))?;
    for ((name, shard), kept) in &kept {
        let stream = store.open_stream(name).map_err(|error| error.to_string())?;
        let (found, _) = read(&stream, *shard);
        if found != *kept {
            let (found, kept) = (found.len(), kept.len());
            return Err(format!("{name}/{shard}: {kept} records before reopening, {found} afterwards"));
        }
        if found.last().is_none_or(|last| last.data != b"afterwards") {
            return Err(format!("{name}/{shard}: the new record is not the last"));
        }
    }
    Ok(())
}

/// One thing that can happen to a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip { path: PathBuf, offset: usize, bit: u32 },
    Overwrite { path: PathBuf, offset: usize, bytes: Vec<u8> },
    Cut { path: PathBuf, len: usize },
}

impl Damage {
    fn path(&self) -> &Path {
        match self {
            Self::Flip { path, .. } | Self::Overwrite { path, .. } | Self::Cut { path, .. } => path,
        }
    }

    fn apply(&self, disk: &Disk) {
        match self {
            Self::Flip { path, offset, bit } => {
                let byte = disk.read(path).unwrap()[*offset] ^ (1 << bit);
                disk.damage(path, *offset, &[byte]).unwrap();
            }
            Self::Overwrite { path, offset, bytes } => disk.damage(path, *offset, bytes).unwrap(),
            Self::Cut { path, len } => disk.truncate(path, *len).unwrap(),
        }
    }
}

/// Does each thing to a copy of its own and checks what comes of it.
fn check_all(disk: &Disk, stop: Stop, cases: &[Damage], write_every: usize) -> Tally {
    let before = contents(disk);
    let (tally, next) = (Tally::default(), AtomicUsize::new(0));
    let work = || {
        let mut failures = Vec::new();
        while let Some((index, damage)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            cases.get(index).map(|damage| (index, damage))
        } {
            let disk = disk.duplicate().unwrap();
            damage.apply(&disk);
            let write = index % write_every == 0;
            if let Err(broken) = check(&disk, &before, stop, damage.path(), write, &tally) {
                failures.push(format!("{damage:?}: {broken}"));
            }
        }
        failures
    };
    let failures: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    println!("{stop:?}: {tally:?}");
    assert!(
        failures.is_empty(),
        "{} failures, such as\n{}",
        failures.len(),
        failures[..failures.len().min(12)].join("\n")
    );
    tally
}

/// Every bit of every byte that is not zero, and of some that are.
fn flips(disk: &Disk, seed: u64) -> Vec<Damage> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut cases = Vec::new();
    for path in disk.files() {
        for (offset, byte) in disk.read(&path).unwrap().into_iter().enumerate() {
            let sampled = match (byte, all()) {
                (0, true) => rng.u32(0..200) == 0,
                (0, false) => rng.u32(0..2000) == 0,
                (_, true) => true,
                (_, false) => rng.u32(0..12) == 0,
            };
            if sampled {
                let bits = if byte != 0 { 0..8 } else { 0..1 };
                let shift = rng.u32(0..8);
                cases.extend(bits.map(|bit| Damage::Flip {
                    path: path.clone(),
                    offset,
                    bit: (bit + shift) % 8,
                }));
            }
        }
    }
    cases
}

/// Each file cut at its ends, at the ends of its pages and records, and anywhere.
fn cuts(disk: &Disk, seed: u64) -> Vec<Damage> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut cases = Vec::new();
    for path in disk.files() {
        let bytes = disk.read(&path).unwrap();
        let mut lengths: Vec<_> =
            [0, 1, 79, 80, 600, 4095, 4096, 4097, 4704, 8191, 8192, 8193, 8200].to_vec();
        lengths.extend([1, 2, 8, 4096].map(|less| bytes.len().saturating_sub(less)));
        // Where zeros begin or end: records' ends are there.
        let edges = (1..bytes.len()).filter(|&index| (bytes[index] == 0) != (bytes[index - 1] == 0));
        let edges: Vec<_> = edges.collect();
        let sampled = if all() { edges.len() } else { 20 };
        for _ in 0..sampled.min(edges.len()) {
            let edge = edges[rng.usize(0..edges.len())];
            lengths.extend([edge, edge.next_multiple_of(8)]);
        }
        lengths.extend((0..if all() { 300 } else { 10 }).map(|_| rng.usize(0..=bytes.len())));
        lengths.retain(|&len| len < bytes.len());
        lengths.sort_unstable();
        lengths.dedup();
        cases.extend(lengths.into_iter().map(|len| Damage::Cut { path: path.clone(), len }));
    }
    cases
}

fn flip_and_cut(stop: Stop) {
    let disk = small_store(stop);
    let segments =
        disk.files().iter().filter(|path| path.extension().is_some_and(|it| it == "segment")).count();
    assert!(segments >= 6, "several segments for each stream: {segments}");
    let tally = check_all(&disk, stop, &flips(&disk, 1), 16);
    assert!(tally.records_missing.into_inner() > 0 && tally.store_refused.into_inner() > 0);
    let tally = check_all(&disk, stop, &cuts(&disk, 2), 4);
    assert!(tally.records_missing.into_inner() > 0 && tally.stream_refused.into_inner() > 0);
}

#[test]
fn flipped_bits_and_cuts_of_a_closed_store_are_noticed() {
    flip_and_cut(Stop::Closed);
}

#[test]
fn flipped_bits_and_cuts_of_a_killed_store_are_noticed() {
    flip_and_cut(Stop::Killed);
}

#[test]
fn random_damage_to_a_larger_store_is_noticed() {
    let seed = std::env::var("RIVERBED_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("RIVERBED_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for stop in [Stop::Closed, Stop::Killed] {
        let disk = larger_store(rng.u64(..), stop);
        let files: Vec<_> =
            disk.files().into_iter().map(|path| (disk.read(&path).unwrap().len(), path)).collect();
        let files: Vec<_> = files.into_iter().filter(|(len, _)| *len > 0).collect();
        let cases: Vec<_> = (0..if all() { 4000 } else { 100 })
            .map(|_| {
                let (len, path) = files[rng.usize(0..files.len())].clone();
                let offset = rng.usize(0..len);
                match rng.u8(0..4) {
                    0 => Damage::Cut { path, len: offset },
                    1 => {
                        // A sector of something else.
                        let start = offset - offset % 512;
                        let bytes = (start..len.min(start + 512)).map(|_| rng.u8(1..)).collect();
                        Damage::Overwrite { path, offset: start, bytes }
                    }
                    2 => {
                        // A lost sector. Above the watermark nobody could tell it from one never written.
                        let start = offset - offset % 512;
                        let byte = if stop == Stop::Closed { 0 } else { 0xff };
                        let bytes = vec![byte; len.min(start + 512) - start];
                        Damage::Overwrite { path, offset: start, bytes }
                    }
                    _ => Damage::Flip { path, offset, bit: rng.u32(0..8) },
                }
            })
            .collect();
        check_all(&disk, stop, &cases, 4);
    }
}
