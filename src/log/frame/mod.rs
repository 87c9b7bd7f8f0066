//! A frame: one record (or one batch of rows) as it lies in a segment.
//!
//! ```text
//!  0        4        8                16               24       28   30   31   32
//!  +--------+--------+----------------+----------------+--------+----+----+----+
//!  | length | header | sequence       | time           | body   | key|kind|flag|
//!  |        | crc32  |                |                | crc32  | len|    |    |
//!  +--------+--------+----------------+----------------+--------+----+----+----+
//!  | explicit hash key (16, if flagged) | rows, schema id (4 + 4, if flagged)  |
//!  | metadata length, zero (4 + 4, if flagged)                                 |
//!  +---------------------------------------------------------------------------+
//!  | key | metadata | zeros to a 64-byte boundary (columnar frames) | data      |
//!  +---------------------------------------------------------------------------+
//!  | zeros to an 8-byte boundary                                               |
//! ```
//!
//! * `length` counts from the frame's first byte to the end of `data`. It is published last; zero means
//!   "never written".
//! * The header checksum covers everything up to the key, and the segment's signature stands in for the
//!   checksum's own bytes while it is computed: a frame left over from another segment never passes. Because it
//!   covers the body's checksum too, that one needs no signature, and can be computed before the segment is known.
//! * The body checksum covers key, metadata and data. Where it is found while they are copied, the header is written after them.

mod decode;
mod draft;
mod plain;

use crate::sys::crc;
use crate::sys::region::FRAME_ALIGNMENT;

use super::header::Signature;

pub(crate) use decode::{Check, Frame, FrameFault};
pub(crate) use draft::{Draft, body_checksum, checksum_ahead};
pub(crate) use plain::Plain;

/// Bytes of a frame header without its optional fields.
pub(crate) const FIXED_HEADER_LEN: usize = 32;
/// Bytes of a frame header with every optional field.
pub(crate) const MAX_HEADER_LEN: usize = FIXED_HEADER_LEN + 16 + 8 + 8;
/// Columnar data starts on this boundary of the segment, as Arrow wants it.
pub(crate) const COLUMNAR_ALIGNMENT: usize = 64;
/// The longest key: 256 characters of four bytes.
pub(crate) const MAX_KEY_LEN: usize = 1024;
/// The longest record metadata.
pub(crate) const MAX_METADATA_LEN: usize = 64 * 1024;
/// From here on data take less time to write than to store page by page into a mapping whose pages are not there yet: at 16 KiB
/// half of it, at 64 KiB and above a quarter, at 4 KiB the same.
pub(crate) const LARGE: usize = 16 * 1024;
/// The most that key and data of one record may take together, as in Kinesis.
pub(crate) const MAX_RECORD_LEN: usize = 10 * 1024 * 1024;
/// An upper bound on the bytes of any frame, its paddings included.
pub(crate) const MAX_FRAME_LEN: usize =
    MAX_HEADER_LEN + MAX_METADATA_LEN + COLUMNAR_ALIGNMENT + MAX_RECORD_LEN + FRAME_ALIGNMENT;

const _: () = assert!(FRAME_ALIGNMENT.is_power_of_two());
const _: () = assert!(FIXED_HEADER_LEN.is_multiple_of(FRAME_ALIGNMENT));
const _: () = assert!(MAX_FRAME_LEN < u32::MAX as usize);
const _: () = assert!(MAX_KEY_LEN <= u16::MAX as usize);

const LENGTH: usize = 0;
const HEADER_CRC: usize = 4;
const SEQUENCE: usize = 8;
const TIME: usize = 16;
const BODY_CRC: usize = 24;
const KEY_LENGTH: usize = 28;
const KIND: usize = 30;
const FLAGS: usize = 31;

const HAS_EXPLICIT_HASH_KEY: u8 = 1;
const HAS_ROWS: u8 = 2;
const HAS_METADATA: u8 = 4;
const KNOWN_FLAGS: u8 = HAS_EXPLICIT_HASH_KEY | HAS_ROWS | HAS_METADATA;

/// Where the key of a frame without optional fields starts.
const PLAIN_KEY: u32 = 32;
const _: () = assert!(PLAIN_KEY as usize == FIXED_HEADER_LEN);
/// [`FixedHeader::to_words`] knows where they are.
const _: () = assert!(BODY_CRC == 24 && KEY_LENGTH == 28 && KIND == 30 && FLAGS == 31);

/// What a frame's data is. Zero is reserved for "never written".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(u8);

impl Kind {
    /// Bytes that mean nothing to the engine.
    pub(crate) const RAW: Self = Self(1);
    /// Rows, as encapsulated Arrow IPC messages: the dictionaries that the rows need, then one record batch. The only kind
    /// that has [`Rows`].
    pub(crate) const ARROW: Self = Self(2);

    /// Whether a frame of this kind may have these flags.
    fn allows(self, flags: u8) -> bool {
        let has_rows = flags & HAS_ROWS != 0;
        flags & !KNOWN_FLAGS == 0 && ((self == Self::RAW && !has_rows) || (self == Self::ARROW && has_rows))
    }
}

/// What a columnar frame says of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rows {
    /// How many; the frame takes as many sequence numbers.
    pub(crate) count: u32,
    pub(crate) schema_id: u32,
}

/// The part that every frame's header has.
#[derive(Debug, Clone, Copy)]
struct FixedHeader {
    length: u32,
    /// The header's. While it is computed, the segment's signature is here.
    crc: u32,
    sequence: u64,
    time: u64,
    body_crc: u32,
    key_length: u16,
    kind: u8,
    flags: u8,
}

impl FixedHeader {
    #[inline]
    fn of(bytes: &[u8; FIXED_HEADER_LEN]) -> Self {
        let [.., kind, flags] = *bytes;
        Self {
            length: u32_at(bytes, LENGTH),
            crc: u32_at(bytes, HEADER_CRC),
            sequence: u64_at(bytes, SEQUENCE),
            time: u64_at(bytes, TIME),
            body_crc: u32_at(bytes, BODY_CRC),
            key_length: u16_at(bytes, KEY_LENGTH),
            kind,
            flags,
        }
    }

    /// As numbers, little-endian ones of which make up its bytes.
    #[inline]
    fn to_words(self) -> [u64; 4] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let kind_and_flags = u32::from(self.kind) << 16 | u32::from(self.flags) << 24;
        [
            pair(self.length, self.crc),
            self.sequence,
            self.time,
            pair(self.body_crc, u32::from(self.key_length) | kind_and_flags),
        ]
    }

    /// The checksum of a frame without optional fields, in a segment with this signature.
    #[inline]
    fn checksum(self, signature: Signature) -> u32 {
        crc::of_words(Self { crc: signature.into(), ..self }.to_words())
    }

    #[inline]
    fn to_bytes(self) -> [u8; FIXED_HEADER_LEN] {
        let mut bytes = [0; FIXED_HEADER_LEN];
        for (target, word) in bytes.chunks_exact_mut(size_of::<u64>()).zip(self.to_words()) {
            target.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// A header with optional fields.
struct HeaderBytes {
    bytes: [u8; MAX_HEADER_LEN],
    len: usize,
}

impl HeaderBytes {
    fn new(start: &[u8]) -> Self {
        let mut header = Self { bytes: [0; MAX_HEADER_LEN], len: 0 };
        header.push(start);
        header
    }

    fn put(&mut self, offset: usize, field: &[u8]) {
        if let Some(target) = self.bytes.get_mut(offset..offset + field.len()) {
            target.copy_from_slice(field);
        }
    }

    fn push(&mut self, field: &[u8]) {
        self.put(self.len, field);
        self.len += field.len();
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

fn header_len(flags: u8) -> usize {
    let explicit = if flags & HAS_EXPLICIT_HASH_KEY != 0 { 16 } else { 0 };
    let rows = if flags & HAS_ROWS != 0 { 8 } else { 0 };
    let metadata = if flags & HAS_METADATA != 0 { 8 } else { 0 };
    FIXED_HEADER_LEN + explicit + rows + metadata
}

fn columnar_start(offset: usize, unpadded: usize) -> usize {
    (offset + unpadded).next_multiple_of(COLUMNAR_ALIGNMENT) - offset
}

#[inline]
fn field<const LEN: usize>(header: &[u8; FIXED_HEADER_LEN], offset: usize) -> [u8; LEN] {
    header.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; LEN])
}

#[inline]
fn u16_at(header: &[u8; FIXED_HEADER_LEN], offset: usize) -> u16 {
    u16::from_le_bytes(field(header, offset))
}

#[inline]
fn u32_at(header: &[u8; FIXED_HEADER_LEN], offset: usize) -> u32 {
    u32::from_le_bytes(field(header, offset))
}

#[inline]
fn u64_at(header: &[u8; FIXED_HEADER_LEN], offset: usize) -> u64 {
    u64::from_le_bytes(field(header, offset))
}
