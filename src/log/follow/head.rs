//! A segment of another process, as its file stands now.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::error::IoError;
use crate::log::header::{HEADER_LEN, Identity, IdentityFault, Slot, SlotFact};
use crate::log::pages::read_pages;
use crate::log::scan;
use crate::sys::storage::{Access, Storage, StorageFile};

/// How often to look again at slots that seem to be damaged: one of them may be being written at this very moment.
const LOOKS: usize = 4;

/// A segment's file and header.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn StorageFile>,
    /// The file's length.
    pub(super) len: usize,
    pub(super) identity: Result<Identity, IdentityFault>,
    pub(super) slots: SlotFact,
}

impl Head {
    /// `None` when there is no such file.
    pub(super) fn read(
        storage: &dyn Storage,
        path: PathBuf,
        ordinal: u64,
        shard: u32,
    ) -> Result<Option<Self>, IoError> {
        let failed = |action| IoError::context(action, &path);
        let file = match storage.open_file(&path, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("open"))?,
        };
        let len = usize::try_from(file.len().map_err(failed("measure"))?).unwrap_or(usize::MAX);
        let mut looks = 1;
        loop {
            let ([first, second], slots) = read_pages(&*file, ordinal, shard).map_err(failed("read"))?;
            let (slots, _) = SlotFact::combine(slots);
            if slots == SlotFact::Damaged && looks < LOOKS {
                looks += 1;
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            return Ok(Some(Self { path, file, len, identity: first.or(second), slots }));
        }
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        match self.slots {
            SlotFact::Valid(slot) => Some(slot),
            SlotFact::Blank | SlotFact::Damaged => None,
        }
    }

    pub(super) fn id(&self) -> Option<[u8; 16]> {
        self.identity.as_ref().ok().map(|identity| identity.id)
    }

    /// Whether records of it are known to be on disk.
    pub(super) fn is_durable(&self) -> bool {
        self.slot().is_some_and(|slot| slot.end > HEADER_LEN as u64)
    }

    /// The number of its first record, for want of a slot that says it.
    pub(super) fn first_frame(&self, identity: &Identity) -> Result<Option<u64>, IoError> {
        scan::first_sequence(&*self.file, identity.signature()).map_err(IoError::context("read", &self.path))
    }
}
