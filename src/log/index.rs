//! A sparse index of one segment: where to start looking for a sequence number or a time.
//!
//! Derived from the frames and never needed for correctness: what it says is checked against the frame it
//! points at. It is kept in a file beside the segment so that it need not be made again.

use std::io;
use std::path::{Path, PathBuf};

use parking_lot::RwLock;

use crate::sys::clock::Timestamp;
use crate::sys::storage::{Storage, read_file, replace_file, with_suffix};

use super::header::{HEADER_LEN, Identity};

/// At most one mark for this many bytes of frames.
pub(crate) const STRIDE: usize = 32 * 1024;

const MAGIC: [u8; 8] = *b"RBINDEX1";
const MARK_LEN: usize = 24;

/// A frame's number, time and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sequence: u64,
    pub(crate) time: Timestamp,
    pub(crate) offset: usize,
}

/// Marks in ascending order.
#[derive(Debug, Default)]
pub(crate) struct SparseIndex {
    marks: RwLock<Vec<Mark>>,
}

impl SparseIndex {
    /// Adds the mark of a frame just appended. The caller leaves at least [`STRIDE`] bytes between marks.
    pub(crate) fn push(&self, mark: Mark) {
        self.marks.write().push(mark);
    }

    /// The first mark's offset: what lies before it is not indexed (yet).
    pub(crate) fn covered_from(&self) -> Option<usize> {
        self.marks.read().first().map(|mark| mark.offset)
    }

    /// Puts marks before those that are there already.
    pub(crate) fn prepend(&self, mut earlier: Vec<Mark>) {
        let mut marks = self.marks.write();
        if let Some(first) = marks.first() {
            earlier.retain(|mark| mark.offset < first.offset);
        }
        earlier.append(&mut marks);
        *marks = earlier;
    }

    /// Forgets everything, because it turned out to be wrong.
    pub(crate) fn clear(&self) {
        self.marks.write().clear();
    }

    /// The last mark at which `is_before` still holds.
    pub(crate) fn last_before(&self, is_before: impl Fn(&Mark) -> bool) -> Option<Mark> {
        let marks = self.marks.read();
        let count = marks.partition_point(is_before);
        count.checked_sub(1).and_then(|index| marks.get(index).copied())
    }

    /// Writes the marks beside the segment.
    pub(crate) fn save(&self, storage: &dyn Storage, segment: &Path, identity: &Identity) -> io::Result<()> {
        let marks = self.marks.read();
        let mut bytes = Vec::with_capacity(MAGIC.len() + 24 + marks.len() * MARK_LEN + 4);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&identity.id);
        for mark in marks.iter() {
            bytes.extend_from_slice(&mark.sequence.to_le_bytes());
            bytes.extend_from_slice(&mark.time.as_nanos().to_le_bytes());
            bytes.extend_from_slice(&(mark.offset as u64).to_le_bytes());
        }
        drop(marks);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        replace_file(storage, &path_beside(segment), &bytes)
    }
}

/// Where a segment's index is kept.
pub(crate) fn path_beside(segment: &Path) -> PathBuf {
    with_suffix(&segment.with_extension(""), ".index")
}

/// Reads the marks kept beside a segment; `None` when there are none that can be trusted.
pub(crate) fn load(
    storage: &dyn Storage,
    segment: &Path,
    identity: &Identity,
    end: usize,
) -> Option<Vec<Mark>> {
    let bytes = read_file(storage, &path_beside(segment)).ok()?;
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let rest = body.strip_prefix(&MAGIC)?.strip_prefix(&identity.id)?;
    let mut marks = Vec::with_capacity(rest.len() / MARK_LEN);
    let mut previous: Option<Mark> = None;
    for chunk in rest.chunks(MARK_LEN) {
        let mark = decode_mark(chunk)?;
        let ascends =
            previous.is_none_or(|before| before.sequence < mark.sequence && before.offset < mark.offset);
        if !ascends || mark.offset < HEADER_LEN || mark.offset >= end || !mark.offset.is_multiple_of(8) {
            return None;
        }
        marks.push(mark);
        previous = Some(mark);
    }
    Some(marks)
}

fn decode_mark(bytes: &[u8]) -> Option<Mark> {
    let (sequence, rest) = bytes.split_first_chunk::<8>()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let offset = rest.first_chunk::<8>()?;
    Some(Mark {
        sequence: u64::from_le_bytes(*sequence),
        time: Timestamp::from_nanos(u64::from_le_bytes(*time)),
        offset: usize::try_from(u64::from_le_bytes(*offset)).ok()?,
    })
}
