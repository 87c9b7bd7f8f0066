//! The slots of a segment: what its header says of it, and how much of that is durable.

use std::io;

use parking_lot::Mutex;

use crate::sys::storage::StorageFile;

use super::doubt;
use super::header::{Signature, Slot, slot_range};

/// The two slots of a segment, which are written in turns, so that the one last made durable is never written over.
///
/// Its lock is held over each sync, and until what that has made durable is noted. Otherwise one caller's sync could make a
/// slot durable that another one, which does not know of it yet, then writes over. Whoever asks for a slot waits for a sync
/// that is going on, so nobody asks while appending; only the first append to a cleanly closed segment changes one.
#[derive(Debug)]
pub(crate) struct Slots {
    signature: Signature,
    last: Mutex<Last>,
}

/// The slot last written.
#[derive(Debug)]
struct Last {
    slot: Slot,
    /// The page that holds it.
    page: usize,
    standing: Standing,
    /// A sync or a write has failed. The system tells one caller of that, and takes what was not written for written: the
    /// next sync would succeed.
    has_failed: bool,
    /// The file says so.
    is_marked: bool,
}

/// What is known of the slot last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was found in the file. A process that was killed may have written it, and not synced it.
    Found,
    /// No sync has followed.
    Written,
    /// A sync has followed, or there is none yet that could be lost.
    Durable,
}

impl Slots {
    /// Of a file that has none yet. `slot` is to be the first.
    pub(crate) fn none_yet(signature: Signature, slot: Slot) -> Self {
        Self::new(signature, slot, 1, Standing::Durable)
    }

    /// Of a file in which `slot` was found, in this page of the header. `is_synced` says that the file has been synced since.
    pub(crate) fn found(signature: Signature, slot: Slot, page: usize, is_synced: bool) -> Self {
        let standing = if is_synced { Standing::Durable } else { Standing::Found };
        Self::new(signature, slot, page, standing)
    }

    fn new(signature: Signature, slot: Slot, page: usize, standing: Standing) -> Self {
        Self {
            signature,
            last: Mutex::new(Last { slot, page, standing, has_failed: false, is_marked: false }),
        }
    }

    /// The slot last written.
    pub(crate) fn slot(&self) -> Slot {
        self.last.lock().slot
    }

    /// Whether a slot was written that no sync has followed.
    pub(crate) fn needs_sync(&self) -> bool {
        self.last.lock().standing == Standing::Written
    }

    /// Writes the slot as it is, to be made durable by a later sync.
    pub(crate) fn write_first(&self, file: &dyn StorageFile) -> io::Result<()> {
        self.last.lock().change(file, self.signature, |_| ())
    }

    /// Syncs the file, and with it the slot, which is returned.
    pub(crate) fn sync(&self, file: &dyn StorageFile) -> io::Result<Slot> {
        let mut last = self.last.lock();
        last.sync(file)?;
        Ok(last.slot)
    }

    /// Calls `write_back`, whose failure is one of the sync, syncs the file, and then writes a slot that may say so. The next sync
    /// makes that durable.
    pub(crate) fn sync_then_change(
        &self,
        file: &dyn StorageFile,
        write_back: impl FnOnce() -> io::Result<()>,
        change: impl FnOnce(&mut Slot),
    ) -> io::Result<()> {
        let mut last = self.last.lock();
        last.attempt(file, write_back)?;
        last.sync(file)?;
        last.change(file, self.signature, change)
    }

    /// Writes a slot and syncs it. Returns it.
    pub(crate) fn change_then_sync(
        &self,
        file: &dyn StorageFile,
        change: impl FnOnce(&mut Slot),
    ) -> io::Result<Slot> {
        let mut last = self.last.lock();
        last.change(file, self.signature, change)?;
        last.sync(file)?;
        Ok(last.slot)
    }
}

impl Last {
    /// Writes a slot of the next generation, never over the one that is durable.
    fn change(
        &mut self,
        file: &dyn StorageFile,
        signature: Signature,
        change: impl FnOnce(&mut Slot),
    ) -> io::Result<()> {
        if self.standing == Standing::Found {
            // Until it is durable, the one in the other page is what a power cut may leave.
            self.sync(file)?;
        }
        if self.standing == Standing::Durable {
            self.page = 1 - self.page;
        }
        self.standing = Standing::Written;
        change(&mut self.slot);
        self.slot.generation += 1;
        let (bytes, place) = (self.slot.encode(signature), slot_range(self.page));
        self.attempt(file, || file.write_all_at(&bytes, place.start))
    }

    fn sync(&mut self, file: &dyn StorageFile) -> io::Result<()> {
        self.attempt(file, || file.sync_data())?;
        self.standing = Standing::Durable;
        Ok(())
    }

    /// Does something that must not be done any more once it has failed.
    fn attempt(&mut self, file: &dyn StorageFile, action: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.has_failed {
            self.mark(file);
            return Err(io::Error::other("an earlier sync of this file has failed"));
        }
        action().inspect_err(|_| {
            self.has_failed = true;
            self.mark(file);
        })
    }

    /// Marks the file, if that has not been done. Where it fails, the next attempt does it again.
    fn mark(&mut self, file: &dyn StorageFile) {
        let free = if self.standing == Standing::Durable { 1 - self.page } else { self.page };
        self.is_marked = self.is_marked || doubt::mark(file, free).is_ok();
    }
}

#[cfg(all(test, feature = "testing"))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::log::header::{Identity, PAGE, SLOT_LEN, SlotFact};
    use crate::sys::clock::Timestamp;
    use crate::sys::storage::Storage;
    use crate::testing::{Disk, Operation, Verdict};

    const PATH: &str = "segment";

    fn signature() -> Signature {
        let created = Timestamp::EPOCH;
        Identity { id: [7; 16], ordinal: 0, shard: 0, capacity: 1 << 16, span: 1, created }.signature()
    }

    fn slot_in(bytes: &[u8], page: usize) -> SlotFact {
        let at = usize::try_from(slot_range(page).start).unwrap();
        Slot::decode(bytes[at..at + SLOT_LEN].try_into().unwrap(), signature())
    }

    /// A group commit and a trim change the slot of one segment at the same time. Returns the trim point that a power cut
    /// leaves which tears the slot last written, if no sync followed that.
    fn trim_after_a_torn_write(trim_begins_first: bool) -> u64 {
        let disk = Disk::new();
        let file = disk.create_file(Path::new(PATH)).unwrap();
        file.allocate(2 * PAGE as u64).unwrap();
        let slots = Slots::none_yet(signature(), Slot::blank(0));
        slots.write_first(&*file).unwrap();
        slots.sync(&*file).unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        disk.plan(move |call| {
            seen.lock().push(call.operation);
            // So that, without the lock, the trim's sync ends while the commit's slot is being written.
            match call.operation {
                Operation::SyncData => Verdict::Delay(Duration::from_millis(20)),
                Operation::Write => Verdict::Delay(Duration::from_millis(40)),
                _ => Verdict::Proceed,
            }
        });
        let late = || thread::sleep(Duration::from_millis(5));
        thread::scope(|scope| {
            scope.spawn(|| {
                if trim_begins_first {
                    late();
                }
                slots.sync_then_change(&*file, || Ok(()), |slot| slot.end += 8).unwrap();
            });
            scope.spawn(|| {
                if !trim_begins_first {
                    late();
                }
                slots.change_then_sync(&*file, |slot| slot.trim = 5).unwrap();
            });
        });
        let calls = calls.lock().clone();
        let bytes = disk.read(PATH).unwrap();
        let mut pages = [slot_in(&bytes, 0), slot_in(&bytes, 1)];
        if calls.last() == Some(&Operation::Write) {
            let (_, newest) = SlotFact::combine(pages);
            pages[newest] = SlotFact::Damaged;
        }
        match SlotFact::combine(pages) {
            (SlotFact::Valid(slot), _) => slot.trim,
            _ => 0,
        }
    }

    /// The next sync succeeds, as on Linux, where whoever waits for the lock would take that for its own.
    #[test]
    fn after_a_failure_nothing_is_durable_any_more() {
        for failing in [Operation::SyncData, Operation::Write] {
            let disk = Disk::new();
            let file = disk.create_file(Path::new(PATH)).unwrap();
            file.allocate(2 * PAGE as u64).unwrap();
            let slots = Slots::none_yet(signature(), Slot::blank(0));
            disk.plan(move |call| match call.operation == failing {
                true => Verdict::Fail(io::ErrorKind::Other),
                false => Verdict::Proceed,
            });
            slots.change_then_sync(&*file, |slot| slot.trim = 5).unwrap_err();
            disk.plan(|_| Verdict::Proceed);
            slots.sync_then_change(&*file, || Ok(()), |slot| slot.end += 8).unwrap_err();
            slots.sync(&*file).unwrap_err();
            assert!(slots.needs_sync());
        }
        let disk = Disk::new();
        let file = disk.create_file(Path::new(PATH)).unwrap();
        let slots = Slots::none_yet(signature(), Slot::blank(0));
        let write_back = || Err(io::ErrorKind::Other.into());
        slots.sync_then_change(&*file, write_back, |slot| slot.end += 8).unwrap_err();
        slots.sync(&*file).unwrap_err();
    }

    #[test]
    fn what_one_caller_has_made_durable_another_does_not_write_over() {
        assert_eq!([true, false].map(trim_after_a_torn_write), [5, 5]);
    }
}
