//! Guards against a half-done creation, roll, trim, change of retention, deletion or close: whatever call fails, at whatever step, the error is
//! reported, nothing acknowledged is lost, and the store opens again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::ErrorKind;

use riverbed::testing::{Disk, Operation, Verdict};
use riverbed::{
    Durability, Maintenance, Position, PutError, PutRecord, Retention, Store, StoreOptions, StreamOptions,
};

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 128 * 1024)
}

/// What the scenario was told had worked.
#[derive(Debug, Default)]
struct Acknowledged {
    /// By stream: the data of the records that are durable.
    durable: BTreeMap<String, Vec<Vec<u8>>>,
    deleted: Vec<String>,
    /// The first stream was trimmed, or half so: only its newest record is sure to be there.
    trimmed: bool,
    completed: bool,
}

/// Creates, rolls, deletes, syncs and closes; goes on after errors as far as that makes sense.
fn scenario(disk: &Disk) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let Ok(store) = options(disk).open("data") else { return acknowledged };
    let mut all_worked = true;
    for name in ["first", "second"] {
        let Ok(stream) = store.create_stream(name, StreamOptions::new()) else {
            all_worked = false;
            continue;
        };
        acknowledged.durable.entry(name.to_owned()).or_default();
        for index in 0_u8..12 {
            // Both sides of the length from which data are written instead of stored.
            let data = vec![index; if index % 4 == 1 { 20_000 } else { 15_000 }];
            let durability = if index % 3 == 2 { Durability::Immediate } else { Durability::Buffered };
            match stream.put_record(&PutRecord::new("k", &data).durability(durability)) {
                Ok(_) if durability == Durability::Immediate => {
                    acknowledged.durable.get_mut(name).unwrap().push(data);
                }
                Ok(_) => {}
                Err(_) => all_worked = false,
            }
            store.maintain();
        }
    }
    if let Ok(stream) = store.open_stream("first") {
        // What is trimmed may be gone from now on, what is not must stay.
        let retained = stream.set_retention(Retention::of_bytes(1 << 30));
        all_worked &= retained.is_ok();
        let newest = stream.stats().shards[0].newest;
        if let Some((number, _)) = newest {
            acknowledged.trimmed = true;
            all_worked &= stream.trim_to(number).is_ok();
        }
    }
    match store.delete_stream("second") {
        Ok(()) => {
            acknowledged.durable.remove("second");
            acknowledged.deleted.push("second".to_owned());
        }
        Err(_) => {
            // There or gone, but not in between.
            acknowledged.durable.remove("second");
            all_worked = false;
        }
    }
    all_worked &= store.close().is_ok();
    acknowledged.completed = all_worked;
    acknowledged
}

fn check(disk: &Disk, acknowledged: &Acknowledged, what: &str) {
    let store = options(disk).open("data").unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let report = store.recovery_report();
    assert!(!report.is_damaged(), "{what}: {report:#?}");
    let names = store.list_streams();
    for name in &acknowledged.deleted {
        assert!(!names.contains(name), "{what}: {name} is back");
    }
    for (name, durable) in &acknowledged.durable {
        let stream = store.open_stream(name).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
        let mut found = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            found.push(record.data().to_vec());
        }
        let sure = if acknowledged.trimmed && name == "first" { durable.len().saturating_sub(1) } else { 0 };
        assert!(found.is_sorted(), "{what}: order");
        for data in &durable[sure..] {
            assert!(found.contains(data), "{what}: record {} of {name} is lost", data[0]);
        }
        stream.put_record(&PutRecord::new("k", b"after").durability(Durability::Immediate)).unwrap();
    }
    for name in names {
        store.open_stream(&name).unwrap();
    }
    match store.create_stream("third", StreamOptions::new()) {
        Ok(_) => {}
        Err(error) => panic!("{what}: {error:?}"),
    }
}

#[test]
fn every_call_may_fail_at_every_step() {
    let disk = Disk::new();
    assert!(scenario(&disk).completed);
    let steps = disk.steps();
    let mut faults = 0;
    for kind in
        [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem]
    {
        for step in 0..steps {
            for lasting in [false, true] {
                let disk = Disk::new();
                disk.plan(move |call| {
                    let hit = if lasting { call.step >= step } else { call.step == step };
                    if hit { Verdict::Fail(kind) } else { Verdict::Proceed }
                });
                let acknowledged = scenario(&disk);
                disk.plan(|_| Verdict::Proceed);
                let what = format!("{kind:?} at step {step}, lasting: {lasting}");
                // The process may go on and end, or the machine may go down at once.
                let disk = if step % 2 == 0 { disk.cut_power(step) } else { disk.kill() };
                if acknowledged.durable.is_empty() && acknowledged.deleted.is_empty() {
                    drop(options(&disk).open("data").unwrap_or_else(|error| panic!("{what}: {error:?}")));
                } else {
                    check(&disk, &acknowledged, &what);
                }
                faults += 1;
            }
        }
    }
    println!("{faults} faults over {steps} steps");
}

#[test]
fn writes_go_on_by_themselves_once_there_is_room() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let data = vec![1; 15_000];
    stream.put("k", &data).unwrap();
    disk.set_capacity(Some(disk.used() + 10_000));
    let mut error = None;
    while error.is_none() {
        error = stream.put("k", &data).err();
    }
    match error {
        Some(PutError::StorageFull { needed, available, .. }) => {
            assert_eq!((needed, available), (64 * 1024, 10_000));
        }
        other => panic!("{other:?}"),
    }
    // What still fits the segment goes in, and everything can be read.
    stream.put("k", b"small").unwrap();
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let mut count = 0;
    while reader.next().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 4);
    assert!(store.create_stream("other", StreamOptions::new()).is_ok(), "a manifest still fits");
    disk.set_capacity(None);
    stream.put("k", &data).unwrap();
    assert_eq!(
        disk.files().iter().filter(|path| path.extension().is_some_and(|end| end == "tmp")).count(),
        0
    );
}

#[test]
fn a_failed_creation_leaves_no_stream_and_its_name_free() {
    for operation in [
        Operation::CreateDir,
        Operation::CreateFile,
        Operation::Write,
        Operation::SyncData,
        Operation::Rename,
        Operation::SyncDir,
    ] {
        let disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        disk.plan(move |call| {
            if call.operation == operation { Verdict::Fail(ErrorKind::Other) } else { Verdict::Proceed }
        });
        assert!(store.create_stream("s", StreamOptions::new()).is_err(), "{operation:?}");
        assert_eq!(store.list_streams(), [""; 0]);
        disk.plan(|_| Verdict::Proceed);
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        stream.put_record(&PutRecord::new("k", b"x").durability(Durability::Immediate)).unwrap();
        let disk = disk.cut_power(3);
        let store = options(&disk).open("data").unwrap();
        assert_eq!(store.list_streams(), ["s"], "{operation:?}");
    }
}

#[test]
fn that_there_will_be_no_room_is_known_before_a_put_fails() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", [1; 15_000]).unwrap();
    disk.set_capacity(Some(disk.used() + 1000));
    assert!(stream.stats().shards[0].preparation_failure.is_none());
    // The segment is half full: its successor is prepared in the background, and that fails.
    stream.put("k", [2; 15_000]).unwrap();
    store.maintain();
    let failure = stream.stats().shards[0].preparation_failure.clone().unwrap();
    assert_eq!(failure.source.kind(), ErrorKind::StorageFull, "{failure}");
    stream.put("k", [3; 15_000]).unwrap();
    assert!(matches!(stream.put("k", [4; 15_000]), Err(PutError::StorageFull { .. })));
    disk.set_capacity(None);
    stream.put("k", [4; 15_000]).unwrap();
    assert!(stream.stats().shards[0].preparation_failure.is_none());
}
