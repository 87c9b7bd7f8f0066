//! Making segment files, ahead of need where possible.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::error::IoError;
use crate::sys::mapping::Mapping;
use crate::sys::storage::{Access, StorageFile, remove_if_there, with_suffix};

use super::files::SegmentFile;
use super::frame::MAX_FRAME_LEN;
use super::header::{HEADER_LEN, Identity, MAX_SPAN, PAGE};
use super::options::Context;

/// A segment file that exists durably and holds no record yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) identity: Identity,
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) map: Mapping,
    /// Pages before this offset have been faulted in.
    pub(crate) populated: usize,
}

/// What a segment is wanted for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) shard: u32,
    pub(crate) ordinal: u64,
    /// Length of the file in bytes.
    pub(crate) capacity: u64,
    /// How many sequence numbers it hands out at the most.
    pub(crate) span: u64,
    /// The least that will do: bytes for one frame, and sequence numbers for its rows.
    pub(crate) frame_len: usize,
    pub(crate) rows: u64,
    /// How many bytes of frames to fault in ahead of their use.
    pub(crate) prefault: usize,
}

impl Wanted {
    /// A segment of about `capacity` bytes that has room for a frame of `frame_len` bytes and `rows` numbers.
    pub(crate) fn new(shard: u32, ordinal: u64, capacity: u64, frame_len: usize, rows: u64) -> Self {
        let needed = (HEADER_LEN + frame_len).next_multiple_of(PAGE) as u64;
        let capacity = capacity.max(needed);
        // A number for each bit: rows of one boolean fill the bytes and the numbers at about the same time. A frame of more
        // rows than that (of nothing but nulls) takes the room of its rows.
        let span = capacity.saturating_mul(8).max(rows).min(MAX_SPAN);
        Self { shard, ordinal, capacity, span, frame_len, rows, prefault: 0 }
    }
}

const _: () = assert!((MAX_FRAME_LEN + HEADER_LEN) < (1 << 30));

impl Prepared {
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether this segment is as good as the one that is wanted.
    pub(crate) fn serves(&self, wanted: &Wanted) -> bool {
        self.identity.ordinal == wanted.ordinal
            && self.identity.capacity >= (HEADER_LEN + wanted.frame_len) as u64
            && self.identity.span >= wanted.rows
    }
}

/// The file name of a segment.
pub(crate) fn file_name(ordinal: u64) -> String {
    format!("{ordinal:020}.segment")
}

/// Creates a segment file: under a temporary name, with its space reserved and its header durable, then
/// renamed, then the directory synced. After a crash at any step there is the whole file or none of that name.
pub(crate) fn create(context: &Context, dir: &Path, wanted: Wanted) -> Result<Prepared, IoError> {
    let path = dir.join(file_name(wanted.ordinal));
    let temporary = with_suffix(&path, ".tmp");
    let storage = &*context.storage;
    let outcome = (|| {
        remove_if_there(storage, &temporary).map_err(IoError::context("remove", &temporary))?;
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| IoError::new("choose an id for", &path, io::Error::other(error.to_string())))?;
        let identity = Identity {
            id,
            ordinal: wanted.ordinal,
            shard: wanted.shard,
            capacity: wanted.capacity,
            span: wanted.span,
            created: context.clock.now(),
        };
        let file = storage.create_file(&temporary).map_err(IoError::context("create", &temporary))?;
        file.allocate(wanted.capacity).map_err(IoError::context("reserve space for", &temporary))?;
        for page in 0..2_u32 {
            file.write_all_at(&identity.encode(page), u64::from(page) * PAGE as u64)
                .map_err(IoError::context("write", &temporary))?;
        }
        file.sync_data().map_err(IoError::context("sync", &temporary))?;
        let length = usize::try_from(wanted.capacity)
            .map_err(|error| IoError::new("map", &path, io::Error::other(error)))?;
        let map = map_for_writing(&*file, &path, length)?;
        let populated = HEADER_LEN.saturating_add(wanted.prefault);
        map.populate(HEADER_LEN..populated).map_err(IoError::context("fault in", &path))?;
        storage.rename(&temporary, &path).map_err(IoError::context("rename", &temporary))?;
        storage.sync_dir(dir).map_err(IoError::context("sync", dir))?;
        let file = SegmentFile::open(context, path.clone(), &identity, file);
        Ok(Prepared { identity, file, map, populated })
    })();
    if outcome.is_err() {
        // Best effort, as the error to report is the one above; what stays is removed when the store opens.
        drop(remove_if_there(storage, &temporary));
    }
    outcome
}

/// Maps a segment that will be written.
pub(crate) fn map_for_writing(
    file: &dyn StorageFile,
    path: &Path,
    length: usize,
) -> Result<Mapping, IoError> {
    let map = file.map(length, Access::Write).map_err(IoError::context("map", path))?;
    map.advise_random().map_err(IoError::context("advise on", path))?;
    map.advise_dont_dump().map_err(IoError::context("advise on", path))?;
    Ok(map)
}

/// The shard's next segment, made in the background.
#[derive(Debug, Default)]
pub(crate) struct Preparation {
    state: Mutex<State>,
    finished: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// Asked for, not begun. Whoever needs the segment now makes it instead.
    Scheduled {
        ordinal: u64,
    },
    Running,
    Done(Result<Prepared, IoError>),
    /// Nothing is prepared any more: the directory may soon be another shard's.
    Abandoned,
}

impl Preparation {
    /// Says that a segment is going to be prepared. `false` when that is so already.
    pub(crate) fn schedule(&self, ordinal: u64) -> bool {
        let mut state = self.state.lock();
        let idle = matches!(*state, State::Idle);
        if idle {
            *state = State::Scheduled { ordinal };
        }
        idle
    }

    /// Prepares the segment that was scheduled, unless somebody has made it in the meantime.
    pub(crate) fn run(&self, ordinal: u64, make: impl FnOnce() -> Result<Prepared, IoError>) {
        {
            let mut state = self.state.lock();
            match *state {
                State::Scheduled { ordinal: scheduled } if scheduled == ordinal => *state = State::Running,
                _ => return,
            }
        }
        let outcome = make();
        let mut state = self.state.lock();
        if matches!(*state, State::Running) {
            *state = State::Done(outcome);
        }
        drop(state);
        self.finished.notify_all();
    }

    /// Whether a segment that will do is there to be taken without waiting.
    pub(crate) fn is_ready(&self, wanted: &Wanted) -> bool {
        matches!(&*self.state.lock(), State::Done(Ok(prepared)) if prepared.serves(wanted))
    }

    /// Takes what was prepared, waiting for it while it is being made.
    pub(crate) fn take(&self) -> Option<Prepared> {
        let mut state = self.state.lock();
        while matches!(*state, State::Running) {
            self.finished.wait(&mut state);
        }
        match std::mem::take(&mut *state) {
            State::Done(outcome) => outcome.ok(),
            State::Abandoned => {
                *state = State::Abandoned;
                None
            }
            State::Idle | State::Scheduled { .. } | State::Running => None,
        }
    }

    /// Waits for a preparation that is going on, and lets none begin again.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        while matches!(*state, State::Running) {
            self.finished.wait(&mut state);
        }
        *state = State::Abandoned;
    }

    /// Why the last preparation failed, if it did and nobody has tried since: the next roll will fail too.
    pub(crate) fn failure(&self) -> Option<IoError> {
        match &*self.state.lock() {
            State::Done(Err(error)) => Some(error.clone()),
            _ => None,
        }
    }
}
