//! A frame about to be written.

use std::io;

use crate::log::header::Signature;
use crate::sys::clock::Timestamp;
use crate::sys::crc;
use crate::sys::region::Slot;
use crate::sys::storage::StorageFile;

use super::plain::Plain;
use super::{
    COLUMNAR_ALIGNMENT, FixedHeader, HAS_EXPLICIT_HASH_KEY, HAS_METADATA, HEADER_CRC, HeaderBytes, Kind,
    LARGE, MAX_KEY_LEN, MAX_METADATA_LEN, MAX_RECORD_LEN, Rows, columnar_start, header_len,
};
use crate::sys::region::FRAME_ALIGNMENT;

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
    body_crc: Option<u32>,
    flags: u8,
    /// Bytes of header, key and metadata.
    front_len: usize,
}

/// Data as long as this are written to the file more often than not: see [`LARGE`].
const LONGEST_IN_ONE_PASS: usize = 512 * 1024;

/// The checksum of a frame's body, computed before any lock is taken; `None` where it is better found while the data are copied, which
/// then takes no longer than to copy them.
#[inline(always)]
pub(crate) fn checksum_ahead(key: &[u8], metadata: &[u8], data: &[u8]) -> Option<u32> {
    let in_one_pass =
        metadata.is_empty() && data.len() < LONGEST_IN_ONE_PASS && crc::is_copied_in_one_pass(data.len());
    (!in_one_pass).then(|| body_checksum(key, metadata, &[data]))
}

/// The checksum of a frame's body.
#[inline(always)]
pub(crate) fn body_checksum(key: &[u8], metadata: &[u8], data: &[&[u8]]) -> u32 {
    if let ([], [data]) = (metadata, data) {
        return crc::of_two(key, data);
    }
    let front = crc::of_two(key, metadata);
    data.iter().fold(front, |crc, part| crc::update(crc, part))
}

impl<'a> Draft<'a> {
    /// A frame whose body has the checksum `body_crc`, if that is known, see [`checksum_ahead`].
    ///
    /// The caller has checked `key`, `metadata` and `data` against their limits.
    #[inline]
    pub(crate) fn new(
        kind: Kind,
        key: &'a [u8],
        explicit_hash_key: Option<u128>,
        metadata: &'a [u8],
        data: &'a [&'a [u8]],
        body_crc: Option<u32>,
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
        let draft = Self::new(Kind::ARROW, key, explicit_hash_key, metadata, data, Some(body_crc));
        let flags = draft.flags | super::HAS_ROWS;
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

    /// Bytes before the key.
    #[inline]
    pub(crate) fn header_len(&self) -> usize {
        header_len(self.flags)
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

    /// The whole header, checksum included.
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

    /// The frame if it is a plain one.
    #[inline]
    pub(crate) fn as_plain(&self) -> Option<Plain<'a>> {
        match self.data {
            &[data] if (self.kind, self.flags) == (Kind::RAW, 0) => Plain::new(self.key, data, self.body_crc),
            _ => None,
        }
    }

    /// Writes the frame into the slot of its length and publishes it. Returns whether it fitted; nothing is visible when it
    /// did not. Parts of its data that are [`LARGE`] are written to `file`, if there is one, which the slot's region maps.
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
        let mut body_crc = self.body_crc.unwrap_or_else(|| crc::of_two(self.key, self.metadata));
        let mut fits = slot.write(self.key);
        fits &= slot.write(self.metadata);
        if self.rows.is_some() {
            fits &= slot.pad_to(self.data_start(slot.start()));
        }
        for part in self.data {
            fits &= match file.filter(|_| part.len() >= LARGE) {
                None if self.body_crc.is_none() => slot.write_checksummed(part, &mut body_crc),
                None => slot.write(part),
                Some(file) => {
                    if self.body_crc.is_none() {
                        body_crc = crc::update(body_crc, part);
                    }
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
        let fixed = FixedHeader {
            length,
            crc: signature.into(),
            sequence,
            time: time.as_nanos(),
            body_crc,
            key_length,
            kind: self.kind.0,
            flags: self.flags,
        };
        Ok(fits && slot.publish(self.full_header(fixed).as_slice()))
    }
}
