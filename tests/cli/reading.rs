//! Records go out as they are stored, beside a writer, too.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use riverbed::{PutRecord, Store, StreamOptions};
use serde_json::Value;

use crate::support::{Place, text};

#[test]
fn reading_commands_work_beside_a_writer_and_writing_ones_name_it() {
    let place = Place::new();
    let store = Store::open(place.store()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let put = stream.put("ann", b"hello").unwrap();
    let number = put.sequence_number.to_string();
    assert_eq!(place.ok(&["tail", "s"]), "hello\n");
    assert_eq!(place.ok(&["get", "s", &number]), "hello\n");
    assert_eq!(place.json(&["list"])[0]["records"], 1);
    assert_eq!(place.json(&["describe", "s"])["records"], 1);
    assert_eq!(place.json(&["stats"])[0]["records"], 1);
    assert_eq!(place.json(&["verify"])["damaged"], false);
    assert_eq!(place.ok(&["retention", "s"]), "s: records kept for ever\n");
    for args in [
        &["put", "s", "x", "--key", "k"][..],
        &["create", "t"],
        &["retention", "s", "--keep", "1d"],
        &["trim", "s", "--before", &number],
        &["split", "s", "0"],
        &["merge", "s", "0", "1"],
        &["reshard", "s", "2"],
        &["delete", "s", "--yes"],
    ] {
        let (code, _, errors) = place.run(args, "");
        let process = format!("process {}", std::process::id());
        assert!(
            code == 1 && errors.contains("open for writing") && errors.contains(&process),
            "{args:?}: {errors}"
        );
    }
}

#[test]
fn json_has_everything_of_a_record() {
    let place = Place::new();
    let store = Store::open(place.store()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let hash_key = riverbed::HashKey::from(42);
    let plain = stream.put("ann", "hell\u{f6}\n").unwrap();
    let record = PutRecord::new("bob", b"\xff\0").metadata(b"trace=1").explicit_hash_key(hash_key);
    stream.put_record(&record).unwrap();
    let lines = place.ok(&["tail", "s", "--format", "json"]);
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(text(&records[0], "data"), "hell\u{f6}\n");
    assert_eq!(text(&records[0], "partition_key"), "ann");
    assert_eq!(text(&records[0], "sequence_number"), plain.sequence_number.to_string());
    assert_eq!(text(&records[0], "shard_id"), "shardId-000000000000");
    for field in ["metadata", "explicit_hash_key", "data_base64", "last_sequence_number"] {
        assert!(records[0].get(field).is_none(), "{field}");
    }
    assert_eq!(text(&records[1], "data_base64"), "/wA=");
    assert_eq!(text(&records[1], "metadata"), "trace=1");
    assert_eq!(text(&records[1], "explicit_hash_key"), "42");
    // The same by the flag that all commands have.
    assert_eq!(place.ok(&["tail", "s", "--json"]), lines);
}

#[test]
fn positions_limits_and_shards_choose_records() {
    let place = Place::with_stream(1);
    place.ok_with(&["put", "s", "--key", "k"], "0\n1\n2\n3\n");
    let number = |index: u128| (index << 32).to_string();
    let cases = [
        (vec!["--from", "oldest"], "0\n1\n2\n3\n"),
        (vec!["--from", "latest"], ""),
        (vec!["--limit", "2"], "0\n1\n"),
        (vec!["--limit", "0"], ""),
        (vec!["--shard", "0", "--limit", "1"], "0\n"),
        (vec!["--from", "1d"], "0\n1\n2\n3\n"),
        (vec!["--from", "1970-01-01T00:00:00Z"], "0\n1\n2\n3\n"),
    ];
    for (options, expected) in cases {
        assert_eq!(place.ok(&[&["tail", "s"][..], &options].concat()), expected, "{options:?}");
    }
    assert_eq!(place.ok(&["tail", "s", "--from", &format!("at:{}", number(2))]), "2\n3\n");
    assert_eq!(place.ok(&["tail", "s", "--from", &format!("after:{}", number(2))]), "3\n");
    assert_eq!(place.ok(&["get", "s", &number(3)]), "3\n");
}

#[test]
fn a_number_is_no_position_in_several_shards() {
    let place = Place::with_stream(2);
    let put = place.json(&["put", "s", "x", "--key", "k"]);
    let from = format!("at:{}", text(&put, "sequence_number"));
    let (code, _, errors) = place.run(&["tail", "s", "--from", &from], "");
    assert!(code == 2 && errors.contains("add --shard"), "{errors}");
    let shard = text(&put, "shard_id").to_owned();
    assert_eq!(place.ok(&["tail", "s", "--from", &from, "--shard", &shard]), "x\n");
}

#[test]
fn errors_say_what_to_do_next_and_set_the_exit_code() {
    let place = Place::with_stream(1);
    place.ok(&["put", "s", "x", "--key", "k"]);
    let cases: [(&[&str], i32, &str); 9] = [
        (&["list", "--store", "/no/such"], 1, "give another with --store"),
        (&["tail", "t"], 1, "`riverbed list`"),
        (&["get", "s", "7"], 1, "`riverbed describe`"),
        (&["get", "s", &(9_u128 << 32).to_string()], 1, "has not been given"),
        (&["split", "s", "9"], 1, "`riverbed describe`"),
        (&["get", "s", "x"], 2, "not a sequence number"),
        (&["tail", "s", "--from", "yesterday"], 2, "choose oldest"),
        (&["put", "s", "x"], 2, "--key"),
        (&["delete", "s"], 2, "--yes"),
    ];
    for (args, expected, text) in cases {
        let (code, printed, errors) = place.run(args, "");
        assert!(code == expected && printed.is_empty() && errors.contains(text), "{args:?}: {code} {errors}");
    }
}

#[test]
fn a_follower_sees_what_comes_and_ends_in_good_order() {
    let place = Place::new();
    let store = Store::open(place.store()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    stream.put("k", b"before").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_riverbed"))
        .args(["tail", "s", "--follow", "--from", "oldest"])
        .env("RIVERBED_STORE", place.store())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "before");
    for round in 0..3 {
        stream.put("k", format!("record {round}")).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), format!("record {round}"));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(lines.next().is_none());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
}

#[test]
fn points_are_shown_as_lines_and_other_records_are_an_error() {
    let place = Place::new();
    let store = Store::open(place.store()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let options = riverbed::point::LineOptions::new(riverbed::line_protocol::Dialect::V2Server);
    stream.write_line_protocol("cpu,host=a load=1 1000", &options).unwrap();
    let shown = place.ok(&["tail", "s", "--format", "points"]);
    assert_eq!(shown, "cpu,host=a load=1 1000\n");
    stream.put("k", b"no point").unwrap();
    let (code, printed, errors) = place.run(&["tail", "s", "--format", "points"], "");
    assert_eq!((code, printed), (1, shown));
    assert!(errors.contains("another --format"), "{errors}");
}

#[test]
fn a_follower_of_a_stream_that_is_deleted_says_so() {
    let place = Place::new();
    let store = Store::open(place.store()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    stream.put("k", b"x").unwrap();
    for shard in [&[][..], &["--shard", "0"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_riverbed"))
            .args(["tail", "s", "--follow", "--from", "oldest"])
            .args(shard)
            .env("RIVERBED_STORE", place.store())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Follows once it has shown the record; in the shard that has none it may not have begun.
        if shard.is_empty() {
            let mut byte = [0];
            child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        }
        store.delete_stream("s").unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && errors.contains("no stream 's'"), "{errors}");
        store.create_stream("s", StreamOptions::new()).unwrap().put("k", b"x").unwrap();
    }
}
