//! What is exported and imported again is what was there, whatever the format; what cannot be is told.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::process::{Command, Stdio};

use arrow_array::record_batch;
use riverbed::{HashKey, Position, PutRecord, ReaderOptions, Store, StreamOptions};

use crate::support::{Place, real_data};

/// Everything about a record but its number and time.
#[derive(Debug, PartialEq)]
struct Content {
    key: String,
    hash_key: Option<HashKey>,
    metadata: Vec<u8>,
    data: Vec<u8>,
}

/// The contents of all records, in order of arrival.
fn contents(place: &Place, stream: &str) -> Vec<Content> {
    let store = Store::open_read_only(place.store()).unwrap();
    let stream = store.open_stream(stream).unwrap();
    let mut reader = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    let mut all = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        let key = record.partition_key().unwrap().to_owned();
        let (metadata, data) = (record.metadata().to_vec(), record.data().to_vec());
        all.push(Content { key, hash_key: record.explicit_hash_key(), metadata, data });
    }
    all
}

/// Exports the stream `s` to a file and imports that into another store's; returns that.
fn moved(place: &Place, file: &str, options: &[&str], import_options: &[&str]) -> Place {
    let path = place.path().join(file);
    let path = path.to_str().unwrap();
    place.ok(&[&["export", "s", path], options].concat());
    let other = Place::with_stream(1);
    other.ok(&[&["import", "s", path], options, import_options].concat());
    other
}

#[test]
fn whole_records_keep_everything() {
    let place = Place::new();
    let store = Store::open(place.store()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("ann", "hell\u{f6}\nworld").unwrap();
    stream.put("", b"").unwrap_err();
    let record = PutRecord::new("bob", b"\xff\0").metadata(b"\xfe").explicit_hash_key(HashKey::from(7));
    stream.put_record(&record).unwrap();
    store.close().unwrap();
    let other = moved(&place, "records", &["--format", "records"], &[]);
    assert_eq!(contents(&other, "s"), contents(&place, "s"));
    assert_eq!(contents(&other, "s").len(), 2);
}

#[test]
fn data_are_kept_by_formats_that_can_hold_them_and_refused_by_those_that_cannot() {
    let place = Place::with_stream(1);
    place.ok_with(&["put", "s", "--key", "k", "--framing", "nul"], "{\"a\":\n1}\0");
    let expected = contents(&place, "s");
    for format in ["nul", "length-prefixed"] {
        let other = moved(&place, "file", &["--format", format], &["--key", "k"]);
        assert_eq!(contents(&other, "s"), expected, "{format}");
    }
    // The same document, in one line.
    let other = moved(&place, "file.jsonl", &[], &["--key", "k"]);
    assert_eq!(contents(&other, "s")[0].data, b"{\"a\": 1}");
    let file = place.path().join("refused");
    for (format, said) in
        [("lines", "line feed"), ("line-protocol", "another --format"), ("arrow", "no batch of rows")]
    {
        let (code, printed, errors) =
            place.run(&["export", "s", file.to_str().unwrap(), "--format", format], "");
        assert!(code == 1 && printed.is_empty() && errors.contains(said), "{format}: {errors}");
        // Neither a part of a file nor what was to become one.
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3, "{format}");
    }
    place.ok_with(&["put", "s", "--key", "k"], "no JSON\n");
    let (code, _, errors) = place.run(&["export", "s", "--format", "json-lines"], "");
    assert!(code == 1 && errors.contains("it is no JSON"), "{errors}");
}

#[test]
fn points_are_read_in_their_dialect_and_written_canonically() {
    let place = Place::with_stream(2);
    let body = "# comment\n\ncpu,host=a,az=b v=1i 7\ncpu,host=a v=2i 8\ncpu,host=\"x v=\"li\nne\" 9\n";
    let printed = place.ok_with(&["import", "s", "--format", "line-protocol", "--precision", "ms"], body);
    assert_eq!(printed, "3 records put\n");
    let mut lines: Vec<_> = contents(&place, "s").into_iter().map(|record| record.data).collect();
    lines.sort();
    let expected = [
        &b"cpu,az=b,host=a v=1i 7000000"[..],
        b"cpu,host=\"x v=\"li\nne\" 9000000",
        b"cpu,host=a v=2i 8000000",
    ];
    assert_eq!(lines, expected);
    let other = moved(&place, "points.lp", &[], &[]);
    let mut again: Vec<_> = contents(&other, "s").into_iter().map(|record| record.data).collect();
    again.sort();
    assert_eq!(again, expected);
}

#[test]
fn bad_points_keep_the_others_out_or_are_left_out() {
    let body = "cpu v=1 1\ncpu v= 2\ncpu v=3 3\n";
    let place = Place::with_stream(1);
    let args = ["import", "s", "--format", "line-protocol"];
    let (code, _, errors) = place.run(&args, body);
    assert_eq!(code, 1);
    assert!(
        errors.contains("0 records put") && errors.contains("'cpu v= 2': missing field value"),
        "{errors}"
    );
    assert_eq!(contents(&place, "s").len(), 0);
    let (code, printed, errors) = place.run(&[&args[..], &["--keep-going"]].concat(), body);
    assert_eq!((code, &*printed), (1, "2 records put\n"));
    assert!(errors.contains("left out: unable to parse 'cpu v= 2'"), "{errors}");
    assert_eq!(contents(&place, "s").len(), 2);
}

/// A body is cut where the dialect's lines end, and a quote is not always one.
#[test]
fn a_long_body_is_not_cut_within_a_point() {
    // Counting all quotes puts the end of the first MiB of lines into the string of a point.
    let body = ["a f=1\n", &"m,t=5\" f=\"x\ny\"\n".repeat(70_000)].concat();
    let place = Place::with_stream(1);
    let printed = place.ok_with(&["import", "s", "--format", "line-protocol"], body);
    assert_eq!(printed, "70,001 records put\n");
}

#[test]
fn rows_go_in_and_out_as_arrow_ipc() {
    let place = Place::new();
    let store = Store::open(place.store()).unwrap();
    let columns = store.create_stream("s", StreamOptions::new()).unwrap().columns();
    columns.put_batch("k", &record_batch!(("a", Int32, [1, 2])).unwrap()).unwrap();
    columns.put_batch("k", &record_batch!(("a", Int32, [3]), ("b", Utf8, ["x"])).unwrap()).unwrap();
    // Beside the writer. The rows of the first batch get nulls.
    let file = place.path().join("rows.arrow");
    let printed = place.ok(&["export", "s", file.to_str().unwrap()]);
    assert_eq!(printed, format!("3 rows, in {}\n", file.display()));
    assert!(fs::read(&file).unwrap().starts_with(b"ARROW1"));
    let stream = place.command(&["export", "s", "--format", "arrow"]).output().unwrap().stdout;
    assert!(stream.starts_with(&[0xff; 4]));
    let other = Place::with_stream(1);
    let printed = other.ok_with(&["import", "s", "--format", "arrow", "--key", "k"], stream);
    assert_eq!(printed, "3 rows put, in 2 records\n");
    let imported = other.json(&["import", "s", file.to_str().unwrap(), "--key", "k"]);
    assert_eq!((&imported["rows"], &imported["records"]), (&3.into(), &2.into()));
    let all = Store::open(other.store()).unwrap().open_stream("s").unwrap().columns();
    let mut reader = all.merged_reader(Position::TrimHorizon, Default::default()).unwrap();
    let expected = record_batch!(("a", Int32, [3]), ("b", Utf8, ["x"])).unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = reader.next().unwrap() {
        rows.push(batch.into_rows());
    }
    assert_eq!(rows.len(), 4);
    assert_eq!((&rows[1], &rows[3]), (&expected, &expected));
    // A batch is no line.
    let (code, _, errors) = other.run(&["export", "s", "--format", "lines"], "");
    assert!(code == 1 && errors.contains("--format csv, json-rows, parquet or arrow"), "{errors}");
}

#[test]
fn a_batch_of_one_row_is_a_batch() {
    let place = Place::with_stream(1);
    place.ok_with(&["import", "s", "--format", "csv", "--key", "k"], "a\n1\n");
    let (code, printed, errors) = place.run(&["export", "s"], "");
    assert!(code == 1 && printed.is_empty() && errors.contains("it is a batch of rows"), "{errors}");
    // Its data without their schema cannot be put.
    let records = place.ok(&["export", "s", "--format", "records"]);
    let (code, _, errors) = Place::with_stream(1).run(&["import", "s", "--format", "records"], records);
    assert!(code == 1 && errors.contains("it is a batch of rows"), "{errors}");
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let place = Place::with_stream(1);
    let csv = "a\n1\n2\n";
    let put = &["import", "s", "-", "--format", "csv", "--key", "k"];
    assert_eq!(place.ok_with(put, csv), "2 rows put, in 1 record\n");
    assert_eq!(
        place
            .command(&["export", "s", "-", "--format", "csv"])
            .current_dir(place.path())
            .output()
            .unwrap()
            .stdout,
        csv.as_bytes()
    );
    assert!(!place.path().join("-").exists());
}

#[test]
fn rows_of_every_format_come_back_as_they_went_in() {
    let csv = "id,name,fare,paid\n1,ann,12.5,true\n2,,8.0,false\n3,bob,,\n";
    let place = Place::with_stream(1);
    let file = place.path().join("rows.csv");
    fs::write(&file, csv).unwrap();
    let printed = place.ok(&["import", "s", file.to_str().unwrap(), "--key", "taxis"]);
    assert_eq!(printed, "3 rows put, in 1 record\n");
    let as_csv = |place: &Place| place.ok(&["export", "s", "--format", "csv"]);
    assert_eq!(as_csv(&place), csv);
    let rows = "{\"id\":1,\"name\":\"ann\",\"fare\":12.5,\"paid\":true}\n{\"id\":2,\"fare\":8.0,\"paid\":false}\n\
                {\"id\":3,\"name\":\"bob\"}\n";
    assert_eq!(place.ok(&["export", "s", "--format", "json-rows"]), rows);
    // Columns of objects in JSON have no order of their own.
    for (name, options) in [("rows.parquet", &[][..]), ("rows.arrow", &[]), ("rows.csv", &[])] {
        let other = moved(&place, name, options, &["--key", "taxis"]);
        assert_eq!(as_csv(&other), csv, "{name}");
    }
    let other = Place::with_stream(1);
    other.ok_with(&["import", "s", "--format", "json-rows", "--key", "k"], rows);
    let sorted = "fare,id,name,paid\n12.5,1,ann,true\n8.0,2,,false\n,3,bob,\n";
    assert_eq!(as_csv(&other), sorted);
    let numbered = place.ok(&["export", "s", "--format", "csv", "--sequence-numbers"]);
    assert!(
        numbered.starts_with("id,name,fare,paid,seq_number,stream_time,shard_id\n1,ann,12.5,true,0,"),
        "{numbered}"
    );
}

#[test]
fn rows_are_read_as_they_look_or_as_those_before_them() {
    let place = Place::with_stream(1);
    let import = |options: &[&str], input: &str| {
        place.run(&[&["import", "s", "--format", "csv", "--key", "k"][..], options].concat(), input)
    };
    let (code, _, errors) = import(&["--as-newest"], "a\n1\n");
    assert!(code == 2 && errors.contains("no rows yet"), "{errors}");
    assert_eq!(import(&[], "a\n1.5\n").0, 0);
    // Whole numbers look like another type.
    let (code, _, errors) = import(&[], "a\n2\n");
    assert!(code == 1 && errors.contains("'a'") && errors.contains("--as-newest"), "{errors}");
    assert_eq!(import(&["--as-newest"], "a\n2\n").0, 0);
    assert_eq!(place.ok(&["export", "s", "--format", "csv"]), "a\n1.5\n2.0\n");
    let (code, _, errors) = import(&["--as-newest"], "a\nx\n");
    assert!(code == 1 && errors.contains("CSV") && errors.contains("standard input"), "{errors}");
    // A pipe has no end to begin at.
    let (code, _, errors) = place.run(&["import", "s", "--format", "parquet", "--key", "k"], "PAR1");
    assert!(code == 2 && errors.contains("give a file"), "{errors}");
}

#[test]
fn a_range_is_exported() {
    let place = Place::with_stream(1);
    place.ok_with(&["put", "s", "--key", "k"], "0\n1\n2\n");
    let number = (1_u128 << 32).to_string();
    let export = |options: &[&str]| place.ok(&[&["export", "s"], options].concat());
    assert_eq!(export(&[]), "0\n1\n2\n");
    assert_eq!(export(&["--from", &format!("after:{number}")]), "2\n");
    assert_eq!(export(&["--until", "1970-01-01T00:00:00Z"]), "");
    assert_eq!(export(&["--until", "2200-01-01 00:00:00", "--shard", "0"]), "0\n1\n2\n");
}

/// Only a file is replaced: neither a pipe, nor a link, nor what somebody else has beside it.
#[test]
fn what_is_there_under_the_name_stays_what_it_is() {
    let place = Place::with_stream(1);
    place.ok_with(&["put", "s", "--key", "k"], "one\n");
    let path = |name: &str| place.path().join(name);
    let export = |name: &str| place.run(&["export", "s", path(name).to_str().unwrap()], "");

    let pipe = path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Both ends, so that nobody waits for the other.
    let mut reader = File::options().read(true).write(true).open(&pipe).unwrap();
    assert_eq!(export("pipe").0, 0);
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    let mut read = [0; 4];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"one\n");

    fs::create_dir(path("elsewhere")).unwrap();
    for there_before in [true, false] {
        let (link, target) = (format!("link-{there_before}"), format!("elsewhere/{there_before}"));
        symlink(&target, path(&link)).unwrap();
        if there_before {
            fs::write(path(&target), "before").unwrap();
        }
        assert_eq!(export(&link).0, 0);
        assert!(fs::symlink_metadata(path(&link)).unwrap().is_symlink());
        assert_eq!(fs::read(path(&target)).unwrap(), b"one\n");
        assert_eq!(fs::read_dir(path("elsewhere")).unwrap().count(), 1);
        fs::remove_file(path(&target)).unwrap();
    }

    fs::write(path("file.part"), "somebody's").unwrap();
    let (code, printed, errors) = export("file");
    assert!(code == 1 && printed.is_empty() && errors.contains("file.part is there already"), "{errors}");
    assert_eq!(fs::read(path("file.part")).unwrap(), b"somebody's");
    assert!(!path("file").exists());
}

#[test]
fn what_cannot_be_meant_is_said() {
    let place = Place::with_stream(1);
    let cases: [(&[&str], i32, &str); 7] = [
        (&["import", "s", "/no/such"], 1, "cannot open /no/such"),
        (&["import", "s", "--format", "lines"], 2, "--spread"),
        (&["import", "s", "--format", "records", "--key", "k"], 2, "have their keys"),
        (&["import", "s", "--format", "line-protocol", "--spread"], 2, "key of their series"),
        (&["import", "s", "--format", "line-protocol", "--precision", "h"], 2, "invalid precision"),
        (&["import", "s", "--format", "arrow", "--spread"], 2, "--key"),
        (&["export", "s", "--sequence-numbers"], 2, "--format records"),
    ];
    for (args, expected, text) in cases {
        let (code, printed, errors) = place.run(args, "");
        assert!(code == expected && printed.is_empty() && errors.contains(text), "{args:?}: {code} {errors}");
    }
    let (code, _, errors) = place.run(&["import", "s", "--format", "records", "--keep-going"], "{}\n");
    assert!(code == 1 && errors.contains("left out: record 1 of the input"), "{errors}");
}

#[test]
fn an_interrupted_import_keeps_what_it_has_read() {
    let place = Place::with_stream(1);
    let mut child = Command::new(env!("CARGO_BIN_EXE_riverbed"))
        .args(["import", "s", "--key", "k", "--json"])
        .env("RIVERBED_STORE", place.store())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"whole\nnot who").unwrap();
    // Once it is there, the signals are being listened to, too.
    while contents(&place, "s").is_empty() {
        std::thread::yield_now();
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(1));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&printed["records"], &printed["interrupted"]), (&1.into(), &true.into()));
    assert_eq!(contents(&place, "s").len(), 1);
}

#[test]
fn real_data_come_back_as_they_went_in() {
    let Some(log) = real_data("apache_access.log") else { return };
    let place = Place::with_stream(3);
    assert_eq!(place.ok(&["import", "s", &log, "--key-field", "1"]), "10,000 records put\n");
    let sorted = |text: &[u8]| {
        let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    let exported = place.ok(&["export", "s"]);
    assert!(sorted(exported.as_bytes()) == sorted(&fs::read(&log).unwrap()));
    let other = moved(&place, "records", &["--format", "records"], &[]);
    assert!(contents(&other, "s") == contents(&place, "s"));

    let Some(points) = real_data("nab_metrics.lp") else { return };
    let place = Place::with_stream(1);
    assert_eq!(place.ok(&["import", "s", &points]), "40,000 records put\n");
    let other = moved(&place, "points.lp", &[], &[]);
    let stored = contents(&place, "s");
    assert_eq!(stored.len(), 40_000);
    assert!(contents(&other, "s") == stored);
}

#[test]
fn real_rows_come_back_as_they_went_in() {
    let Some(csv) = real_data("taxi_2019-01.csv") else { return };
    let place = Place::with_stream(1);
    assert_eq!(place.ok(&["import", "s", &csv, "--key", "taxis"]), "10,000 rows put, in 2 records\n");
    let exported = |place: &Place| place.ok(&["export", "s", "--format", "csv"]);
    for name in ["taxis.parquet", "taxis.arrow"] {
        let other = moved(&place, name, &[], &["--key", "taxis"]);
        assert!(exported(&other) == exported(&place), "{name}");
    }
}
