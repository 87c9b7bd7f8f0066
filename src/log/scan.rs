//! Walking a segment's frames when it is not known where they end.

use std::io;

use crate::sys::clock::Timestamp;
use crate::sys::region::FRAME_ALIGNMENT;
use crate::sys::storage::StorageFile;

use super::frame::{Check, FIXED_HEADER_LEN, Frame, FrameFault, MAX_FRAME_LEN, MAX_HEADER_LEN};
use super::header::{HEADER_LEN, Signature};
use super::segment::Extent;

/// How much is read at a time.
const READ_LEN: usize = 1024 * 1024;

/// What lies behind the good frames of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Why the first bytes behind them are no frame.
    pub(crate) fault: FrameFault,
    /// Bytes from the end of the good frames to the last byte that is not zero.
    pub(crate) bytes: usize,
}

/// How far a segment's good frames go, and what follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) extent: Extent,
    pub(crate) tail: Tail,
}

/// Reads on from `start`, checking every frame: its checksums, that its number is the one expected, and that
/// time does not go backwards. The file may be shorter than it should be.
///
/// Reads through the file and not a mapping, so that a bad sector is an error and not a signal.
pub(crate) fn scan(
    file: &dyn StorageFile,
    signature: Signature,
    start: Extent,
    capacity: usize,
) -> io::Result<Scan> {
    let mut window = Window { file, bytes: Vec::new(), start: start.end, capacity };
    let mut extent = start;
    let fault = loop {
        let header = window.at(extent.end, FIXED_HEADER_LEN)?;
        let length = header.first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word)) as usize;
        let frame_bytes = window.at(extent.end, length.clamp(FIXED_HEADER_LEN, MAX_FRAME_LEN))?;
        match Frame::decode(frame_bytes, extent.end, signature, Check::All) {
            Ok(frame) if frame.sequence() == extent.next && frame.time() >= extent.last_time => {
                extent = Extent {
                    end: extent.end + frame.padded_len(),
                    next: extent.next.saturating_add(frame.row_count()),
                    frames: extent.frames + 1,
                    first_time: if extent.frames == 0 { frame.time() } else { extent.first_time },
                    last_time: frame.time(),
                };
            }
            Ok(_) => break FrameFault::OutOfOrder,
            // A full segment has no room for another header: that is its end, not a cut.
            Err(FrameFault::CutOff) if extent.end + FIXED_HEADER_LEN > capacity => {
                break FrameFault::NeverWritten;
            }
            Err(fault) => break fault,
        }
    };
    let bytes = window.last_nonzero_from(extent.end)?;
    // Data are stored before their header.
    let fault = match fault {
        FrameFault::NeverWritten if bytes > 0 => FrameFault::Unpublished,
        fault => fault,
    };
    Ok(Scan { extent, tail: Tail { fault, bytes } })
}

/// The sequence counter of the first frame, if there is a good one.
pub(crate) fn first_sequence(file: &dyn StorageFile, signature: Signature) -> io::Result<Option<u64>> {
    let mut bytes = vec![0; super::frame::MAX_HEADER_LEN];
    let read = file.read_at(&mut bytes, HEADER_LEN as u64)?;
    bytes.truncate(read);
    // The body is not here: `CutOff` comes after the header has passed.
    let header = Frame::decode_header(&bytes, signature);
    Ok(header.map(|(sequence, _time)| sequence))
}

/// The first whole frame at `from` or behind it and before `limit`: its offset, number and time. For going on behind
/// damage.
pub(crate) fn find_frame(
    file: &dyn StorageFile,
    signature: Signature,
    from: usize,
    limit: usize,
) -> io::Result<Option<(usize, u64, Timestamp)>> {
    let mut window = Window { file, bytes: Vec::new(), start: from, capacity: limit };
    let mut offset = from;
    while offset < limit {
        let header = window.at(offset, MAX_HEADER_LEN)?;
        if Frame::decode_header(header, signature).is_some() {
            let length = header.first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word)) as usize;
            let bytes = window.at(offset, length.clamp(FIXED_HEADER_LEN, MAX_FRAME_LEN))?;
            if let Ok(frame) = Frame::decode(bytes, offset, signature, Check::All) {
                return Ok(Some((offset, frame.sequence(), frame.time())));
            }
        }
        offset += FRAME_ALIGNMENT;
    }
    Ok(None)
}

/// Bytes from `offset` to the last one that is not zero, in a file of `len` bytes.
pub(crate) fn last_nonzero(file: &dyn StorageFile, offset: usize, len: usize) -> io::Result<usize> {
    Window { file, bytes: Vec::new(), start: offset, capacity: len }.last_nonzero_from(offset)
}

/// A part of the file in memory.
struct Window<'a> {
    file: &'a dyn StorageFile,
    bytes: Vec<u8>,
    /// The file offset of `bytes`.
    start: usize,
    capacity: usize,
}

impl Window<'_> {
    /// Up to `len` bytes from `offset`; fewer where the file or the segment ends.
    fn at(&mut self, offset: usize, len: usize) -> io::Result<&[u8]> {
        let len = len.min(self.capacity.saturating_sub(offset));
        let held = self.start..self.start + self.bytes.len();
        if offset < held.start || offset + len > held.end {
            let want = len.max(READ_LEN).min(self.capacity.saturating_sub(offset));
            self.bytes.resize(want, 0);
            let read = self.file.read_at(&mut self.bytes, offset as u64)?;
            self.bytes.truncate(read);
            self.start = offset;
        }
        let from = offset - self.start;
        Ok(self.bytes.get(from..(from + len).min(self.bytes.len())).unwrap_or_default())
    }

    /// Bytes from `offset` up to the last one that is not zero.
    fn last_nonzero_from(&mut self, offset: usize) -> io::Result<usize> {
        let mut at = offset;
        let mut last = offset;
        loop {
            let bytes = self.at(at, READ_LEN)?;
            if bytes.is_empty() {
                return Ok(last - offset);
            }
            if let Some(index) = bytes.iter().rposition(|&byte| byte != 0) {
                last = at + index + 1;
            }
            at += bytes.len();
        }
    }
}
