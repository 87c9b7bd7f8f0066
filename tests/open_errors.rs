//! Guards against taking over a directory that is no store, against misreading or changing what a newer version has
//! written, and against one damaged manifest taking the other streams with it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use riverbed::{
    CreateStreamError, OpenError, Position, PutError, Store, StoreOptions, Stream, StreamError, StreamOptions,
};
use tempfile::TempDir;

fn options() -> StoreOptions {
    Store::options().segment_len(64 * 1024, 64 * 1024)
}

/// A closed store with the streams `a` and `b`, three records each.
fn closed_store() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = options().open(&path).unwrap();
    for name in ["a", "b"] {
        let stream = store.create_stream(name, StreamOptions::new()).unwrap();
        for data in ["one", "two", "three"] {
            stream.put("k", data).unwrap();
        }
    }
    store.close().unwrap();
    (directory, path)
}

fn read(stream: &Stream) -> Vec<Vec<u8>> {
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let mut found = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        found.push(record.data().to_vec());
    }
    found
}

fn check_whole(path: &Path) {
    let store = options().open(path).unwrap();
    assert!(store.recovery_report().is_clean(), "{:#?}", store.recovery_report());
    for name in ["a", "b"] {
        assert_eq!(read(&store.open_stream(name).unwrap()), [&b"one"[..], b"two", b"three"]);
    }
    store.close().unwrap();
}

/// Every file with its bytes, but for the lock.
fn contents(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                open.push(entry);
            } else if entry.file_name().unwrap() != "LOCK" {
                let bytes = fs::read(&entry).unwrap();
                all.push((entry, bytes));
            }
        }
    }
    all.sort();
    all
}

/// Makes a file one of format 2.
type MakeNewer<'a> = &'a dyn Fn(&Path);

fn newer_manifest(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let body = text.split_once("\"body\":").unwrap().1.trim_end().strip_suffix('}').unwrap();
    let sum = |format: u32| format!("{:08x}", crc32fast::hash(format!("{format} {body}").as_bytes()));
    let envelope =
        |format: u32| format!("{{\"format\":{format},\"crc32\":\"{}\",\"body\":{body}}}\n", sum(format));
    assert_eq!(text, envelope(1));
    fs::write(path, envelope(2)).unwrap();
}

#[test]
fn a_directory_with_other_things_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.txt"), "years of work").unwrap();
    for create in [true, false] {
        let error = options().create(create).open(directory.path()).unwrap_err();
        match &error {
            OpenError::NotAStore { path, found } => {
                assert_eq!((path.as_path(), found.as_str()), (directory.path(), "thesis.txt"));
            }
            other => panic!("{other:?}"),
        }
        assert!(error.to_string().contains("thesis.txt"), "{error}");
    }
    let left: Vec<_> = contents(directory.path());
    assert_eq!(left.len(), 1);
    assert!(!directory.path().join("LOCK").exists());
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let newer_segment = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        for page in [0, 4096] {
            bytes[page + 8..page + 12].copy_from_slice(&2_u32.to_le_bytes());
            let sum = crc32fast::hash(&bytes[page..page + 72]);
            bytes[page + 72..page + 76].copy_from_slice(&sum.to_le_bytes());
        }
        fs::write(path, bytes).unwrap();
    };
    let (_directory, path) = closed_store();
    let segment = "streams/b/shard-000000/00000000000000000000.segment";
    let cases: [(&str, MakeNewer<'_>); 3] = [
        ("store.json", &newer_manifest),
        ("streams/b/stream.json", &newer_manifest),
        (segment, &newer_segment),
    ];
    for (file, make_newer) in cases {
        let file = path.join(file);
        let before = fs::read(&file).unwrap();
        make_newer(&file);
        let all = contents(&path);
        let error = options().open(&path).unwrap_err();
        match &error {
            OpenError::NewerFormat { path: named, found, supported } => {
                assert_eq!((named, *found, *supported), (&file, 2, 1));
            }
            other => panic!("{other:?}"),
        }
        assert!(error.to_string().contains("version 2"), "{error}");
        assert!(contents(&path) == all, "something was changed on the way to {error}");
        // It was let go of, and is what it was once the file is.
        fs::write(&file, before).unwrap();
        check_whole(&path);
    }
}

#[test]
fn a_damaged_store_manifest_is_named_and_can_be_restored() {
    let (_directory, path) = closed_store();
    let file = path.join("store.json");
    let good = fs::read(&file).unwrap();
    let digit = good.iter().rposition(u8::is_ascii_digit).unwrap();
    let mut flipped = good.clone();
    flipped[digit] ^= 1;
    for damaged in [flipped, Vec::new(), good[..good.len() / 2].to_vec(), vec![0; good.len()], vec![0xff; 10]]
    {
        fs::write(&file, &damaged).unwrap();
        let error = options().open(&path).unwrap_err();
        match &error {
            OpenError::Damaged { path: named, reason } => {
                assert_eq!(named, &file);
                assert!(!reason.is_empty());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read(&file).unwrap(), damaged, "nobody writes over it");
    }
    fs::write(&file, good).unwrap();
    check_whole(&path);
}

#[test]
fn a_damaged_stream_manifest_costs_that_stream_alone() {
    let (_directory, path) = closed_store();
    let file = path.join("streams/b/stream.json");
    let good = fs::read(&file).unwrap();
    let digit = good.iter().rposition(u8::is_ascii_digit).unwrap();
    let mut flipped = good.clone();
    flipped[digit] ^= 1;
    for damaged in [flipped, Vec::new(), good[..good.len() / 2].to_vec(), vec![0; good.len()]] {
        fs::write(&file, &damaged).unwrap();
        let store = options().open(&path).unwrap();
        assert_eq!(store.list_streams(), ["a", "b"]);
        match store.open_stream("b") {
            Err(StreamError::Damaged { path, .. }) => assert_eq!(path, file),
            other => panic!("{other:?}"),
        }
        let again = store.create_stream("b", StreamOptions::new());
        assert!(matches!(again, Err(CreateStreamError::Exists { .. })), "{again:?}");
        let other = store.open_stream("a").unwrap();
        assert_eq!(read(&other).len(), 3);
        store.create_stream("c", StreamOptions::new()).unwrap().put("k", b"works").unwrap();
        store.delete_stream("c").unwrap();
        store.close().unwrap();
        assert_eq!(fs::read(&file).unwrap(), damaged, "nobody writes over it");
    }
    // One that is missing is no different.
    fs::remove_file(&file).unwrap();
    let store = options().open(&path).unwrap();
    assert!(matches!(store.open_stream("b"), Err(StreamError::Io(_))));
    assert_eq!(read(&store.open_stream("a").unwrap()).len(), 3);
    store.close().unwrap();

    fs::write(&file, good).unwrap();
    check_whole(&path);
    // A damaged stream can be given up.
    fs::write(&file, "?").unwrap();
    let store = options().open(&path).unwrap();
    store.delete_stream("b").unwrap();
    assert_eq!(store.list_streams(), ["a"]);
    store.create_stream("b", StreamOptions::new()).unwrap().put("k", b"anew").unwrap();
    store.close().unwrap();
    let store = options().open(&path).unwrap();
    assert_eq!(read(&store.open_stream("b").unwrap()), [b"anew"]);
}

#[test]
fn create_false_creates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let missing = options().create(false).open(&path);
    assert!(matches!(&missing, Err(OpenError::NotFound { path: named }) if *named == path), "{missing:?}");
    assert!(!path.exists());
    // An empty directory is no store either.
    fs::create_dir(&path).unwrap();
    let empty = options().create(false).open(&path);
    assert!(matches!(empty, Err(OpenError::NotFound { .. })), "{empty:?}");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    options().open(&path).unwrap().close().unwrap();
    options().create(false).open(&path).unwrap();
    // Missing ancestors are created on the way.
    options().open(directory.path().join("x/y/z")).unwrap();
}

#[test]
fn a_segment_length_out_of_range_is_refused_before_anything_happens() {
    const KIB: u64 = 1024;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let most = 1_u64 << 40;
    for (first, max, which) in [
        (64 * KIB - 1, 64 * KIB, "first"),
        (0, most, "first"),
        (64 * KIB, 64 * KIB - 1, "largest"),
        (64 * KIB, most + 1, "largest"),
        (most + 1, most, "first"),
        (64 * KIB, u64::MAX, "largest"),
    ] {
        match Store::options().segment_len(first, max).open(&path) {
            Err(OpenError::SegmentLen { what, len, min, max: largest }) => {
                assert_eq!((what, min, largest), (which, 64 * KIB, most));
                assert_eq!(len, if which == "first" { first } else { max });
            }
            other => panic!("{first}, {max}: {other:?}"),
        }
    }
    assert!(!path.exists());
    Store::options().segment_len(64 * KIB, most).open(&path).unwrap();
    // The largest is at least the first, and both are whole pages.
    let store = Store::options().segment_len(100_001, 64 * KIB).open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", b"v").unwrap();
    assert_eq!(stream.stats().shards[0].bytes % 4096, 0);
    assert!(stream.stats().shards[0].bytes >= 100_001);
}

#[test]
fn a_path_that_is_a_file_is_an_error_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "text").unwrap();
    for path in [file.clone(), file.join("data")] {
        let error = options().open(&path).unwrap_err();
        assert!(matches!(error, OpenError::Io(_)), "{error:?}");
        assert!(error.to_string().contains("file"), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"text");
}

#[test]
fn a_closed_store_says_so() {
    let (_directory, path) = closed_store();
    let store = options().open(&path).unwrap();
    let stream = store.open_stream("a").unwrap();
    store.close().unwrap();
    assert!(matches!(store.create_stream("n", StreamOptions::new()), Err(CreateStreamError::Closed)));
    assert!(matches!(store.open_stream("a"), Err(StreamError::Closed)));
    assert!(matches!(store.delete_stream("a"), Err(StreamError::Closed)));
    assert!(matches!(stream.put("k", b"v"), Err(PutError::Closed)));
    check_whole(&path);
}

#[test]
fn files_in_scratch_are_removed_by_opening() {
    let (_directory, path) = closed_store();
    let scratch = path.join("scratch");
    fs::write(scratch.join("file"), "left by a program that was killed").unwrap();
    fs::create_dir(scratch.join("0")).unwrap();
    fs::write(scratch.join("0/stream.json"), "half a strea").unwrap();
    check_whole(&path);
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
}
