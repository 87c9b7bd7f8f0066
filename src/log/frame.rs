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
//! * The body checksum covers key, metadata and data.

use std::io;

use crate::sys::clock::Timestamp;
use crate::sys::crc;
use crate::sys::region::{FRAME_ALIGNMENT, Slot};
use crate::sys::storage::StorageFile;

use super::header::Signature;

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

/// A frame about to be written: everything but its place, number and time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft<'a> {
    kind: Kind,
    key: &'a [u8],
    explicit_hash_key: Option<u128>,
    rows: Option<Rows>,
    metadata: &'a [u8],
    data: &'a [&'a [u8]],
    data_len: usize,
    body_crc: u32,
    flags: u8,
    /// Bytes of header, key and metadata.
    front_len: usize,
}

/// The checksum of a frame's body, to be computed before any lock is taken.
#[inline(always)]
pub(crate) fn body_checksum(key: &[u8], metadata: &[u8], data: &[&[u8]]) -> u32 {
    let mut crc = crc::of(key);
    if !metadata.is_empty() {
        crc = crc::update(crc, metadata);
    }
    data.iter().fold(crc, |crc, part| crc::update(crc, part))
}

impl<'a> Draft<'a> {
    /// A frame whose body has the checksum `body_crc`, see [`body_checksum`].
    ///
    /// The caller has checked `key`, `metadata` and `data` against their limits.
    #[inline]
    pub(crate) fn new(
        kind: Kind,
        key: &'a [u8],
        explicit_hash_key: Option<u128>,
        metadata: &'a [u8],
        data: &'a [&'a [u8]],
        body_crc: u32,
    ) -> Self {
        debug_assert!(key.len() <= MAX_KEY_LEN && metadata.len() <= MAX_METADATA_LEN);
        let data_len = data.iter().map(|part| part.len()).sum();
        debug_assert!(data_len <= MAX_RECORD_LEN);
        let explicit = if explicit_hash_key.is_some() { HAS_EXPLICIT_HASH_KEY } else { 0 };
        let flags = explicit | if metadata.is_empty() { 0 } else { HAS_METADATA };
        let front_len = header_len(flags) + key.len() + metadata.len();
        Self {
            kind,
            key,
            explicit_hash_key,
            rows: None,
            metadata,
            data,
            data_len,
            body_crc,
            flags,
            front_len,
        }
    }

    /// A frame of rows. Its data start on a [`COLUMNAR_ALIGNMENT`] boundary of the segment, and it takes as many sequence
    /// numbers as it has rows, of which there is at least one.
    ///
    /// `data` are what [`Kind::ARROW`] says, made from valid arrays: they will be read without being validated again.
    #[cfg(feature = "arrow")]
    pub(crate) fn of_rows(
        rows: Rows,
        key: &'a [u8],
        explicit_hash_key: Option<u128>,
        metadata: &'a [u8],
        data: &'a [&'a [u8]],
    ) -> Self {
        debug_assert!(rows.count > 0);
        let body_crc = body_checksum(key, metadata, data);
        let draft = Self::new(Kind::ARROW, key, explicit_hash_key, metadata, data, body_crc);
        let flags = draft.flags | HAS_ROWS;
        let front_len = header_len(flags) + key.len() + metadata.len();
        Self { rows: Some(rows), flags, front_len, ..draft }
    }

    /// Whether the frame's data are valid columns, as [`of_rows`](Self::of_rows) demands.
    #[cfg(feature = "arrow")]
    pub(crate) fn is_columnar(&self) -> bool {
        self.rows.is_some()
    }

    /// How many sequence numbers the frame takes.
    #[inline]
    pub(crate) fn row_count(&self) -> u64 {
        self.rows.map_or(1, |rows| u64::from(rows.count))
    }

    /// Bytes of key and data.
    pub(crate) fn record_len(&self) -> usize {
        self.key.len() + self.data_len
    }

    /// Whether writing the data may be faster than storing it, see [`LARGE`].
    #[inline]
    pub(crate) fn is_large(&self) -> bool {
        self.data_len >= LARGE
    }

    /// Bytes that the frame needs wherever it lands, paddings included.
    pub(crate) fn max_len(&self) -> usize {
        let alignment = if self.rows.is_some() { COLUMNAR_ALIGNMENT } else { 0 };
        self.front_len + alignment + self.data_len + FRAME_ALIGNMENT
    }

    /// Where the data starts, counted from the frame's first byte, for a frame at `offset` of its segment.
    #[inline]
    fn data_start(&self, offset: usize) -> usize {
        if self.rows.is_some() { columnar_start(offset, self.front_len) } else { self.front_len }
    }

    /// Bytes from the frame's first to the end of its data, for a frame at `offset` of its segment.
    #[inline]
    pub(crate) fn len(&self, offset: usize) -> usize {
        self.data_start(offset) + self.data_len
    }

    /// The header of a frame with optional fields, checksum included.
    fn full_header(&self, fixed: FixedHeader) -> HeaderBytes {
        let mut header = HeaderBytes::new(&fixed.to_bytes());
        if let Some(hash_key) = self.explicit_hash_key {
            header.push(&hash_key.to_le_bytes());
        }
        if let Some(rows) = self.rows {
            header.push(&rows.count.to_le_bytes());
            header.push(&rows.schema_id.to_le_bytes());
        }
        if let Ok(length @ 1..) = u32::try_from(self.metadata.len()) {
            header.push(&length.to_le_bytes());
            header.push(&[0; 4]);
        }
        let crc = crc::of(header.as_slice());
        header.put(HEADER_CRC, &crc.to_le_bytes());
        header
    }

    /// Writes the frame into the slot of its length and publishes it. Returns whether it fitted; nothing is visible when it
    /// did not. Parts of its data that are [`LARGE`] are written to `file`, if there is one, which the slot's region maps.
    #[inline]
    pub(crate) fn write(
        &self,
        mut slot: Slot<'_>,
        signature: Signature,
        sequence: u64,
        time: Timestamp,
        file: Option<&dyn StorageFile>,
    ) -> io::Result<bool> {
        let (Ok(length), Ok(key_length)) = (u32::try_from(slot.len()), u16::try_from(self.key.len())) else {
            return Ok(false);
        };
        let flags = self.flags;
        let mut fixed = FixedHeader {
            length,
            crc: signature.into(),
            sequence,
            time: time.as_nanos(),
            body_crc: self.body_crc,
            key_length,
            kind: self.kind.0,
            flags,
        };
        // The slot's first four bytes are the length, which `publish` writes last.
        let mut fits = if flags == 0 {
            fixed.crc = crc::of_words(fixed.to_words());
            slot.write(fixed.to_bytes().get(HEADER_CRC..).unwrap_or_default())
        } else {
            slot.write(self.full_header(fixed).as_slice().get(HEADER_CRC..).unwrap_or_default())
        };
        fits &= slot.write(self.key);
        if flags != 0 {
            fits &= slot.write(self.metadata);
            if self.rows.is_some() {
                fits &= slot.pad_to(self.data_start(slot.start()));
            }
        }
        for part in self.data {
            fits &= match file.filter(|_| part.len() >= LARGE) {
                None => slot.write(part),
                Some(file) => {
                    match slot.write_through(part, |bytes, offset| file.write_all_at(bytes, offset)) {
                        Ok(fits) => fits,
                        Err(error) => {
                            slot.wipe();
                            return Err(error);
                        }
                    }
                }
            };
        }
        if fits {
            slot.publish(length);
        }
        Ok(fits)
    }
}

/// The part that every frame's header has.
#[derive(Debug, Clone, Copy)]
struct FixedHeader {
    length: u32,
    /// While the checksum is computed, the segment's signature.
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

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    /// All zeros: nothing was ever written here.
    #[error("never written")]
    NeverWritten,
    /// The length word is zero, but other header bytes are not.
    #[error("a frame whose length was never published")]
    Unpublished,
    /// Fewer bytes are left than a header or the frame takes.
    #[error("a frame cut off by the end of the segment")]
    CutOff,
    #[error("header checksum: expected {expected:#010x}, found {found:#010x}")]
    HeaderChecksum { expected: u32, found: u32 },
    #[error("body checksum: expected {expected:#010x}, found {found:#010x}")]
    BodyChecksum { expected: u32, found: u32 },
    /// The header is as it was written, and still makes no sense: written by a newer version.
    #[error("a frame of a kind or with flags that this version does not know")]
    Unknown,
    /// A good frame, but not the one that comes next.
    #[error("a frame whose number or time does not follow the one before")]
    OutOfOrder,
    /// The header's fields contradict each other.
    #[error("lengths that contradict each other")]
    Lengths,
}

/// How much of a frame to check while decoding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Bounds only.
    Bounds,
    /// Bounds and the header's checksum.
    Header,
    /// Bounds and both checksums.
    All,
}

/// A decoded frame, borrowed from the segment. Small, because it is handed from the cursor to the record for each of
/// them; what it holds is looked up when it is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// From the first byte to the end of the data; no shorter than the header.
    bytes: &'a [u8],
    /// Where it lies in its segment.
    offset: usize,
    parts: Parts,
}

/// Where the parts of a frame begin, counted from its first byte; none lies behind its end.
#[derive(Debug, Clone, Copy)]
struct Parts {
    key: u32,
    metadata: u32,
    padding: u32,
    data: u32,
}

impl<'a> Frame<'a> {
    /// Decodes the frame at the start of `bytes`, which lies at `offset` of a segment with this signature.
    ///
    /// Never reads outside `bytes`, whatever they are. Without [`Check::All`] the result is only as good as the
    /// bytes.
    #[inline(always)]
    pub(crate) fn decode(
        bytes: &'a [u8],
        offset: usize,
        signature: Signature,
        check: Check,
    ) -> Result<Self, FrameFault> {
        let (bytes, parts) = match Parts::of_plain(bytes, signature, check) {
            Some(found) => found,
            None => Parts::of_any(bytes, offset, signature, check)?,
        };
        Ok(Self { bytes, offset, parts })
    }

    /// Number and time of the frame whose header, if nothing more of it, is at the start of `bytes`.
    pub(crate) fn decode_header(bytes: &[u8], signature: Signature) -> Option<(u64, Timestamp)> {
        let fixed = bytes.first_chunk::<FIXED_HEADER_LEN>()?;
        let [.., flags] = *fixed;
        check_header(bytes.get(..header_len(flags))?, signature).ok()?;
        Some((u64_at(fixed, SEQUENCE), Timestamp::from_nanos(u64_at(fixed, TIME))))
    }

    #[inline]
    pub(crate) fn sequence(&self) -> u64 {
        u64::from_le_bytes(self.field(SEQUENCE))
    }

    #[inline]
    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_nanos(u64::from_le_bytes(self.field(TIME)))
    }

    #[inline]
    pub(crate) fn explicit_hash_key(&self) -> Option<u128> {
        let given = self.flags() & HAS_EXPLICIT_HASH_KEY != 0;
        given.then(|| u128::from_le_bytes(self.field(FIXED_HEADER_LEN)))
    }

    #[inline]
    pub(crate) fn rows(&self) -> Option<Rows> {
        let flags = self.flags();
        (flags & HAS_ROWS != 0).then(|| {
            let at = header_len(flags & HAS_EXPLICIT_HASH_KEY);
            Rows {
                count: u32::from_le_bytes(self.field(at)),
                schema_id: u32::from_le_bytes(self.field(at + size_of::<u32>())),
            }
        })
    }

    /// How many sequence numbers the frame takes.
    #[inline]
    pub(crate) fn row_count(&self) -> u64 {
        self.rows().map_or(1, |rows| u64::from(rows.count))
    }

    #[inline]
    pub(crate) fn key(&self) -> &'a [u8] {
        self.part(self.parts.key, self.parts.metadata)
    }

    #[inline]
    pub(crate) fn metadata(&self) -> &'a [u8] {
        self.part(self.parts.metadata, self.parts.padding)
    }

    #[inline]
    pub(crate) fn data(&self) -> &'a [u8] {
        self.bytes.get(self.parts.data as usize..).unwrap_or_default()
    }

    /// Where the data starts, counted from the segment's first byte.
    #[inline]
    pub(crate) fn data_offset(&self) -> usize {
        self.offset + self.parts.data as usize
    }

    /// Where the key starts, counted from the segment's first byte.
    #[inline]
    pub(crate) fn body_offset(&self) -> usize {
        self.offset + self.parts.key as usize
    }

    /// Zeros between metadata and data.
    #[inline]
    pub(crate) fn padding(&self) -> usize {
        (self.parts.data - self.parts.padding) as usize
    }

    /// Where the frame starts, counted from the segment's first byte.
    #[cfg(feature = "arrow")]
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Checks the body's checksum, for a frame that was decoded without [`Check::All`].
    #[cfg(feature = "arrow")]
    pub(crate) fn check_body(&self) -> Result<(), FrameFault> {
        let Parts { key, padding, data, .. } = self.parts;
        let found = u32::from_le_bytes(self.field(BODY_CRC));
        check_body(self.bytes, key as usize, padding as usize, data as usize, found)
    }

    /// Bytes to the next frame.
    #[inline]
    pub(crate) fn padded_len(&self) -> usize {
        // As `next_multiple_of`, in fewer steps: the next frame's address waits for it.
        (self.bytes.len() + (FRAME_ALIGNMENT - 1)) & !(FRAME_ALIGNMENT - 1)
    }

    #[inline]
    fn flags(&self) -> u8 {
        let [flags] = self.field(FLAGS);
        flags
    }

    #[inline]
    fn field<const LEN: usize>(&self, at: usize) -> [u8; LEN] {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; LEN])
    }

    #[inline]
    fn part(&self, from: u32, to: u32) -> &'a [u8] {
        self.bytes.get(from as usize..to as usize).unwrap_or_default()
    }
}

impl Parts {
    /// Of a frame without optional fields, as most are, and its bytes; `None` for any other, and when anything is
    /// wrong.
    #[inline(always)]
    fn of_plain(bytes: &[u8], signature: Signature, check: Check) -> Option<(&[u8], Self)> {
        let fixed = bytes.first_chunk::<FIXED_HEADER_LEN>()?;
        let [.., kind, flags] = *fixed;
        let length = u32_at(fixed, LENGTH);
        let data = PLAIN_KEY + u32::from(u16_at(fixed, KEY_LENGTH));
        if (Kind(kind), flags) != (Kind::RAW, 0) || data > length || length as usize > MAX_FRAME_LEN {
            return None;
        }
        let frame = bytes.get(..length as usize)?;
        if check != Check::Bounds && !is_intact(fixed, frame.get(FIXED_HEADER_LEN..)?, signature, check) {
            return None;
        }
        Some((frame, Self { key: PLAIN_KEY, metadata: data, padding: data, data }))
    }

    /// Of any frame, and its bytes, with the reason when it is none.
    #[inline(never)]
    fn of_any(
        bytes: &[u8],
        offset: usize,
        signature: Signature,
        check: Check,
    ) -> Result<(&[u8], Self), FrameFault> {
        let fixed = bytes.first_chunk::<FIXED_HEADER_LEN>().ok_or(FrameFault::CutOff)?;
        let length = u32_at(fixed, LENGTH) as usize;
        if length == 0 {
            let zeros = fixed.iter().all(|&byte| byte == 0);
            return Err(if zeros { FrameFault::NeverWritten } else { FrameFault::Unpublished });
        }
        let [.., kind, flags] = *fixed;
        let header_len = header_len(flags);
        let header = bytes.get(..header_len).ok_or(FrameFault::CutOff)?;
        if check != Check::Bounds {
            check_header(header, signature)?;
        }
        if !Kind(kind).allows(flags) {
            return Err(FrameFault::Unknown);
        }
        let mut optional = header.get(FIXED_HEADER_LEN..).unwrap_or_default();
        if flags & HAS_EXPLICIT_HASH_KEY != 0 {
            take::<16>(&mut optional).ok_or(FrameFault::CutOff)?;
        }
        if flags & HAS_ROWS != 0 {
            let count = u32::from_le_bytes(take(&mut optional).ok_or(FrameFault::CutOff)?);
            take::<4>(&mut optional).ok_or(FrameFault::CutOff)?;
            if count == 0 {
                return Err(FrameFault::Lengths);
            }
        }
        let metadata_len = if flags & HAS_METADATA != 0 {
            u32::from_le_bytes(take(&mut optional).ok_or(FrameFault::CutOff)?) as usize
        } else {
            0
        };
        let metadata = header_len + usize::from(u16_at(fixed, KEY_LENGTH));
        let padding = metadata + metadata_len;
        let data = if flags & HAS_ROWS != 0 { columnar_start(offset, padding) } else { padding };
        if metadata_len > MAX_METADATA_LEN || data > length || length > MAX_FRAME_LEN {
            return Err(FrameFault::Lengths);
        }
        let frame = bytes.get(..length).ok_or(FrameFault::CutOff)?;
        if check == Check::All {
            check_body(frame, header_len, padding, data, u32_at(fixed, BODY_CRC))?;
        }
        let narrow = |offset| u32::try_from(offset).map_err(|_| FrameFault::Lengths);
        let parts = Self {
            key: narrow(header_len)?,
            metadata: narrow(metadata)?,
            padding: narrow(padding)?,
            data: narrow(data)?,
        };
        Ok((frame, parts))
    }
}

/// Whether the checksums of a frame without optional fields are right. Not in line, so that the rest can be.
#[inline(never)]
fn is_intact(header: &[u8; FIXED_HEADER_LEN], body: &[u8], signature: Signature, check: Check) -> bool {
    let header = FixedHeader::of(header);
    let bound = FixedHeader { crc: signature.into(), ..header };
    crc::of_words(bound.to_words()) == header.crc && (check != Check::All || crc::of(body) == header.body_crc)
}

fn check_header(header: &[u8], signature: Signature) -> Result<(), FrameFault> {
    let mut bytes = HeaderBytes::new(header);
    bytes.put(HEADER_CRC, &u32::from(signature).to_le_bytes());
    let expected = crc::of(bytes.as_slice());
    let found = header.get(HEADER_CRC..).and_then(|rest| rest.first_chunk()).copied().map(u32::from_le_bytes);
    match found {
        Some(found) if found == expected => Ok(()),
        found => Err(FrameFault::HeaderChecksum { expected, found: found.unwrap_or(0) }),
    }
}

fn check_body(
    frame: &[u8],
    start: usize,
    metadata_end: usize,
    data_start: usize,
    found: u32,
) -> Result<(), FrameFault> {
    let expected = if metadata_end == data_start {
        crc::of(frame.get(start..).ok_or(FrameFault::Lengths)?)
    } else {
        let front = crc::of(frame.get(start..metadata_end).ok_or(FrameFault::Lengths)?);
        crc::update(front, frame.get(data_start..).ok_or(FrameFault::Lengths)?)
    };
    if expected == found { Ok(()) } else { Err(FrameFault::BodyChecksum { expected, found }) }
}

#[inline]
fn take<const LEN: usize>(bytes: &mut &[u8]) -> Option<[u8; LEN]> {
    let (field, rest) = bytes.split_first_chunk::<LEN>()?;
    *bytes = rest;
    Some(*field)
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
