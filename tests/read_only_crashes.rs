//! Guards against a follower that shows what recovery takes back, misses what it keeps, goes astray when it is there before
//! and after a recovery, or makes something else of damage than the writing process does.
//!
//! `RIVERBED_CRASHES` says how many stores are tried, `RIVERBED_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the seed is printed")]

use std::collections::BTreeSet;

use riverbed::testing::Disk;
use riverbed::{
    Durability, Maintenance, Position, PutRecord, ReadError, ReadLevel, ReadOnlyStream, Reader,
    ReaderOptions, SequenceNumber, Store, StoreOptions, Stream, StreamOptions,
};

const SEGMENT: u64 = 64 * 1024;

fn seeds(test: &str) -> Vec<u64> {
    let count = std::env::var("RIVERBED_CRASHES").map_or(30, |count| count.parse().unwrap());
    let first = match std::env::var("RIVERBED_SEED") {
        Ok(seed) => return vec![seed.parse().unwrap()],
        Err(_) => fastrand::u64(..),
    };
    println!("{test}: RIVERBED_SEED={first} and the {count} from there on");
    (0..count).map(|index| first.wrapping_add(index)).collect()
}

fn options(disk: &Disk) -> StoreOptions {
    let options = Store::options().storage(disk).maintenance(Maintenance::Manual);
    options.durability(Durability::Buffered).segment_len(SEGMENT, SEGMENT)
}

fn follow(disk: &Disk) -> ReadOnlyStream {
    options(disk).open_read_only("data").unwrap().open_stream("s").unwrap()
}

fn reader(stream: &ReadOnlyStream, level: ReadLevel) -> Reader {
    let shard = stream.shards().unwrap()[0].id;
    let options = ReaderOptions::new().level(level);
    stream.reader_with(shard, Position::TrimHorizon, options).unwrap()
}

/// Everything there is to read now; damage is passed and counted.
fn read(reader: &mut Reader) -> (Vec<SequenceNumber>, usize) {
    let (mut numbers, mut faults) = (Vec::new(), 0);
    loop {
        match reader.next() {
            Ok(None) => return (numbers, faults),
            Ok(Some(record)) => {
                let number = record.sequence_number();
                assert_eq!(record.data()[..16], number_bytes(&record), "the data of {number}");
                assert!(numbers.last() < Some(&number));
                numbers.push(number);
            }
            Err(ReadError::Corrupt { .. }) => {
                faults += 1;
                assert!(faults < 1000, "a fault is not passed");
                reader.skip_damage().unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// What a record begins with: what it says of itself twice, so that two halves are not taken for a record.
fn number_bytes(record: &riverbed::Record<'_>) -> [u8; 16] {
    let mut bytes = [0; 16];
    let tail = record.data().len() - 8;
    bytes[..8].copy_from_slice(&record.data()[tail..]);
    bytes[8..].copy_from_slice(&u64::try_from(record.data().len()).unwrap().to_le_bytes());
    bytes
}

fn data(random: &mut fastrand::Rng) -> Vec<u8> {
    let len = if random.u8(..4) == 0 { random.usize(24..30_000) } else { random.usize(24..500) };
    let mut data = vec![0; len];
    random.fill(&mut data);
    let mark = random.u64(..).to_le_bytes();
    data[..8].copy_from_slice(&mark);
    data[8..16].copy_from_slice(&u64::try_from(len).unwrap().to_le_bytes());
    data[len - 8..].copy_from_slice(&mark);
    data
}

/// Puts for a while, syncing now and then.
fn write(store: &Store, stream: &Stream, random: &mut fastrand::Rng) {
    for _ in 0..random.u32(..120) {
        let durability = if random.u8(..12) == 0 { Durability::Immediate } else { Durability::Buffered };
        let data = data(random);
        stream.put_record(&PutRecord::new("k", &data).durability(durability)).unwrap();
        if random.u8(..6) == 0 {
            store.maintain();
        }
    }
}

#[test]
fn before_a_recovery_a_follower_shows_what_it_will_keep_and_goes_on_after_it() {
    let (mut seen, mut more_than_durable) = (0, 0);
    for seed in seeds("crashes") {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        store.create_stream("s", StreamOptions::new()).unwrap();
        let mut store = Some(store);
        for crash in 0..3 {
            let context = format!("crash {crash} of RIVERBED_SEED={seed}");
            let writing = store.take().unwrap();
            let stream = writing.open_stream("s").unwrap();
            // One who was there before, to the end.
            let followed = follow(&disk);
            let mut before = reader(&followed, ReadLevel::Appended);
            read(&mut before);
            write(&writing, &stream, &mut random);
            read(&mut before);
            drop(stream);
            let killed = random.bool();
            disk = if killed { disk.kill() } else { disk.cut_power(random.u64(..)) };
            drop(writing);

            let followed = follow(&disk);
            let mut appended = reader(&followed, ReadLevel::Appended);
            let mut durable = reader(&followed, ReadLevel::Durable);
            let (mut all, faults) = read(&mut appended);
            let (mut safe, more_faults) = read(&mut durable);
            assert_eq!((faults, more_faults), (0, 0), "a crash is no damage: {context}");
            let of_all: BTreeSet<_> = all.iter().copied().collect();
            assert!(safe.iter().all(|number| of_all.contains(number)), "{context}");
            seen += all.len();
            more_than_durable += all.len() - safe.len();

            let writing = options(&disk).open("data").unwrap();
            assert!(!writing.recovery_report().is_damaged());
            let stream = writing.open_stream("s").unwrap();
            let shard = stream.shards()[0].id;
            let kept = read(&mut stream.reader(shard, Position::TrimHorizon).unwrap()).0;
            // What only recovery could decide has been decided.
            all.extend(read(&mut appended).0);
            assert_eq!(all, kept, "{context}");
            safe.extend(read(&mut durable).0);
            write(&writing, &stream, &mut random);
            stream.sync().unwrap();
            let kept = read(&mut stream.reader(shard, Position::TrimHorizon).unwrap()).0;
            all.extend(read(&mut appended).0);
            assert_eq!(all, kept, "{context}");
            safe.extend(read(&mut durable).0);
            assert_eq!(safe, kept, "{context}");
            store = Some(writing);
        }
    }
    assert!(seen > 100 && more_than_durable > 10, "{seen} records seen, {more_than_durable} not durable");
}

#[test]
fn a_follower_makes_of_damage_what_the_writing_process_makes_of_it() {
    let mut faults_seen = 0;
    for seed in seeds("damage") {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        for _ in 0..3 {
            write(&store, &stream, &mut random);
        }
        if random.bool() {
            store.close().unwrap();
        }
        let disk = disk.kill();
        drop((stream, store));
        let segments: Vec<_> = disk
            .files()
            .into_iter()
            .filter(|path| path.extension().is_some_and(|it| it == "segment"))
            .collect();
        let mut done = Vec::new();
        for _ in 0..random.usize(1..3) {
            let Some(path) = random.choice(&segments) else { continue };
            let len = disk.read(path).unwrap().len();
            let offset = match random.u8(..4) {
                0 => random.usize(..8192),
                _ => random.usize(..len),
            };
            if random.u8(..5) == 0 {
                disk.truncate(path, offset.min(len)).unwrap();
                done.push(format!("{} cut to {offset}", path.display()));
            } else {
                let end = (offset + random.usize(1..100)).min(len);
                disk.damage(path, offset, &vec![random.u8(..); end - offset]).unwrap();
                done.push(format!("{} overwritten from {offset} to {end}", path.display()));
            }
        }
        let context = format!("RIVERBED_SEED={seed}: {done:?}");
        // Whatever it sees, it comes to an end.
        read(&mut reader(&follow(&disk), ReadLevel::Appended));

        let store = options(&disk).open("data").unwrap();
        let stream = store.open_stream("s").unwrap();
        let shard = stream.shards()[0].id;
        // Goes on behind the damage, durably.
        for _ in 0..8 {
            stream.put("k", data(&mut random)).unwrap();
        }
        stream.sync().unwrap();
        let (theirs, faults) = read(&mut stream.reader(shard, Position::TrimHorizon).unwrap());
        let (ours, our_faults) = read(&mut reader(&follow(&disk), ReadLevel::Appended));
        assert_eq!(ours, theirs, "{context}");
        assert_eq!(our_faults > 0, faults > 0, "{context}");
        faults_seen += usize::from(faults > 0);
    }
    println!("{faults_seen} stores were damaged where it showed");
}
