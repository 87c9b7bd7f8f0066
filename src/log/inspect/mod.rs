//! Checking every byte of a shard's files without changing any, beside a writer or on a damaged store.
//!
//! Recovery trusts what lies below the watermark and reads it when a reader does; here all of it is read. Everything is
//! read through files: a bad sector is an error and not a signal.

mod fault;
mod head;
mod segment;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::sys::clock::Timestamp;
use crate::sys::storage::{Access, Storage};

use super::header::SlotState;
use super::index;
use super::recovery::ordinal_of;
use super::scan;

pub(crate) use fault::Findings;
pub use fault::{Fault, FaultKind, Severity};
use head::Head;

/// Checks the shard in `dir`, whose first record ever has the sequence counter `first`, if that is known.
pub(crate) fn inspect_shard(
    storage: &dyn Storage,
    dir: &Path,
    shard: u32,
    first: Option<u64>,
    out: &mut Findings,
) {
    let entries = match storage.list(dir) {
        Ok(entries) => entries,
        // A shard that nobody has written to has none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return out.add(dir, 0, FaultKind::Unreadable, Severity::Damage, error),
    };
    let mut heads = Vec::new();
    let names: BTreeSet<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    for name in &names {
        let path = dir.join(name);
        if let Some(ordinal) = ordinal_of(name) {
            match Head::read(storage, &path, ordinal, shard) {
                Ok(head) => heads.push(head),
                // Retention has removed it since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    out.add(&path, 0, FaultKind::Unreadable, Severity::Damage, error);
                    heads.push(Head::unreadable(path, ordinal));
                }
            }
        } else {
            let segment = name.strip_suffix(".index").map(|stem| format!("{stem}.segment"));
            if segment.is_none_or(|segment| !names.contains(segment.as_str())) {
                let detail = "it belongs to no segment";
                out.add(&path, 0, FaultKind::Leftover, Severity::Derived, detail);
            }
        }
    }
    let trim = heads.iter().filter_map(Head::slot).map(|slot| slot.trim).max().unwrap_or(0);
    for head in heads.extract_if(.., |head| head.ordinal < trim) {
        let detail = format!("retention removes the segments before {trim}");
        out.add(&head.path, 0, FaultKind::Leftover, Severity::Derived, detail);
    }
    let mut walk =
        Walk { storage, dir, expected: first.filter(|_| trim == 0), last_time: Timestamp::EPOCH, out };
    let mut next_ordinal = trim;
    for (index, head) in heads.iter().enumerate() {
        let later = heads.get(index + 1..).unwrap_or_default();
        if head.ordinal > next_ordinal {
            walk.missing(next_ordinal, head.ordinal);
        }
        next_ordinal = head.ordinal + 1;
        walk.take(head, later);
    }
}

/// A walk over a shard's segments, oldest first.
struct Walk<'a> {
    storage: &'a dyn Storage,
    dir: &'a Path,
    /// The number with which the next segment must begin; unknown after damage.
    expected: Option<u64>,
    last_time: Timestamp,
    out: &'a mut Findings,
}

impl Walk<'_> {
    fn missing(&mut self, from: u64, to: u64) {
        for ordinal in from..to {
            // Not a list without end when a file's name is wrong.
            if ordinal - from >= 16 {
                let detail = format!("the segments up to {} are missing, too", to - 1);
                self.out.add(self.dir, 0, FaultKind::MissingSegment, Severity::Damage, detail);
                break;
            }
            let path = self.dir.join(super::prepare::file_name(ordinal));
            let detail = "later segments are there, this one is not";
            self.out.add(&path, 0, FaultKind::MissingSegment, Severity::Damage, detail);
        }
        self.expected = None;
    }

    fn take(&mut self, head: &Head, later: &[Head]) {
        self.out.segments += 1;
        head.report(self.out);
        let later_durable = later.iter().any(Head::is_durable);
        let Some(identity) = head.identity() else {
            self.expected = None;
            if later_durable && head.can_go() {
                self.out.removable.push(head.path.clone());
            }
            return;
        };
        let file = match self.storage.open_file(&head.path, Access::Read) {
            Ok(file) => file,
            Err(error) => {
                self.expected = None;
                // Retention has removed it since.
                if error.kind() != io::ErrorKind::NotFound {
                    self.out.add(&head.path, 0, FaultKind::Unreadable, Severity::Damage, error);
                }
                return;
            }
        };
        let file = &*file;
        let slot = head.slot();
        let first_frame = || scan::first_sequence(file, identity.signature()).ok().flatten();
        let base = slot.map(|slot| slot.base).or_else(first_frame).or(self.expected).unwrap_or(0);
        if let Some(expected) = self.expected {
            let in_use = slot.is_some();
            if in_use && base < expected {
                let detail = format!("it begins with number {base}, those before {expected} are used");
                self.out.add(&head.path, 0, FaultKind::Overlap, Severity::Damage, detail);
                self.expected = None;
                if later_durable {
                    self.out.removable.push(head.path.clone());
                }
                return;
            }
            // Nothing of it was ever durable, and recovery ended it above all numbers that it may have handed out.
            let ended_unused = slot.is_some_and(|slot| slot.state == SlotState::Sealed && slot.frames == 0);
            if in_use && base > expected && !ended_unused {
                // A tail that was never synced, unless a later sync says that it was.
                let durable = head.is_durable() || later_durable;
                let severity = if durable { Severity::Damage } else { Severity::UnacknowledgedTail };
                let detail = format!("it begins with number {base}, {expected} is the next");
                self.out.add(&head.path, 0, FaultKind::MissingRecords, severity, detail);
            }
        }
        let extent = match segment::check(head, file, identity, base, self.last_time, self.out) {
            Ok(extent) => extent,
            Err(error) => {
                self.out.add(&head.path, 0, FaultKind::Unreadable, Severity::Damage, error);
                self.expected = None;
                return;
            }
        };
        self.last_time = self.last_time.max(extent.last_time);
        self.expected = match slot {
            Some(slot) if slot.state == SlotState::Sealed => Some(slot.successor_base),
            _ if head.is_cut_short() || head.watermark_lost() => None,
            _ => Some(extent.next),
        };
        let index = index::path_beside(&head.path);
        if let Err(detail) = segment::check_index(self.storage, &index, head, file, identity) {
            self.out.add(&index, 0, FaultKind::Index, Severity::Derived, detail);
        }
    }
}
