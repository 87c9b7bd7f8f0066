//! Records come in as they were given, under the keys that were asked for.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use riverbed::{HashKey, Position, ReaderOptions, Store};

use crate::support::{Place, text};

/// Keys and data of all records, in order of arrival.
fn records(place: &Place) -> Vec<(String, Vec<u8>)> {
    let store = Store::open_read_only(place.store()).unwrap();
    let stream = store.open_stream("s").unwrap();
    let mut reader = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        records.push((record.partition_key().unwrap().to_owned(), record.data().to_vec()));
    }
    records
}

#[test]
fn each_framing_keeps_every_byte() {
    let prefixed = b"\0\0\0\x03a\nb\0\0\0\0\0\0\0\x02\0\xff";
    let cases = [
        ("lines", &b"one\n\nthree\0 \r\n\xff"[..], &[&b"one"[..], b"", b"three\0 \r", b"\xff"][..]),
        ("nul", b"one\ntwo\0\0three", &[b"one\ntwo", b"", b"three"]),
        ("length-prefixed", prefixed, &[b"a\nb", b"", b"\0\xff"]),
    ];
    for (framing, input, expected) in cases {
        let place = Place::with_stream(1);
        let printed = place.ok_with(&["put", "s", "--key", "k", "--framing", framing], input);
        assert_eq!(printed, format!("{} records put\n", expected.len()));
        let data: Vec<_> = records(&place).into_iter().map(|(_, data)| data).collect();
        assert_eq!(data, expected, "{framing}");
    }
}

#[test]
fn an_input_that_is_cut_short_is_an_error_and_what_came_before_is_in() {
    let place = Place::with_stream(1);
    let args = ["put", "s", "--key", "k", "--framing", "length-prefixed"];
    let (code, _, errors) = place.run(&args, &b"\0\0\0\x01a\0\0\0\x05b"[..]);
    assert_eq!(code, 1);
    assert!(errors.contains("1 record put") && errors.contains("standard input"), "{errors}");
    assert_eq!(records(&place), [("k".to_owned(), b"a".to_vec())]);
}

#[test]
fn keys_come_from_where_they_are_said_to_be() {
    let cases: [(&[&str], &str, &[&str]); 5] = [
        (&["--key", "one key"], "a\nb\n", &["one key", "one key"]),
        (&["--key-field", "2"], "a  b c\nd e\n", &["b", "e"]),
        (&["--key-field", "1", "--delimiter", ","], "a a,b\nc,d\n", &["a a", "c"]),
        (&["--key-json", "/user/id"], "{\"user\":{\"id\":7}}\n{\"user\":{\"id\":\"x\"}}\n", &["7", "x"]),
        (&["--key-regex", "id=([a-z]+)"], "1 id=ab\nid=cd 2\n", &["ab", "cd"]),
    ];
    for (options, input, expected) in cases {
        let place = Place::with_stream(1);
        place.ok_with(&[&["put", "s"], options].concat(), input);
        let keys: Vec<_> = records(&place).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, expected, "{options:?}");
    }
}

#[test]
fn spread_records_reach_every_shard() {
    let place = Place::with_stream(4);
    let input: String = (0..200).map(|number| format!("{number}\n")).collect();
    place.ok_with(&["put", "s", "--spread"], input);
    let stats = place.json(&["stats", "s"]);
    let counts: Vec<_> =
        stats.as_array().unwrap().iter().map(|shard| shard["records"].as_u64().unwrap()).collect();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (4, 200));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn a_record_that_cannot_be_put_ends_the_command_or_is_left_out() {
    let input = "ann 1\n\nbob 2\n";
    let place = Place::with_stream(1);
    let (code, _, errors) = place.run(&["put", "s", "--key-field", "1"], input);
    assert_eq!(code, 1);
    assert!(errors.contains("1 record put") && errors.contains("record 2 of the input"), "{errors}");
    assert_eq!(records(&place).len(), 1);

    let place = Place::with_stream(1);
    let (code, printed, errors) = place.run(&["put", "s", "--key-field", "1", "--keep-going"], input);
    assert_eq!((code, &*printed), (1, "2 records put\n"));
    assert!(errors.contains("left out: record 2 of the input"), "{errors}");

    // What the stream refuses for what it is like is left out, too.
    let place = Place::with_stream(1);
    let input = format!("{} 1\nann 2\n", "k".repeat(257));
    let (code, printed, errors) = place.run(&["put", "s", "--key-field", "1", "--keep-going"], input);
    assert_eq!((code, &*printed), (1, "1 record put\n"));
    assert!(errors.contains("record 1 of the input") && errors.contains("257 characters"), "{errors}");
}

/// Whoever goes on from the record that the message names puts none of them twice.
#[test]
fn nothing_behind_a_record_that_cannot_be_put_goes_in() {
    let long = "x".repeat(10 << 20);
    let whole = |metadata: &str| format!(r#"{{"partition_key":"k","data":"d","metadata":"{metadata}"}}"#);
    let import = ["import", "s", "--format", "records"];
    let cases: [(&[&str], String, String, &str); 4] = [
        (&["put", "s", "--key-json", "/k"], r#"{"k":"a"}"#.into(), r#"{"k":""}"#.into(), "0 characters"),
        (&["put", "s", "--key-field", "1"], "a 1".into(), format!("{} 1", "k".repeat(257)), "257 characters"),
        (&["put", "s", "--key", "k"], "a".into(), long, "at most"),
        (&import, whole("m"), whole(&"m".repeat(65_537)), "metadata"),
    ];
    for (args, good, bad, said) in cases {
        let input = format!("{good}\n{bad}\n{good}\n");
        let place = Place::with_stream(2);
        let (code, _, errors) = place.run(args, &*input);
        assert_eq!(code, 1);
        assert!(
            errors.contains("1 record put")
                && errors.contains("record 2 of the input")
                && errors.contains(said),
            "{args:?}: {errors}"
        );
        assert_eq!(records(&place).len(), 1, "{args:?}");
        let place = Place::with_stream(2);
        let (code, printed, errors) = place.run(&[args, &["--keep-going"]].concat(), input);
        assert_eq!((code, &*printed), (1, "2 records put\n"), "{args:?}");
        assert!(errors.contains("left out: record 2 of the input"), "{args:?}: {errors}");
    }
}

#[test]
fn an_explicit_hash_key_picks_the_shard() {
    let place = Place::with_stream(2);
    let store = Store::open_read_only(place.store()).unwrap();
    for hash_key in [HashKey::MIN, HashKey::MAX] {
        let expected = store.open_stream("s").unwrap().shard_for_hash_key(hash_key).unwrap().unwrap();
        let put = place.json(&["put", "s", "x", "--key", "k", "--hash-key", &hash_key.to_string()]);
        assert_eq!(text(&put, "shard_id"), expected.to_string());
    }
}

#[test]
fn what_a_pipe_has_so_far_goes_in_at_once() {
    let place = Place::with_stream(1);
    let mut child = Command::new(env!("CARGO_BIN_EXE_riverbed"))
        .args(["put", "s", "--key", "k"])
        .env("RIVERBED_STORE", place.store())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"first\n").unwrap();
    // Beside the writer, which has not come to the end of its input.
    let store = Store::open_read_only(place.store()).unwrap();
    let shard = store.open_stream("s").unwrap().shards().unwrap()[0].id;
    let mut reader = store.open_stream("s").unwrap().reader(shard, Position::TrimHorizon).unwrap();
    assert!(reader.wait(Duration::from_secs(60)).unwrap());
    assert_eq!(reader.next().unwrap().unwrap().data(), b"first");
    drop(input);
    assert!(child.wait().unwrap().success());
}
