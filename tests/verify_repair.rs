//! Guards against a verification that overlooks damage or sees it where there is none, and against a repair that destroys
//! bytes or lets a sequence number be used twice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use riverbed::testing::Disk;
use riverbed::{
    Durability, FaultKind, Maintenance, OpenError, Position, PutRecord, ReadError, RepairError, RepairKind,
    Severity, Store, StoreOptions, Stream, StreamOptions, VerifyError, VerifyReport,
};

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
}

fn verify(disk: &Disk) -> VerifyReport {
    options(disk).verify("data").unwrap()
}

/// Two streams of four segments each: three records of 15,000 bytes fill one.
fn store(disk: &Disk) -> Store {
    let store = options(disk).open("data").unwrap();
    for name in ["s", "t"] {
        let stream = store.create_stream(name, StreamOptions::new()).unwrap();
        for index in 1_u8..=12 {
            put(&stream, &[index; 15_000]);
            store.maintain();
        }
    }
    store
}

fn closed() -> Disk {
    let disk = Disk::new();
    store(&disk).close().unwrap();
    disk
}

fn put(stream: &Stream, data: &[u8]) -> u64 {
    let record = PutRecord::new("k", data).durability(Durability::Immediate);
    stream.put_record(&record).unwrap().sequence_number.counter()
}

fn segment(ordinal: u64) -> PathBuf {
    PathBuf::from(format!("data/streams/s/shard-000000/{ordinal:020}.segment"))
}

/// The first bytes of the records that can be read, and the damage met on the way.
fn read(stream: &Stream) -> (Vec<u8>, Vec<ReadError>) {
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let (mut found, mut damage) = (Vec::new(), Vec::new());
    loop {
        match reader.next() {
            Ok(Some(record)) => found.push(record.data()[0]),
            Ok(None) => return (found, damage),
            Err(error) => {
                damage.push(error);
                assert!(damage.len() < 10);
                reader.skip_damage().unwrap();
            }
        }
    }
}

/// The bytes of all files but the lock, whatever their names.
fn all_bytes(disk: &Disk) -> BTreeSet<Vec<u8>> {
    disk.files().iter().map(|path| disk.read(path).unwrap()).collect()
}

/// What `damage` is found to be.
fn found(damage: impl Fn(&Disk)) -> (VerifyReport, Disk) {
    let disk = closed();
    damage(&disk);
    let before = all_bytes(&disk);
    let report = verify(&disk);
    assert_eq!(all_bytes(&disk), before, "verifying changes nothing");
    (report, disk)
}

fn kinds(report: &VerifyReport) -> Vec<FaultKind> {
    report.faults.iter().map(|fault| fault.kind).collect()
}

fn flip(disk: &Disk, path: &PathBuf, offset: usize) {
    let byte = disk.read(path).unwrap()[offset];
    disk.damage(path, offset, &[byte ^ 4]).unwrap();
}

#[test]
fn healthy_stores_show_no_damage() {
    let disk = Disk::new();
    let store = store(&disk);
    let live = verify(&disk);
    assert!(!live.is_damaged(), "{:#?}", live.faults);
    assert_eq!((live.streams, live.records), (2, 24));
    let stream = store.open_stream("s").unwrap();
    stream.put_record(&PutRecord::new("k", b"unsynced").durability(Durability::Buffered)).unwrap();
    let killed = verify(&disk.duplicate().unwrap());
    assert!(!killed.is_damaged(), "{:#?}", killed.faults);
    assert_eq!(killed.records, 25, "records above the watermark are checked and counted");
    drop(stream);
    store.close().unwrap();
    let clean = verify(&disk);
    assert!(clean.is_clean(), "{:#?}", clean.faults);
    assert_eq!((clean.segments, clean.records), (8, 25));
    assert!(clean.bytes > 24 * 15_000 && clean.repair_plan().actions.is_empty());

    for seed in 0..60 {
        let disk = Disk::new();
        let store = self::store(&disk);
        let stream = store.open_stream("s").unwrap();
        for _ in 0..4 {
            let record = PutRecord::new("k", &[9; 15_000]).durability(Durability::Buffered);
            stream.put_record(&record).unwrap();
        }
        let after = disk.cut_power(seed);
        let report = verify(&after);
        assert!(!report.is_damaged(), "power cut {seed}: {:#?}", report.faults);
        options(&after).open("data").unwrap().close().unwrap();
        let report = verify(&after);
        assert!(!report.is_damaged(), "power cut {seed}, recovered: {:#?}", report.faults);
        drop(stream);
    }
}

#[test]
fn a_store_can_be_verified_while_it_is_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = Store::options().segment_len(64 * 1024, 64 * 1024).open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for index in 0..u32::MAX {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let key = index.to_string();
                let level = if index % 8 == 0 { Durability::Immediate } else { Durability::Buffered };
                stream.put_record(&PutRecord::new(&key, &[1; 900]).durability(level)).unwrap();
                if index % 500 == 499 {
                    let stats = stream.stats().shards;
                    if let Some((newest, _)) = stats[0].newest {
                        stream.trim_to(newest).unwrap();
                    }
                }
                thread::sleep(Duration::from_micros(50));
            }
        });
        let outcome = thread::scope(|inner| {
            let checks = inner.spawn(|| {
                for _ in 0..30 {
                    let report = Store::verify(&path).unwrap();
                    assert!(!report.is_damaged(), "{:#?}", report.faults);
                }
            });
            checks.join()
        });
        done.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
}

#[test]
fn every_kind_of_damage_is_found_and_named() {
    use FaultKind as Kind;
    let manifest = PathBuf::from("data/streams/s/stream.json");
    let store_manifest = PathBuf::from("data/store.json");
    type Damage<'a> = Box<dyn Fn(&Disk) + 'a>;
    let slots = |ordinal: u64| {
        move |disk: &Disk| {
            flip(disk, &segment(ordinal), 512 + 20);
            flip(disk, &segment(ordinal), 4096 + 512 + 20);
        }
    };
    let cases: Vec<(Damage<'_>, Vec<Kind>, PathBuf)> = vec![
        (Box::new(|disk| flip(disk, &store_manifest, 30)), vec![Kind::StoreManifest], store_manifest.clone()),
        (Box::new(|disk| flip(disk, &manifest, 40)), vec![Kind::StreamManifest], manifest.clone()),
        (Box::new(|disk| flip(disk, &segment(1), 20)), vec![Kind::HeaderPage], segment(1)),
        (Box::new(|disk| flip(disk, &segment(1), 4096 + 20)), vec![Kind::HeaderPage], segment(1)),
        (
            Box::new(|disk| {
                flip(disk, &segment(1), 20);
                flip(disk, &segment(1), 4096 + 20);
            }),
            vec![Kind::HeaderLost],
            segment(1),
        ),
        (Box::new(slots(2)), vec![Kind::WatermarkLost], segment(2)),
        (Box::new(|disk| flip(disk, &segment(0), 20_000)), vec![Kind::Frame], segment(0)),
        (Box::new(|disk| flip(disk, &segment(0), 8192 + 2)), vec![Kind::Frame], segment(0)),
        (Box::new(|disk| flip(disk, &segment(3), 8192 + 9)), vec![Kind::Frame], segment(3)),
        (Box::new(|disk| disk.truncate(segment(1), 60_000).unwrap()), vec![Kind::FileTooShort], segment(1)),
        (Box::new(|disk| disk.truncate(segment(1), 20_000).unwrap()), vec![Kind::FileTooShort], segment(1)),
        (Box::new(|disk| flip(disk, &segment(3), 65_000)), vec![Kind::NotBlank], segment(3)),
    ];
    for (index, (damage, expected, path)) in cases.iter().enumerate() {
        let (report, _) = found(damage);
        let damaged: BTreeSet<_> = report.damage().map(|fault| fault.kind).collect();
        for kind in expected {
            assert!(damaged.contains(kind), "case {index}: {:#?}", report.faults);
        }
        assert!(report.damage().all(|fault| fault.path == *path), "case {index}: {:#?}", report.faults);
        let plan = report.repair_plan();
        let acted_on = plan.actions.iter().filter(|action| action.path == *path).count();
        assert_eq!(
            acted_on + plan.left_alone.len(),
            report.damage().count(),
            "every damage is dealt with or left alone for a reason: {plan:#?}"
        );
    }
    // A damaged index is noticed and harms nothing.
    let disk = closed();
    let index =
        disk.files().into_iter().find(|path| path.extension().is_some_and(|it| it == "index")).unwrap();
    flip(&disk, &index, 30);
    let report = verify(&disk);
    assert_eq!((kinds(&report), report.is_damaged()), (vec![Kind::Index], false), "{:#?}", report.faults);
    assert_eq!(report.faults[0].severity, Severity::Derived);
    // One damaged record costs one record, and the others are counted.
    let (report, _) = found(|disk| flip(disk, &segment(0), 20_000));
    assert_eq!((report.records, report.faults.len()), (23, 1), "{:#?}", report.faults);
}

#[test]
fn repairing_keeps_every_byte_and_can_be_done_again() {
    let (report, disk) = found(|disk| {
        flip(disk, &PathBuf::from("data/store.json"), 30);
        for page in 0..2 {
            flip(disk, &segment(1), page * 4096 + 20);
        }
        let index = segment(2).with_extension("index");
        flip(disk, &index, 30);
    });
    assert!(matches!(options(&disk).open("data"), Err(OpenError::Damaged { .. })));
    let before = all_bytes(&disk);
    let plan = report.repair_plan();
    let steps: Vec<_> = plan.actions.iter().map(|action| action.kind).collect();
    assert_eq!(
        steps,
        [RepairKind::RewriteStoreManifest, RepairKind::QuarantineSegment, RepairKind::QuarantineIndex],
        "{plan:#?}"
    );
    assert!(plan.actions[1].to_string().contains("to the quarantine"), "{}", plan.actions[1]);
    let repaired = options(&disk).repair("data", &plan).unwrap();
    assert!(repaired.moved.len() >= 3 && repaired.skipped.is_empty(), "{repaired:#?}");
    let moved = PathBuf::from("data/quarantine/s/shard-000000").join(segment(1).file_name().unwrap());
    assert!(disk.files().contains(&moved), "{:#?}", disk.files());
    assert!(all_bytes(&disk).is_superset(&before), "no byte is lost");

    let files = disk.files();
    let again = options(&disk).repair("data", &plan).unwrap();
    assert_eq!((again.moved.len(), again.skipped.len()), (0, 3), "{again:#?}");
    assert_eq!(disk.files(), files);

    // Durable: the power may go now.
    let disk = disk.cut_power(1);
    assert_eq!(disk.files(), files);
    let mut numbers = Vec::new();
    for round in 0..2 {
        let store = options(&disk).open("data").unwrap();
        let stream = store.open_stream("s").unwrap();
        let (found, damage) = read(&stream);
        assert_eq!(found[..9], [1, 2, 3, 7, 8, 9, 10, 11, 12], "round {round}");
        assert_eq!(damage.len(), 1, "readers are told of what is missing: {damage:?}");
        assert_eq!(read(&store.open_stream("t").unwrap()).0.len(), 12);
        numbers.push(put(&stream, &[100]));
        store.close().unwrap();
    }
    assert!(numbers[0] >= 12 && numbers[1] > numbers[0], "{numbers:?}");
    assert_eq!(kinds(&verify(&disk)), [FaultKind::MissingSegment]);
}

#[test]
fn the_newest_segment_stays_so_that_no_number_is_used_twice() {
    let (report, disk) = found(|disk| {
        for page in 0..2 {
            flip(disk, &segment(3), page * 4096 + 20);
        }
    });
    let plan = report.repair_plan();
    assert!(plan.actions.is_empty(), "{plan:#?}");
    assert_eq!(plan.left_alone.len(), 1);
    assert!(plan.left_alone[0].to_string().contains("so that none is used twice"), "{}", plan.left_alone[0]);
    let store = options(&disk).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    assert!(put(&stream, b"x") >= 12, "the lost segment's numbers are not used again");
    store.close().unwrap();
    drop((stream, store));
    // Now a later segment knows: the lost one can go.
    let plan = verify(&disk).repair_plan();
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    options(&disk).repair("data", &plan).unwrap();
    let store = options(&disk).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    assert_eq!(read(&stream).0, [1, 2, 3, 4, 5, 6, 7, 8, 9, b'x']);
}

#[test]
fn a_repair_that_loses_power_anywhere_can_be_done_again() {
    let (report, disk) = found(|disk| {
        flip(disk, &PathBuf::from("data/store.json"), 30);
        for page in 0..2 {
            flip(disk, &segment(1), page * 4096 + 20);
        }
    });
    let (plan, before) = (report.repair_plan(), all_bytes(&disk));
    for step in 0..400 {
        let disk = disk.duplicate().unwrap();
        disk.plan(move |call| match call.step {
            at if at == step => riverbed::testing::Verdict::CutPower { seed: step },
            _ => riverbed::testing::Verdict::Proceed,
        });
        // What cannot be read, for want of power or otherwise, is left alone.
        let outcome = options(&disk).repair("data", &plan);
        let finished = outcome.is_ok_and(|report| report.skipped.is_empty());
        let disk = disk.power_on();
        assert!(all_bytes(&disk).is_superset(&before), "step {step}");
        options(&disk).repair("data", &plan).unwrap();
        let store = options(&disk).open("data").unwrap();
        assert_eq!(read(&store.open_stream("s").unwrap()).0.len(), 9, "step {step}");
        if finished {
            assert!(step > 10);
            return;
        }
    }
    panic!("the repair never finished");
}

#[test]
fn what_is_no_store_or_in_use_is_not_touched() {
    let disk = Disk::new();
    assert!(matches!(options(&disk).verify("data"), Err(VerifyError::NotFound { .. })));
    let plan = VerifyReport::default().repair_plan();
    assert!(matches!(
        options(&disk).repair("data", &plan),
        Err(RepairError::Verify(VerifyError::NotFound { .. }))
    ));
    assert!(disk.files().is_empty());
    let store = store(&disk);
    assert!(matches!(options(&disk).repair("data", &plan), Err(RepairError::Locked { .. })));
    store.close().unwrap();
    assert!(options(&disk).repair("data", &plan).unwrap().moved.is_empty());
}

#[test]
fn a_first_segment_that_the_power_took_whole_is_no_damage() {
    let mut lost = 0;
    for seed in 0..20 {
        let disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        stream.put_record(&PutRecord::new("k", b"lost").durability(Durability::Buffered)).unwrap();
        let disk = disk.cut_power(seed);
        drop((store, stream));
        let store = options(&disk).open("data").unwrap();
        let stream = store.open_stream("s").unwrap();
        let number = put(&stream, b"kept");
        lost += usize::from(read(&stream).0.len() == 1);
        assert!(number > 0);
        let report = verify(&disk);
        assert!(!report.is_damaged(), "seed {seed}: {:?}", report.faults);
    }
    assert!(lost > 0);
}
