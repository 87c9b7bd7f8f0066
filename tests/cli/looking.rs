//! What is told of consumers, of a segment's bytes and of the machine.

use std::fs;

use riverbed::{PutRecord, Store, StreamOptions};
use serde_json::Value;

use crate::support::{Place, text};

#[test]
fn consumers_are_created_looked_at_beside_a_writer_reset_and_deleted() {
    let place = Place::with_stream(2);
    place.ok_with(&["put", "s", "--spread"], "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    assert_eq!(place.ok(&["consumers", "create", "s", "billing"]), "billing is there\n");
    let behind = || {
        let lags = place.json(&["consumers", "lag", "s", "billing"]);
        lags.as_array().unwrap().iter().map(|lag| lag["records_behind"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(behind(), 9);
    {
        let store = Store::open(place.store()).unwrap();
        let mut consumer = store.open_stream("s").unwrap().consumer("billing").unwrap();
        let polled = consumer.poll(4, std::time::Duration::ZERO).unwrap().len() as u64;
        consumer.checkpoint().unwrap();
        assert!(polled > 0);
        assert_eq!(behind(), 9 - polled);
        let listed = place.json(&["consumers", "list", "s"]);
        assert_eq!(text(&listed[0], "consumer"), "billing");
        assert_eq!(listed[0]["records_behind"], 9 - polled);
        let (code, _, errors) = place.run(&["consumers", "reset", "s", "billing", "--to", "oldest"], "");
        assert!(code == 1 && errors.contains("open for writing"), "{errors}");
    }
    for (to, left) in [("latest", 0), ("oldest", 9), ("1d", 9)] {
        place.ok(&["consumers", "reset", "s", "billing", "--to", to]);
        assert_eq!(behind(), left, "{to}");
    }
    let table = place.ok(&["consumers", "lag", "s", "billing"]);
    assert!(table.starts_with("SHARD") && table.contains("shardId-000000000001"), "{table}");
    let (code, _, errors) = place.run(&["consumers", "lag", "s", "biling"], "");
    assert!(code == 1 && errors.contains("`riverbed consumers list`"), "{errors}");
    let (code, _, errors) = place.run(&["consumers", "delete", "s", "billing"], "");
    assert!(code == 2 && errors.contains("--yes"), "{errors}");
    place.ok(&["consumers", "delete", "s", "billing", "--yes"]);
    assert_eq!(place.json(&["consumers", "list", "s"]), Value::Array(Vec::new()));
}

#[test]
fn a_damaged_consumer_is_told_and_does_not_hide_the_others() {
    let place = Place::with_stream(1);
    for name in ["one", "two"] {
        place.ok(&["consumers", "create", "s", name]);
    }
    let dir = place.store().join("streams/s/consumers");
    let file = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (code, printed, errors) = place.run(&["consumers", "list", "s"], "");
    assert!(code == 1 && printed.contains("two") && !printed.contains("one"), "{printed}");
    assert!(errors.contains("is damaged") && errors.contains("`riverbed consumers reset`"), "{errors}");
    place.ok(&["consumers", "reset", "s", "one", "--to", "oldest"]);
    assert_eq!(place.json(&["consumers", "list", "s"]).as_array().unwrap().len(), 2);
}

#[test]
fn a_dump_has_every_frame_and_says_what_is_none() {
    let place = Place::new();
    let store = Store::open(place.store()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let record = PutRecord::new("ann", b"hello").metadata(b"m").explicit_hash_key(7.into());
    stream.put_record(&record).unwrap();
    stream.put("bob", b"there").unwrap();
    // Beside the writer.
    let dump = place.ok(&["dump", "s", "--shard", "0", "--segment", "0", "--json"]);
    let lines: Vec<Value> = dump.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [header, first, second, rest] = &lines[..] else { panic!("{dump}") };
    assert_eq!(header["pages"][0]["identity"]["shard"], 0);
    assert_eq!((text(first, "partition_key"), text(first, "explicit_hash_key")), ("ann", "7"));
    assert_eq!((&first["metadata_bytes"], &first["data_bytes"]), (&1.into(), &5.into()));
    assert_eq!(second["offset"].as_u64(), Some(8192 + first["bytes"].as_u64().unwrap()));
    assert_eq!(text(second, "sequence_number"), (1_u128 << 32).to_string());
    assert_eq!(text(rest, "piece"), "blank");
    drop(stream);
    store.close().unwrap();

    let file = place.store().join("streams/s/shard-000000/00000000000000000000.segment");
    let path = file.to_str().unwrap();
    let shown = place.ok(&["dump", path, "--data"]);
    assert!(
        shown.contains("|hello|") && shown.contains("|there|") && shown.contains("key \"ann\""),
        "{shown}"
    );
    let mut bytes = fs::read(&file).unwrap();
    bytes[8192 + 16] ^= 1;
    bytes[512 + 8] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let (code, shown, _) = place.run(&["dump", path], "");
    assert_eq!(code, 1);
    assert!(shown.contains("bytes that are no frame: ") && shown.contains("key \"bob\""), "{shown}");
    assert!(shown.contains("slot: its checksum does not fit"), "{shown}");
    // Whatever it is, it is no reason to fall over.
    for len in [0, 100, 4096, 8192, 8200, bytes.len() / 2] {
        fs::write(&file, &bytes[..len]).unwrap();
        let (code, shown, errors) = place.run(&["dump", path], "");
        assert!(code == 1 && !shown.is_empty(), "{len}: {errors}");
    }
    let (code, _, errors) = place.run(&["dump", "/no/such"], "");
    assert!(code == 1 && errors.contains("/no/such"), "{errors}");
}

#[test]
fn a_doctor_leaves_nothing_behind_and_says_what_is_wrong() {
    let place = Place::new();
    let findings = place.json(&["doctor"]);
    let whats: Vec<_> = findings.as_array().unwrap().iter().map(|finding| text(finding, "what")).collect();
    for what in ["directory", "file system", "free space", "fallocate", "sync"] {
        assert!(whats.contains(&what), "{whats:?}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    // Where nobody can write.
    let (code, printed, _) = place.run(&["doctor", "--store", "/proc"], "");
    assert!(code == 1 && printed.contains("bad") && printed.contains("--store"), "{printed}");
}

#[test]
fn a_benchmark_leaves_nothing_behind() {
    let place = Place::new();
    let dir = place.path().to_str().unwrap();
    let lines = place.json(&["bench", "--dir", dir, "--round-bytes", "1MiB"]);
    let lines = lines.as_array().unwrap();
    assert_eq!(lines.len(), 4);
    for line in lines {
        assert!(line["ratio"].as_f64().unwrap() > 0.0, "{line}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    let (code, _, errors) = place.run(&["bench", "--dir", dir, "--record-bytes", "2MiB"], "");
    assert!(code == 2 && errors.contains("1 MiB"), "{errors}");
}

/// humantime takes more years than a clock can add.
#[test]
fn times_may_be_as_long_as_one_likes() {
    const LONG: &str = "300000000000y";
    let place = Place::with_stream(1);
    place.ok(&["stats", "s", "--watch", "--times", "1", "--every", LONG]);
    place.ok(&["create", "kept", "--keep", LONG, "--durability", LONG]);
    place.ok(&["put", "kept", "x", "--key", "k", "--durability", LONG]);
    place.ok(&["retention", "kept", "--keep", LONG]);
    assert_eq!(place.ok(&["tail", "kept", "--from", LONG]), "x\n");
    place.ok(&["consumers", "create", "kept", "billing", "--from", LONG]);
    assert_eq!(place.ok(&["export", "kept", "--from", LONG]), "x\n");
}
