//! Doubt about a segment's file: a sync of it has failed, so that it may read as what is not on disk.
//!
//! The kernel tells one caller of a failed write, takes the pages for written, and keeps them: the next sync leaves them out and
//! succeeds. So whoever is told marks the file, in its header. The mark need not be durable: it stays for as long as those pages do.
//! Recovery has what is in a marked file written anew.

use std::io;
use std::ops::Range;

use crate::sys::storage::StorageFile;

use super::header::{HEADER_LEN, PAGE, SLOT_LEN, SLOT_OFFSET};

/// Where the mark lies in a page of the header.
const OFFSET: usize = 1024;
const MARK: [u8; 8] = *b"UNSYNCED";
/// How much is read and then written anew at a time: as much as the kernel keeps in one piece, at most. It drops that as a whole, and with it what
/// has not been read yet.
const PIECE: usize = 2 * 1024 * 1024;

/// Marks the file after a sync that has failed, in a page of its header that may be written.
pub(crate) fn mark(file: &dyn StorageFile, page: usize) -> io::Result<()> {
    file.write_all_at(&MARK, place(page))
}

/// Whether a page of the header has the mark.
pub(crate) fn is_marked(page: &[u8]) -> bool {
    page.get(OFFSET..).is_some_and(|rest| rest.starts_with(&MARK))
}

/// Makes durable what a marked file reads as: the slot in this page, and the frames in this range. Takes the marks away.
///
/// To write the same bytes over pages that count as written is not enough: ext4 remembers with them that their blocks have been
/// written, and leaves those out of its journal that it had only reserved.
pub(crate) fn settle(
    file: &dyn StorageFile,
    slot: Option<(usize, [u8; SLOT_LEN])>,
    frames: Range<u64>,
) -> io::Result<()> {
    // What can still be written in the ordinary way is.
    file.sync_data()?;
    write_anew(file, frames)?;
    if let Some((page, slot)) = slot {
        let mut bytes = [0; PAGE];
        file.read_at(&mut bytes, (page * PAGE) as u64)?;
        for (offset, part) in [(SLOT_OFFSET, &slot[..]), (OFFSET, &[0; MARK.len()])] {
            if let Some(target) = bytes.get_mut(offset..offset + part.len()) {
                target.copy_from_slice(part);
            }
        }
        file.write_anew(&bytes, (page * PAGE) as u64)?;
    }
    file.sync_data()?;
    // Not before, as a mark may be beside the slot that was the last durable one.
    for page in 0..HEADER_LEN / PAGE {
        let mut found = [0; MARK.len()];
        file.read_at(&mut found, place(page))?;
        if found == MARK {
            file.write_all_at(&[0; MARK.len()], place(page))?;
        }
    }
    Ok(())
}

fn place(page: usize) -> u64 {
    (page * PAGE + OFFSET) as u64
}

/// Whole pages, but for zeros before and behind other bytes: room that nobody has used is not written.
fn write_anew(file: &dyn StorageFile, range: Range<u64>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let from = range.start - range.start % PAGE as u64;
    let mut start = range.start - range.start % PIECE as u64;
    while start < range.end {
        let read = file.read_at(&mut piece, start)?;
        let skipped = usize::try_from(from.saturating_sub(start)).unwrap_or(usize::MAX);
        let bytes = piece.get(skipped..read).unwrap_or_default();
        let is_used = |byte: &u8| *byte != 0;
        if let (Some(first), Some(last)) = (bytes.iter().position(is_used), bytes.iter().rposition(is_used)) {
            let first = first - first % PAGE;
            let behind = bytes.len().min((last + 1).next_multiple_of(PAGE));
            let offset = start + (skipped + first) as u64;
            file.write_anew(bytes.get(first..behind).unwrap_or_default(), offset)?;
        }
        start += PIECE as u64;
    }
    Ok(())
}
