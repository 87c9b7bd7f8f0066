//! A full disk is an ordinary error of one put: nothing dies, reads go on, and so do writes once there is room.
//!
//! Guards against SIGBUS from holes in mapped files, against half-made segments and streams, and against a shard
//! that stays broken after the disk was full. Each scenario runs in a child process, on a tmpfs and on a small ext4
//! of its own, so that a signal is a failed test; the second child finds the store that the first left on the full
//! disk without closing it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and skipping is said")]

#[path = "common/child.rs"]
mod child;
#[path = "common/mount.rs"]
mod mount;

use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mount::Mount;
use riverbed::{Durability, Position, PutError, PutRecord, Store, Stream, StreamOptions};

const BIG: usize = 8000;
const SMALL: usize = 10;
const BALLAST: usize = 1 << 20;

#[test]
fn a_full_tmpfs_is_an_ordinary_error() {
    for durability in ["buffered", "immediate"] {
        let directory = tempfile::tempdir().unwrap();
        match Mount::tmpfs(8 << 20, &directory.path().join("disk")) {
            Ok(disk) => both_children(disk.point(), durability),
            Err(why) => println!("full tmpfs: skipped, no tmpfs: {why}"),
        }
    }
}

#[test]
fn a_full_ext4_is_an_ordinary_error() {
    for durability in ["buffered", "immediate"] {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let image = directory.path().join("disk.img");
        match Mount::formatted(&image, 14 << 20, "ext4", &directory.path().join("disk")) {
            Ok(disk) => both_children(disk.point(), durability),
            Err(why) => println!("full ext4: skipped, no ext4 on a loop device: {why}"),
        }
    }
}

fn both_children(disk: &Path, durability: &str) {
    for phase in ["fill", "reopen"] {
        let task = format!("{phase},{durability},{}", mount::text(disk));
        let (lines, status) = child::start("child_runs", &task).finish();
        println!("{disk:?}, {durability}, {phase}: {}", lines.join("\n  "));
        assert_eq!(status.signal(), None, "{phase} with {durability} on {disk:?} died of a signal");
        assert!(status.success(), "{phase} with {durability} on {disk:?} failed: {status}");
        assert!(lines.iter().any(|line| line == "done"), "{phase} with {durability} did not come to its end");
    }
}

#[test]
fn child_runs() {
    let Some(task) = child::task() else { return };
    let parts: Vec<_> = task.splitn(3, ',').collect();
    let durability = if parts[1] == "immediate" { Durability::Immediate } else { Durability::Buffered };
    let disk = Disk { root: PathBuf::from(parts[2]) };
    child::report("\n");
    if parts[0] == "fill" {
        fill(&disk, durability);
    } else {
        reopen(&disk, durability);
    }
    child::report("done\n");
}

/// The file system to fill.
struct Disk {
    root: PathBuf,
}

impl Disk {
    fn open(&self, durability: Durability) -> Store {
        let options = Store::options().segment_len(64 * 1024, 256 * 1024).durability(durability);
        options.open(self.root.join("store")).expect("the store opens")
    }

    /// Takes all the room that is left, to the last byte.
    fn fill(&self, name: &str) {
        let mut file = File::create(self.root.join(name)).expect("a file for what is left");
        let mut piece = 64 * 1024;
        while piece > 0 {
            if file.write_all(&vec![1; piece]).and_then(|()| file.sync_data()).is_err() {
                piece /= 4;
            }
        }
    }

    /// Where the first child leaves word for the second, beside the full disk.
    fn note(&self) -> PathBuf {
        self.root.with_extension("note")
    }

    fn make_room(&self, name: &str) {
        std::fs::remove_file(self.root.join(name)).unwrap();
    }
}

fn data(index: usize, len: usize) -> Vec<u8> {
    let mut data = index.to_le_bytes().to_vec();
    data.resize(len, u8::try_from(index % 251).unwrap());
    data
}

fn put(stream: &Stream, index: usize, len: usize) -> Result<(), PutError> {
    stream.put("key", data(index, len)).map(drop)
}

/// Puts records of this length until one does not go in; returns why.
fn put_until_full(stream: &Stream, next: &mut usize, len: usize) -> PutError {
    loop {
        match put(stream, *next, len) {
            Ok(()) => *next += 1,
            Err(error) => return error,
        }
    }
}

fn assert_full(error: &PutError) {
    let PutError::StorageFull { needed, available, path } = error else {
        panic!("not StorageFull: {error:?}");
    };
    child::report(&format!("{error}\n"));
    assert!(*needed >= 64 * 1024, "{needed} is no segment");
    assert!(*available < 2 * needed, "{available} would have been enough for {needed}");
    assert!(path.to_str().is_some_and(|path| path.contains("shard-")), "{path:?}");
}

/// Reads all of the stream from the start: records 0, 1, 2, ... of one shard.
fn read(stream: &Stream) -> usize {
    let mut count = 0;
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).expect("a reader");
        while let Some(record) = reader.next().expect("reads go on") {
            assert!(record.data() == data(count, record.data().len()), "record {count} is another");
            count += 1;
        }
    }
    count
}

fn fill(disk: &Disk, durability: Durability) {
    std::fs::write(disk.root.join("ballast"), vec![1; BALLAST]).unwrap();
    std::fs::write(disk.root.join("ballast-2"), vec![1; BALLAST]).unwrap();
    let store = disk.open(durability);
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let unused = store.create_stream("unused", StreamOptions::new()).unwrap();
    let (stop, reads, written) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                let least = written.load(Ordering::Acquire);
                assert!(read(&stream) >= least, "a reader missed records");
                reads.fetch_add(1, Ordering::AcqRel);
            }
        });
        let stop = StopAtEnd(&stop);
        let mut next = 0;
        // At the roll, and every time again.
        assert_full(&put_until_full(&stream, &mut next, BIG));
        written.store(next, Ordering::Release);
        for _ in 0..3 {
            assert_full(&put(&stream, next, BIG).unwrap_err());
        }
        // The segment being written takes what it has room for; each record of a batch stands for itself.
        let records: Vec<_> = [BIG, SMALL, BIG, SMALL]
            .iter()
            .zip([9, 0, 9, 1])
            .map(|(len, at)| data(next + at, *len))
            .collect();
        let records: Vec<_> = records.iter().map(|data| PutRecord::new("key", data)).collect();
        let puts = stream.put_records(&records);
        let failed: Vec<_> = puts.failed().map(|(index, _)| index).collect();
        assert_eq!(failed, [0, 2], "{puts:?}");
        puts.failed().for_each(|(_, error)| assert_full(error));
        next += 2;
        let before = next;
        assert_full(&put_until_full(&stream, &mut next, SMALL));
        child::report(&format!("{} small records still went in\n", next - before));
        assert_eq!(read(&stream), next);

        // Room: writes go on by themselves.
        disk.make_room("ballast");
        put(&stream, next, BIG).expect("there is room now");
        next += 1;
        assert_full(&put_until_full(&stream, &mut next, BIG));

        // Not a byte left.
        disk.fill("filler");
        written.store(next, Ordering::Release);
        assert_full(&put(&unused, 0, SMALL).unwrap_err());
        assert_eq!(read(&unused), 0);
        let error = store.create_stream("t", StreamOptions::new().shards(3)).unwrap_err();
        child::report(&format!("create_stream: {error}\n"));
        assert_eq!(store.list_streams(), ["s", "unused"]);
        assert_eq!(std::fs::read_dir(disk.root.join("store/scratch")).unwrap().count(), 0);
        assert!(store.open_stream("t").is_err());
        put(&stream, next, SMALL).expect("room in the segment being written");
        next += 1;
        stream.sync().expect("a sync needs no room");
        let shard = stream.shards()[0].id;
        let durable = stream.durable_sequence_number(shard).unwrap().unwrap();
        assert_eq!(durable.counter(), next as u64 - 1);
        assert_eq!(read(&stream), next);
        let read_so_far = reads.load(Ordering::Acquire);
        while reads.load(Ordering::Acquire) < read_so_far + 2 {
            std::thread::yield_now();
        }
        std::fs::write(disk.note(), next.to_string()).unwrap();
        drop(stop);
    });
    // Not even room for a note in the lock file about who holds it.
    std::fs::write(disk.root.join("store/LOCK"), "").unwrap();
    disk.fill("filler-2");
    // As if the process had been killed.
    std::mem::forget((store, stream, unused));
}

/// Ends the reading thread, also when the other one panics.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Finds the store not closed, and not a byte left.
fn reopen(disk: &Disk, durability: Durability) {
    let mut next: usize = std::fs::read_to_string(disk.note()).unwrap().parse().unwrap();
    for round in 0..3 {
        let store = disk.open(durability);
        assert!(!store.recovery_report().is_damaged(), "{:?}", store.recovery_report());
        assert_eq!(store.recovery_report().is_clean(), round > 0, "{:?}", store.recovery_report());
        let stream = store.open_stream("s").unwrap();
        assert_eq!(read(&stream), next);
        assert_full(&put(&stream, next, BIG).unwrap_err());
        assert_eq!(store.list_streams(), ["s", "unused"]);
        if round < 2 {
            store.close().expect("closing needs no room");
            continue;
        }
        disk.make_room("ballast-2");
        put(&stream, next, BIG).expect("there is room now");
        next += 1;
        store.create_stream("t", StreamOptions::new().shards(3)).expect("there is room now");
        assert_eq!(read(&stream), next);
    }
}
