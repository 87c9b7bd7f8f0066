//! Damage is found, said, and moved out of the way only when somebody agrees.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use riverbed::{Store, StreamOptions};

use crate::support::{Place, text};

/// A stream with a damaged first record of two, closed in good order.
fn damaged_record() -> Place {
    let place = Place::with_stream(1);
    place.ok_with(&["put", "s", "--key", "k"], "first\nsecond\n");
    overwrite(&segment(&place), 8192 + 32, b"X");
    place
}

fn segment(place: &Place) -> PathBuf {
    place.store().join("streams/s/shard-000000/00000000000000000000.segment")
}

fn overwrite(path: &std::path::Path, offset: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

#[test]
fn damage_is_told_by_verify_and_met_by_tail() {
    let place = damaged_record();
    let (code, printed, _) = place.run(&["verify", "--json"], "");
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &report["damaged"], &report["records"]), (1, &true.into(), &1.into()));
    let fault = &report["faults"][0];
    assert_eq!(
        (text(fault, "kind"), text(fault, "severity"), &fault["offset"]),
        ("Frame", "damage", &8192.into())
    );
    let (code, printed, _) = place.run(&["verify"], "");
    assert!(code == 1 && printed.contains("1 fault is damage: `riverbed repair`"), "{printed}");

    let (code, printed, errors) = place.run(&["tail", "s"], "");
    assert!(code == 1 && printed.is_empty() && errors.contains("--skip-damage"), "{errors}");
    let (code, printed, errors) = place.run(&["tail", "s", "--skip-damage"], "");
    assert_eq!((code, &*printed), (1, "second\n"));
    assert!(errors.contains("offset 8192"), "{errors}");
}

#[test]
fn nothing_is_repaired_unless_somebody_agrees() {
    let place = Place::with_stream(1);
    place.ok(&["put", "s", "x", "--key", "k"]);
    let manifest = place.store().join("store.json");
    fs::write(&manifest, "{}").unwrap();
    for (args, expected) in [(&["repair"][..], 2), (&["repair", "--dry-run"], 1)] {
        let (code, printed, _) = place.run(args, "");
        assert_eq!(code, expected, "{args:?}");
        assert!(printed.contains("store.json to the quarantine"), "{printed}");
        assert_eq!(fs::read(&manifest).unwrap(), b"{}");
    }
    let (code, printed, _) = place.run(&["repair", "--yes"], "");
    assert!(code == 0 && printed.contains("moved ") && printed.contains("written anew"), "{printed}");
    assert_eq!(place.ok(&["tail", "s"]), "x\n");
    assert_eq!(place.ok(&["repair"]), "there is nothing to repair\n");
}

#[test]
fn what_cannot_be_repaired_is_said() {
    let place = damaged_record();
    let (code, printed, _) = place.run(&["repair", "--json"], "");
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, report["planned"].as_array().unwrap().len()), (1, 0));
    assert!(text(&report["left_alone"][0], "why").contains("skip_damage"), "{report}");
}

#[test]
fn trimming_removes_whole_segments_below_the_number() {
    let place = Place::new();
    let store = Store::options().segment_len(64 << 10, 64 << 10).open(place.store()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let puts: Vec<_> = (0..100).map(|_| stream.put("k", [7; 4096]).unwrap()).collect();
    store.close().unwrap();
    let before = puts[50].sequence_number.to_string();
    let freed = place.json(&["trim", "s", "--before", &before])["freed_bytes"].as_u64().unwrap();
    assert!(freed >= 64 << 10, "{freed}");
    let stats = &place.json(&["stats", "s"])[0];
    let oldest: riverbed::SequenceNumber = text(stats, "oldest_sequence_number").parse().unwrap();
    assert!(puts[0].sequence_number < oldest && oldest <= puts[50].sequence_number);
    let again = place.ok(&["trim", "s", "--before", &before]);
    assert!(again.contains("nothing was removed"), "{again}");
}
