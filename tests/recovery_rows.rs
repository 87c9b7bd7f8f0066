//! Guards each row of the recovery table: what is found on disk decides what becomes of a segment, by the letters of
//! `docs/DESIGN.md`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use riverbed::{
    Durability, Maintenance, Position, PutRecord, RecoveryRow, Store, StoreOptions, Stream, StreamOptions,
};

/// Where a page's slot lies, and in it state, base and checksum.
const SLOT: usize = 512;
const STATE: usize = 8;
const BASE: usize = 16;
const SUM: usize = 88;
const FRAMES: usize = 8192;

fn options() -> StoreOptions {
    Store::options().maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
}

/// A store to damage: in a directory of its own, closed in good order or as a killed process leaves it.
struct Found {
    directory: tempfile::TempDir,
    stopped: &'static str,
}

impl Found {
    /// Puts records of 15,000 bytes, three of which fill a segment.
    fn with(stop: Stop, records: &[Durability]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = options().open(directory.path().join("live")).unwrap();
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        for (index, durability) in records.iter().enumerate() {
            let data = vec![u8::try_from(index).unwrap() + 1; 15_000];
            stream.put_record(&PutRecord::new("k", &data).durability(*durability)).unwrap();
        }
        match stop {
            Stop::Close => store.close().unwrap(),
            Stop::Kill => copy(&directory.path().join("live"), &directory.path().join("killed")),
            Stop::KillPrepared => {
                store.maintain();
                copy(&directory.path().join("live"), &directory.path().join("killed"));
            }
        }
        let stopped = if matches!(stop, Stop::Close) { "live" } else { "killed" };
        Self { directory, stopped }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(self.stopped)
    }

    fn segment(&self, ordinal: u64) -> PathBuf {
        self.path().join(format!("streams/s/shard-000000/{ordinal:020}.segment"))
    }

    fn change(&self, ordinal: u64, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.segment(ordinal);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
    }

    /// Opens the store; returns what was found of each segment and the records that can be read, by their first bytes.
    fn open(&self) -> (Vec<(u64, RecoveryRow)>, Vec<u8>, usize) {
        let store = options().open(self.path()).unwrap();
        let stream = store.open_stream("s").unwrap();
        let rows = store
            .recovery_report()
            .findings()
            .map(|(_, finding)| {
                let name = finding.path.file_stem().unwrap().to_str().unwrap();
                (name.parse().unwrap(), finding.row)
            })
            .collect();
        let (records, errors) = read(&stream);
        // Whatever was found, numbers go on above all that were given, and the record is there.
        let put = stream.put("k", [99]).unwrap();
        assert!(put.sequence_number.counter() >= u64::from(*records.iter().max().unwrap_or(&0)));
        assert_eq!(read(&stream).0.last(), Some(&99));
        (rows, records, errors)
    }
}

#[derive(Clone, Copy)]
enum Stop {
    Close,
    Kill,
    /// With the next segment prepared and not used.
    KillPrepared,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn read(stream: &Stream) -> (Vec<u8>, usize) {
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let (mut records, mut errors) = (Vec::new(), 0);
    loop {
        match reader.next() {
            Ok(Some(record)) => records.push(record.data()[0]),
            Ok(None) => return (records, errors),
            Err(error) => {
                errors += 1;
                assert!(errors < 10, "{error}");
                reader.skip_damage().unwrap();
            }
        }
    }
}

/// Zeros from the last frame's first byte on: as if its pages had not been written.
fn lose_last_frame(bytes: &mut [u8]) {
    let mut at = FRAMES;
    let mut last = at;
    while at + 4 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        last = at;
        at += length.next_multiple_of(8);
    }
    bytes[last..].fill(0);
}

const NOW: Durability = Durability::Immediate;
const LATER: Durability = Durability::Buffered;

#[test]
fn a_sealed_is_used_as_it_is() {
    let found = Found::with(Stop::Close, &[NOW; 4]);
    let (rows, records, errors) = found.open();
    assert_eq!(rows, [(1, RecoveryRow::CleanlyClosed)], "nothing is to be said of the sealed one");
    assert_eq!((records, errors), (vec![1, 2, 3, 4], 0));
}

#[test]
fn b_cleanly_closed_is_gone_on_in() {
    let found = Found::with(Stop::Close, &[NOW; 2]);
    assert_eq!(found.open(), (vec![(0, RecoveryRow::CleanlyClosed)], vec![1, 2], 0));
    assert!(!found.segment(1).exists());
}

#[test]
fn c_open_and_whole_is_sealed() {
    let found = Found::with(Stop::Kill, &[NOW, LATER]);
    assert_eq!(found.open(), (vec![(0, RecoveryRow::Whole)], vec![1, 2], 0));
    assert!(found.segment(1).exists(), "appends go on in a new segment");
}

#[test]
fn d_a_torn_tail_is_cut_off_and_kept() {
    let found = Found::with(Stop::Kill, &[NOW, LATER]);
    found.change(0, |bytes| {
        let at = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        bytes[at] ^= 1;
    });
    let before = fs::read(found.segment(0)).unwrap();
    assert_eq!(found.open(), (vec![(0, RecoveryRow::TornTail)], vec![1], 0));
    let after = fs::read(found.segment(0)).unwrap();
    assert_eq!(before[FRAMES..], after[FRAMES..], "the bytes stay");
}

/// A process was killed while it stored a record: the header comes after the data.
#[test]
fn d_data_without_a_header_are_a_torn_tail() {
    let headless = |bytes: &mut Vec<u8>| {
        let at = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        let data = at.next_multiple_of(8) + 32;
        bytes[data..data + 3000].fill(7);
    };
    let found = Found::with(Stop::Kill, &[NOW]);
    found.change(0, headless);
    let report = options().open(found.path()).unwrap().recovery_report().clone();
    let (_, finding) = report.findings().next().unwrap();
    assert_eq!((finding.row, finding.dropped_bytes), (RecoveryRow::TornTail, 3032));
    assert!(finding.reason.contains("never published"), "{finding:?}");

    // The slot that says that the segment is being written again is lost: the other one says that nothing follows.
    let found = Found::with(Stop::Close, &[NOW]);
    found.change(0, |bytes| {
        headless(bytes);
        let generation =
            |page: usize| bytes[page * 4096 + SLOT..].first_chunk().copied().map(u64::from_le_bytes);
        let older = usize::from(generation(0) > generation(1));
        bytes[older * 4096 + SLOT + SUM] ^= 1;
    });
    assert_eq!(found.open(), (vec![(0, RecoveryRow::TornTail)], vec![1], 0));
}

#[test]
fn e_never_used_is_removed() {
    let found = Found::with(Stop::KillPrepared, &[NOW; 3]);
    assert!(found.segment(1).exists());
    let (rows, records, _) = found.open();
    assert_eq!(rows, [(0, RecoveryRow::Whole), (1, RecoveryRow::NeverUsed)]);
    assert_eq!(records, [1, 2, 3]);
}

#[test]
fn f_what_follows_a_lost_tail_is_not_served() {
    let found = Found::with(Stop::Kill, &[NOW, LATER, LATER, LATER]);
    found.change(0, |bytes| lose_last_frame(bytes));
    let (rows, records, errors) = found.open();
    assert_eq!(rows, [(0, RecoveryRow::Whole), (1, RecoveryRow::Orphaned)]);
    assert_eq!((records, errors), (vec![1, 2], 0));
}

#[test]
fn g_durable_records_that_are_gone_are_damage() {
    let found = Found::with(Stop::Kill, &[LATER, LATER, LATER, NOW, NOW]);
    found.change(0, |bytes| {
        lose_last_frame(bytes);
        // The slot that says "sealed" goes too, so that the segment counts as open.
        for page in [0, 4096] {
            if bytes[page + SLOT + STATE] == 3 {
                bytes[page + SLOT + SUM] ^= 1;
            }
        }
    });
    let (rows, records, errors) = found.open();
    assert_eq!(rows[0], (0, RecoveryRow::LostDurable));
    assert_eq!((records, errors), (vec![1, 2, 4, 5], 1));
}

#[test]
fn h_without_a_watermark_the_good_frames_are_served() {
    let found = Found::with(Stop::Kill, &[NOW, NOW]);
    found.change(0, |bytes| {
        bytes[SLOT + SUM] ^= 1;
        bytes[4096 + SLOT + SUM] ^= 1;
    });
    assert_eq!(found.open(), (vec![(0, RecoveryRow::WatermarkLost)], vec![1, 2], 1));
}

#[test]
fn i_without_an_identity_all_is_fenced() {
    let found = Found::with(Stop::Close, &[NOW; 7]);
    found.change(1, |bytes| {
        bytes[20] ^= 1;
        bytes[4096 + 20] ^= 1;
    });
    let (rows, records, errors) = found.open();
    assert_eq!(rows, [(1, RecoveryRow::Unidentified), (2, RecoveryRow::CleanlyClosed)]);
    assert_eq!((records, errors), (vec![1, 2, 3, 7], 1));
}

#[test]
fn j_a_missing_file_is_fenced() {
    let found = Found::with(Stop::Close, &[NOW; 7]);
    fs::remove_file(found.segment(1)).unwrap();
    let (rows, records, errors) = found.open();
    assert_eq!(
        rows.iter().map(|(_, row)| *row).collect::<Vec<_>>(),
        [RecoveryRow::Missing, RecoveryRow::CleanlyClosed]
    );
    assert_eq!((records, errors), (vec![1, 2, 3, 7], 1));
}

#[test]
fn k_a_file_that_was_cut_serves_what_it_has() {
    let found = Found::with(Stop::Close, &[NOW; 4]);
    found.change(0, |bytes| bytes.truncate(FRAMES + 20_000));
    let (rows, records, errors) = found.open();
    assert_eq!(rows, [(0, RecoveryRow::CutShort), (1, RecoveryRow::CleanlyClosed)]);
    assert_eq!((records, errors), (vec![1, 4], 1));
}

#[test]
fn l_numbers_that_were_used_before_are_fenced() {
    let found = Found::with(Stop::Close, &[NOW; 4]);
    found.change(1, |bytes| {
        let signature = crc32fast::hash(&bytes[16..32]).to_le_bytes();
        for page in [0, 4096] {
            let slot = &mut bytes[page + SLOT..page + SLOT + SUM + 4];
            slot[BASE..BASE + 8].copy_from_slice(&1_u64.to_le_bytes());
            let mut sum = crc32fast::Hasher::new();
            sum.update(&signature);
            sum.update(&slot[..SUM]);
            slot[SUM..].copy_from_slice(&sum.finalize().to_le_bytes());
        }
    });
    let (rows, records, errors) = found.open();
    assert_eq!(rows, [(1, RecoveryRow::Overlapping)]);
    assert_eq!((records, errors), (vec![1, 2, 3], 1));
}
