//! A segment's records and its index.

use std::io;
use std::path::Path;

use crate::log::frame::{Frame, FrameFault, MAX_HEADER_LEN};
use crate::log::header::{HEADER_LEN, Identity, Slot, SlotState};
use crate::log::index;
use crate::log::scan;
use crate::log::segment::Extent;
use crate::sys::clock::Timestamp;
use crate::sys::region::FRAME_ALIGNMENT;
use crate::sys::storage::{Storage, StorageFile};

use super::fault::{FaultKind, Findings, Severity};
use super::head::Head;

/// Checks every record of a segment, and what follows the last one. Returns how far the segment goes.
pub(super) fn check(
    head: &Head,
    file: &dyn StorageFile,
    identity: &Identity,
    base: u64,
    time: Timestamp,
    out: &mut Findings,
) -> io::Result<Extent> {
    let start = Extent::empty(base, time);
    let slot = head.slot();
    let durable = match &slot {
        Some(slot) => check_durable(head, file, identity, slot, start, out)?,
        None => start,
    };
    let end = usize::try_from(identity.capacity).unwrap_or(usize::MAX).min(head.len);
    let mut settled = slot.map(|slot| slot.state).filter(|state| *state != SlotState::Open);
    if settled == Some(SlotState::Clean) && scan::last_nonzero(file, durable.end, end)? > 0 {
        // The writer may have gone on since the header was read.
        let moved = head.slot_now(file, identity)? != slot;
        settled = settled.filter(|_| !moved);
    }
    let extent = match settled {
        Some(state) => {
            let bytes = scan::last_nonzero(file, durable.end, end.max(durable.end))?;
            let clean = state == SlotState::Clean;
            if bytes > 0 {
                let detail = format!("{bytes} bytes follow the end of the log");
                let (kind, severity) = if clean {
                    (FaultKind::NotBlank, Severity::Damage)
                } else {
                    (FaultKind::Tail, Severity::UnacknowledgedTail)
                };
                out.add(&head.path, durable.end, kind, severity, detail);
            }
            durable
        }
        None if durable.end < end => {
            let found = scan::scan(file, identity.signature(), durable, end)?;
            out.records += found.extent.frames.saturating_sub(durable.frames);
            if found.tail.bytes > 0 {
                let detail = format!("{} bytes, the first of them: {}", found.tail.bytes, found.tail.fault);
                let severity = Severity::UnacknowledgedTail;
                out.add(&head.path, found.extent.end, FaultKind::Tail, severity, detail);
            }
            found.extent
        }
        None => durable,
    };
    out.bytes += extent.end.min(head.len) as u64;
    Ok(extent)
}

/// Checks the records below the watermark. What is no record there is damage, and the check goes on behind it.
fn check_durable(
    head: &Head,
    file: &dyn StorageFile,
    identity: &Identity,
    slot: &Slot,
    start: Extent,
    out: &mut Findings,
) -> io::Result<Extent> {
    let signature = identity.signature();
    let watermark = usize::try_from(slot.end).unwrap_or(usize::MAX);
    let limit = watermark.min(head.len);
    let mut extent = start;
    let mut whole = watermark <= head.len;
    while extent.end < limit {
        let scan = scan::scan(file, signature, extent, limit)?;
        out.records += scan.extent.frames.saturating_sub(extent.frames);
        extent = scan.extent;
        if extent.end >= limit {
            break;
        }
        whole = false;
        let fault = scan.tail.fault;
        let order = fault == FrameFault::OutOfOrder;
        let kind = if order { FaultKind::Order } else { FaultKind::Frame };
        out.add(&head.path, extent.end, kind, Severity::Damage, fault);
        let from = if order { extent.end } else { extent.end + FRAME_ALIGNMENT };
        match scan::find_frame(file, signature, from, limit)? {
            Some((end, next, last_time)) => extent = Extent { end, next, last_time, ..extent },
            None => break,
        }
    }
    if whole {
        let last_time = if slot.frames == 0 { extent.last_time } else { slot.last_time };
        if (extent.next, extent.frames, extent.last_time) != (slot.next, slot.frames, last_time) {
            let detail = format!(
                "the slot speaks of {} records up to number {}, there are {} up to {}",
                slot.frames, slot.next, extent.frames, extent.next
            );
            out.add(&head.path, extent.end, FaultKind::Watermark, Severity::Damage, detail);
        }
    }
    Ok(Extent {
        end: watermark,
        next: slot.next,
        frames: slot.frames,
        first_time: slot.first_time,
        last_time: slot.last_time,
    })
}

/// Checks that every mark of the index beside a segment points at a record. No index is no fault.
pub(super) fn check_index(
    storage: &dyn Storage,
    path: &Path,
    head: &Head,
    file: &dyn StorageFile,
    identity: &Identity,
) -> Result<(), String> {
    match storage.open_file(path, crate::sys::storage::Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(_) => {}
    }
    let marks = index::load(storage, &head.path, identity, head.len)
        .ok_or("its checksum or its contents do not fit the segment")?;
    for mark in marks {
        let mut bytes = [0; MAX_HEADER_LEN];
        let read = file.read_at(&mut bytes, mark.offset as u64).map_err(|error| error.to_string())?;
        let found = Frame::decode_header(bytes.get(..read).unwrap_or_default(), identity.signature());
        if mark.offset < HEADER_LEN || found != Some((mark.sequence, mark.time)) {
            return Err(format!("it says that record {} is at offset {}", mark.sequence, mark.offset));
        }
    }
    Ok(())
}
