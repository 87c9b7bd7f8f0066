//! What the machine charges for the bytes alone: frames of a header, a checksum and the data, and nothing else that a log does.
//! No index, no recovery, no second reader.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex};

use memmap2::{Mmap, MmapMut};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::{Mode, Workload};

/// A checksum and a copy into memory that is there.
pub const COPY: Peer = Peer {
    name: "bare: checksum, copy to memory",
    package: None,
    kind: Kind::Bare,
    open: |_, _, _| Box::new(Copy(Mutex::new(Ring::new()))),
    part: |workload| match workload {
        Workload::Append(_) | Workload::Batch => Part::Weaker("memory alone: nothing survives"),
        _ => Part::Not("does not reach a file"),
    },
    filling: Filling::Batches,
};

/// A checksum and a `write(2)` a call; or, synced, one `pwrite` and `fdatasync` for all who wait, into blocks that were written
/// before.
pub const WRITE: Peer = Peer {
    name: "bare: checksum, write",
    package: None,
    kind: Kind::Bare,
    open: |path, mode, _| Box::new(Writer::open(path, mode)),
    part: |workload| match workload {
        Workload::Read | Workload::Reopen => Part::Not("the walks are for that"),
        _ => Part::Same,
    },
    filling: Filling::Batches,
};

/// Follows the length words in a mapping of the file.
pub const POINTER_WALK: Peer = Peer {
    name: "bare: pointer walk",
    package: None,
    kind: Kind::Bare,
    open: |path, mode, _| Box::new(Walk::open(path, mode, false)),
    part: |workload| match workload {
        Workload::Read => Part::Weaker("does not check checksums"),
        _ => Part::Not("reads"),
    },
    filling: Filling::Batches,
};

/// The same, and the checksum of every frame.
pub const CHECKSUM_WALK: Peer = Peer {
    name: "bare: checksum walk",
    package: None,
    kind: Kind::Bare,
    open: |path, mode, _| Box::new(Walk::open(path, mode, true)),
    part: |workload| match workload {
        Workload::Read | Workload::Reopen => Part::Same,
        _ => Part::Not("reads"),
    },
    filling: Filling::Batches,
};

/// Bytes before the data, as many as riverbed's frames have: length, checksum, and room for the rest.
const HEADER: usize = 32;
const FILE: usize = 64 << 20;

fn frame_len(data: &[u8]) -> usize {
    (HEADER + data.len()).next_multiple_of(8)
}

/// Writes a frame to `to`, which is as long as it.
fn write_frame(to: &mut [u8], data: &[u8]) {
    to[..4].copy_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
    to[4..8].copy_from_slice(&crc32fast::hash(data).to_le_bytes());
    to[HEADER..HEADER + data.len()].copy_from_slice(data);
}

fn push_frame(to: &mut Vec<u8>, data: &[u8]) {
    let start = to.len();
    to.resize(start + frame_len(data), 0);
    write_frame(&mut to[start..], data);
}

/// Memory that has been faulted in, round and round.
struct Ring {
    memory: MmapMut,
    at: usize,
}

struct Copy(Mutex<Ring>);

impl Ring {
    fn new() -> Self {
        let mut memory = MmapMut::map_anon(FILE).unwrap();
        memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        Self { memory, at: 0 }
    }

    fn append(&mut self, data: &[u8]) {
        let len = frame_len(data);
        if self.at + len > self.memory.len() {
            self.at = 0;
        }
        write_frame(&mut self.memory[self.at..self.at + len], data);
        self.at += len;
    }
}

impl Log for Copy {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        self.0.lock().unwrap().append(data);
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        let mut ring = self.0.lock().unwrap();
        batch.iter().for_each(|data| ring.append(data));
    }

    fn read_all(&self) -> Sum {
        Sum::default()
    }

    fn close(self: Box<Self>) {}
}

struct Writer {
    file: File,
    sync: bool,
    waiting: Mutex<Waiting>,
    synced: Condvar,
}

#[derive(Default)]
struct Waiting {
    frames: Vec<u8>,
    /// Where the next frames go.
    at: usize,
    /// The batch that is being gathered, and how many are on disk.
    batch: u64,
    done: u64,
    syncing: bool,
}

impl Writer {
    fn open(path: &Path, mode: Mode) -> Self {
        let mut options = File::options();
        let file =
            options.create(true).truncate(false).read(true).write(true).open(path.join("log")).unwrap();
        let sync = mode == Mode::Synced;
        if sync {
            let zeros = [0; 4096];
            for at in (0..FILE).step_by(zeros.len()) {
                file.write_all_at(&zeros, at as u64).unwrap();
            }
            file.sync_all().unwrap();
        }
        Self { file, sync, waiting: Mutex::default(), synced: Condvar::new() }
    }

    fn write<'a>(&self, records: impl Iterator<Item = &'a [u8]>) {
        let mut waiting = self.waiting.lock().unwrap();
        records.for_each(|data| push_frame(&mut waiting.frames, data));
        if !self.sync {
            let Waiting { frames, at, .. } = &mut *waiting;
            self.file.write_all_at(frames, *at as u64).unwrap();
            *at += frames.len();
            frames.clear();
            return;
        }
        let mine = waiting.batch;
        while waiting.done <= mine {
            if waiting.syncing {
                waiting = self.synced.wait(waiting).unwrap();
                continue;
            }
            // Whoever finds nobody syncing does it for all who have come.
            waiting.syncing = true;
            let frames = std::mem::take(&mut waiting.frames);
            if waiting.at + frames.len() > FILE {
                waiting.at = 0;
            }
            let at = waiting.at;
            waiting.at += frames.len();
            waiting.batch += 1;
            drop(waiting);
            self.file.write_all_at(&frames, at as u64).unwrap();
            self.file.sync_data().unwrap();
            waiting = self.waiting.lock().unwrap();
            waiting.syncing = false;
            waiting.done += 1;
            self.synced.notify_all();
        }
    }
}

impl Log for Writer {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        self.write(std::iter::once(data));
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        self.write(batch.iter().map(Vec::as_slice));
    }

    fn read_all(&self) -> Sum {
        Sum::default()
    }

    fn close(self: Box<Self>) {}
}

struct Walk {
    writer: Writer,
    verify: bool,
}

impl Walk {
    fn open(path: &Path, mode: Mode, verify: bool) -> Self {
        let walk = Self { writer: Writer::open(path, mode), verify };
        // To open a log is to know where it ends: after a kill that takes a look at every frame.
        if verify {
            walk.read_all();
        }
        walk
    }
}

impl Log for Walk {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        self.writer.write(std::iter::once(data));
    }

    fn append_batch(&self, first: u64, batch: &[Vec<u8>]) {
        self.writer.append_batch(first, batch);
    }

    fn read_all(&self) -> Sum {
        // SAFETY: nobody else has the file, and it is not written while it is read.
        let map = unsafe { Mmap::map(&self.writer.file) }.unwrap();
        let mut rest = &map[..];
        let mut sum = Sum::default();
        while let Some(length) = rest.first_chunk::<4>().map(|word| u32::from_le_bytes(*word) as usize) {
            let data = &rest[HEADER..HEADER + length];
            if self.verify {
                assert_eq!(crc32fast::hash(data).to_le_bytes(), rest[4..8]);
            }
            sum.add(data);
            rest = &rest[frame_len(data)..];
        }
        sum
    }

    fn close(self: Box<Self>) {}
}
