//! A segment's header, both pages of it.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::log::header::{HEADER_LEN, Identity, IdentityFault, PAGE, SLOT_OFFSET, Slot, SlotFact, SlotState};
use crate::log::pages::read_pages;
use crate::sys::storage::{Access, Storage, StorageFile};

use super::fault::{FaultKind, Findings, Severity};

/// How often to look again at a slot that may be being written at this very moment.
const LOOKS: usize = 4;

/// A segment's header. The file is not kept open: a shard may have more segments than a process descriptors.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) path: PathBuf,
    pub(super) ordinal: u64,
    readable: bool,
    pub(super) len: usize,
    pages: [Result<Identity, IdentityFault>; 2],
    slots: [SlotFact; 2],
}

impl Head {
    pub(super) fn read(storage: &dyn Storage, path: &Path, ordinal: u64, shard: u32) -> io::Result<Self> {
        let file = storage.open_file(path, Access::Read)?;
        let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        let mut pages = [Err(IdentityFault::Fields); 2];
        let mut slots = [SlotFact::Blank; 2];
        for look in 0..LOOKS {
            if look > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            (pages, slots) = read_pages(&*file, ordinal, shard)?;
            if !slots.contains(&SlotFact::Damaged) {
                break;
            }
        }
        Ok(Self { path: path.to_owned(), ordinal, readable: true, len, pages, slots })
    }

    pub(super) fn unreadable(path: PathBuf, ordinal: u64) -> Self {
        let pages = [Err(IdentityFault::Fields); 2];
        Self { path, ordinal, readable: false, len: 0, pages, slots: [SlotFact::Blank; 2] }
    }

    /// Which segment it is, if either page says so.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.pages.iter().find_map(|page| page.as_ref().ok())
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        match SlotFact::combine(self.slots) {
            (SlotFact::Valid(slot), _) => Some(slot),
            _ => None,
        }
    }

    /// The slot as it is by now.
    pub(super) fn slot_now(&self, file: &dyn StorageFile, identity: &Identity) -> io::Result<Option<Slot>> {
        let (_, slots) = read_pages(file, identity.ordinal, identity.shard)?;
        Ok(Self { path: PathBuf::new(), slots, ..*self }.slot())
    }

    pub(super) fn is_durable(&self) -> bool {
        self.slot().is_some_and(|slot| slot.end > HEADER_LEN as u64)
    }

    pub(super) fn watermark_lost(&self) -> bool {
        matches!(SlotFact::combine(self.slots), (SlotFact::Damaged, _))
    }

    pub(super) fn is_cut_short(&self) -> bool {
        self.slot().is_some_and(|slot| slot.end > self.len as u64)
    }

    /// Nothing of it can be read, and no newer version could.
    pub(super) fn can_go(&self) -> bool {
        let newer = |page: &Result<_, _>| matches!(page, Err(IdentityFault::NewerFormat { .. }));
        self.readable && self.identity().is_none() && !self.pages.iter().any(newer)
    }

    /// What is wrong with the header itself.
    pub(super) fn report(&self, out: &mut Findings) {
        if !self.readable {
            return;
        }
        let path = &self.path;
        let Some(identity) = self.identity() else {
            let mut faults = self.pages.iter().filter_map(|page| page.as_ref().err());
            let newer = faults.clone().find(|fault| matches!(fault, IdentityFault::NewerFormat { .. }));
            match (newer, faults.next_back()) {
                (Some(fault), _) => out.add(path, 0, FaultKind::NewerFormat, Severity::Damage, fault),
                (_, Some(fault)) => out.add(path, 0, FaultKind::HeaderLost, Severity::Damage, fault),
                _ => {}
            }
            return;
        };
        for (page, fact) in self.pages.iter().enumerate() {
            if let Err(fault) = fact {
                out.add(path, page * PAGE, FaultKind::HeaderPage, Severity::Damage, fault);
            }
        }
        let full_len = usize::try_from(identity.capacity).unwrap_or(usize::MAX);
        if self.len < full_len {
            let detail = format!("it has {} bytes of {full_len}", self.len);
            out.add(path, self.len, FaultKind::FileTooShort, Severity::Damage, detail);
        }
        let damaged = self.slots.iter().position(|slot| *slot == SlotFact::Damaged);
        if let Some(page) = damaged {
            let offset = page * PAGE + SLOT_OFFSET;
            if self.watermark_lost() {
                let detail = "neither slot is whole";
                out.add(path, SLOT_OFFSET, FaultKind::WatermarkLost, Severity::Damage, detail);
            } else if self.slot().is_some_and(|slot| slot.state == SlotState::Sealed) {
                // Nothing is written once a segment is sealed.
                out.add(path, offset, FaultKind::Slot, Severity::Damage, "its checksum does not fit");
            } else {
                let detail = "its checksum does not fit, as after a power cut while it was written";
                out.add(path, offset, FaultKind::Slot, Severity::UnacknowledgedTail, detail);
            }
        }
    }
}
