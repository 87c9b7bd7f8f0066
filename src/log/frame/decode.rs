//! A frame that is read.

use crate::log::header::Signature;
use crate::sys::clock::Timestamp;
use crate::sys::crc;
use crate::sys::region::FRAME_ALIGNMENT;

use super::{
    BODY_CRC, FIXED_HEADER_LEN, FLAGS, FixedHeader, HAS_EXPLICIT_HASH_KEY, HAS_METADATA, HAS_ROWS,
    HEADER_CRC, HeaderBytes, KEY_LENGTH, Kind, LENGTH, MAX_FRAME_LEN, MAX_METADATA_LEN, PLAIN_KEY, Rows,
    SEQUENCE, TIME, columnar_start, header_len, u16_at, u32_at, u64_at,
};

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    /// All zeros: nothing was ever written here.
    #[error("never written")]
    NeverWritten,
    /// The length word is zero, but other header bytes are not, or bytes follow.
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
    header.checksum(signature) == header.crc && (check != Check::All || crc::of(body) == header.body_crc)
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
