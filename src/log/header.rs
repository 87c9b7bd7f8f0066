//! A segment's header: two pages, each with the segment's identity and one state slot.
//!
//! ```text
//!  page 0                    page 1                    frames
//!  +-----------+-----------+ +-----------+-----------+ +------- - -
//!  | identity  | slot      | | identity  | slot      | |
//!  | 0..80     | 512..608  | | 0..80     | 512..608  | | from 8192
//!  +-----------+-----------+ +-----------+-----------+ +------- - -
//! ```
//!
//! The identity is written once, before the file gets its name. The slot says how far the segment is durable; it
//! is written after each sync and becomes durable with the next one, never at the cost of
//! a sync of its own. Two slots in two pages take turns, and the page that holds the last durable slot is never
//! written: whatever a power cut leaves of the other one, this one stands.

use std::ops::Range;

use crate::sys::clock::Timestamp;

pub(crate) const PAGE: usize = 4096;
/// Bytes before the first frame.
pub(crate) const HEADER_LEN: usize = 2 * PAGE;
/// The file format this version reads and writes.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// No segment hands out more sequence numbers than this, so that even after one whose header is lost there is
/// a bound to continue above.
pub(crate) const MAX_SPAN: u64 = 1 << 40;

const MAGIC: [u8; 8] = *b"RIVERBED";
pub(crate) const IDENTITY_LEN: usize = 80;
const IDENTITY_CRC: usize = 72;
pub(crate) const SLOT_OFFSET: usize = 512;
pub(crate) const SLOT_LEN: usize = 96;
const SLOT_CRC: usize = 88;

const _: () = assert!(IDENTITY_LEN <= SLOT_OFFSET && SLOT_OFFSET + SLOT_LEN <= PAGE);
const _: () = assert!(SLOT_LEN.is_multiple_of(8) && SLOT_OFFSET.is_multiple_of(8));
const _: () = assert!(IDENTITY_CRC + 8 == IDENTITY_LEN && SLOT_CRC + 8 == SLOT_LEN);

/// Where a page's slot lies in the file.
pub(crate) fn slot_range(page: usize) -> Range<u64> {
    let start = page * PAGE + SLOT_OFFSET;
    start as u64..(start + SLOT_LEN) as u64
}

/// What binds a frame's checksum to its segment: derived from the segment's random id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signature(u32);

impl From<Signature> for u32 {
    #[inline]
    fn from(signature: Signature) -> Self {
        signature.0
    }
}

impl Signature {
    pub(crate) fn to_le_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }
}

/// Which segment this is. Written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Random, so that bytes of one segment never pass for another's.
    pub(crate) id: [u8; 16],
    /// Counts the shard's segments from 0; also the file's name.
    pub(crate) ordinal: u64,
    pub(crate) shard: u32,
    /// Length of the file in bytes, the header included.
    pub(crate) capacity: u64,
    /// How many sequence numbers this segment hands out at the most.
    pub(crate) span: u64,
    pub(crate) created: Timestamp,
}

/// Why a header page does not identify a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentityFault {
    #[error("not a segment: wrong magic bytes")]
    Magic,
    #[error("written by a newer format, version {found}; this version reads up to {FORMAT_VERSION}")]
    NewerFormat { found: u32 },
    #[error("header checksum: expected {expected:#010x}, found {found:#010x}")]
    Checksum { expected: u32, found: u32 },
    #[error("header fields that contradict each other")]
    Fields,
}

impl Identity {
    pub(crate) fn signature(&self) -> Signature {
        Signature(crc32fast::hash(&self.id))
    }

    pub(crate) fn encode(&self, page: u32) -> [u8; IDENTITY_LEN] {
        let mut writer = FieldWriter::<IDENTITY_LEN>::new();
        writer.put(&MAGIC);
        writer.put(&FORMAT_VERSION.to_le_bytes());
        writer.put(&page.to_le_bytes());
        writer.put(&self.id);
        writer.put(&self.ordinal.to_le_bytes());
        writer.put(&self.shard.to_le_bytes());
        writer.put(&[0; 4]);
        writer.put(&self.capacity.to_le_bytes());
        writer.put(&self.span.to_le_bytes());
        writer.put(&self.created.as_nanos().to_le_bytes());
        writer.finish(IDENTITY_CRC, &[])
    }

    /// Decodes the identity of the header page that `page` holds.
    pub(crate) fn decode(page: &[u8]) -> Result<Self, IdentityFault> {
        let mut reader = FieldReader(page);
        if reader.take() != MAGIC {
            return Err(IdentityFault::Magic);
        }
        let version = reader.u32();
        let (expected, found) = checksums(page, IDENTITY_CRC, &[]).ok_or(IdentityFault::Fields)?;
        if expected != found {
            return Err(IdentityFault::Checksum { expected, found });
        }
        // Only now: a flipped bit does not pass for a newer format.
        if version > FORMAT_VERSION {
            return Err(IdentityFault::NewerFormat { found: version });
        }
        let _page = reader.u32();
        let id = reader.take();
        let ordinal = reader.u64();
        let shard = reader.u32();
        let _zero = reader.u32();
        let capacity = reader.u64();
        let span = reader.u64();
        let created = Timestamp::from_nanos(reader.u64());
        if capacity < HEADER_LEN as u64 || !capacity.is_multiple_of(PAGE as u64) || span > MAX_SPAN {
            return Err(IdentityFault::Fields);
        }
        Ok(Self { id, ordinal, shard, capacity, span, created })
    }
}

/// What a segment's records may still become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// Appends may have gone on past `end`.
    Open,
    /// Nothing was appended past `end` when this slot was made durable, and nothing is until another slot is.
    Clean,
    /// Nothing will ever be appended past `end`.
    Sealed,
}

/// A segment's durable state: the watermark and what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Grows with every slot written; the valid slot with the larger one counts.
    pub(crate) generation: u64,
    pub(crate) state: SlotState,
    /// The sequence counter of the segment's first record.
    pub(crate) base: u64,
    /// The durable watermark: every frame before this offset is on disk.
    pub(crate) end: u64,
    /// The sequence counter after the last durable record.
    pub(crate) next: u64,
    /// Frames before the watermark.
    pub(crate) frames: u64,
    /// Arrival of the first and of the last durable record; both of the shard's last one before when there is none.
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
    /// The shard's following segment starts at this counter or above.
    pub(crate) successor_base: u64,
    /// The shard's oldest kept segment, as far as this slot knows.
    pub(crate) trim: u64,
}

impl Slot {
    /// What the slot of a segment says that starts at `base` and has nothing durable.
    pub(crate) fn blank(base: u64) -> Self {
        Self {
            generation: 0,
            state: SlotState::Open,
            base,
            end: HEADER_LEN as u64,
            next: base,
            frames: 0,
            first_time: Timestamp::EPOCH,
            last_time: Timestamp::EPOCH,
            successor_base: base,
            trim: 0,
        }
    }

    pub(crate) fn encode(&self, signature: Signature) -> [u8; SLOT_LEN] {
        let state: u64 = match self.state {
            SlotState::Open => 1,
            SlotState::Clean => 2,
            SlotState::Sealed => 3,
        };
        let mut writer = FieldWriter::<SLOT_LEN>::new();
        for field in [
            self.generation,
            state,
            self.base,
            self.end,
            self.next,
            self.frames,
            self.first_time.as_nanos(),
            self.last_time.as_nanos(),
            self.successor_base,
            self.trim,
        ] {
            writer.put(&field.to_le_bytes());
        }
        writer.put(&[0; 8]);
        writer.finish(SLOT_CRC, &signature.to_le_bytes())
    }

    pub(crate) fn decode(bytes: &[u8; SLOT_LEN], signature: Signature) -> SlotFact {
        if bytes.iter().all(|&byte| byte == 0) {
            return SlotFact::Blank;
        }
        match checksums(bytes, SLOT_CRC, &signature.to_le_bytes()) {
            Some((expected, found)) if expected == found => {}
            _ => return SlotFact::Damaged,
        }
        let mut reader = FieldReader(bytes);
        let generation = reader.u64();
        let state = match reader.u64() {
            1 => SlotState::Open,
            2 => SlotState::Clean,
            3 => SlotState::Sealed,
            _ => return SlotFact::Damaged,
        };
        let slot = Self {
            generation,
            state,
            base: reader.u64(),
            end: reader.u64(),
            next: reader.u64(),
            frames: reader.u64(),
            first_time: Timestamp::from_nanos(reader.u64()),
            last_time: Timestamp::from_nanos(reader.u64()),
            successor_base: reader.u64(),
            trim: reader.u64(),
        };
        let sound = slot.end >= HEADER_LEN as u64
            && slot.end.is_multiple_of(8)
            && slot.base <= slot.next
            && slot.next <= slot.successor_base;
        if sound { SlotFact::Valid(slot) } else { SlotFact::Damaged }
    }
}

/// What the bytes of one slot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotFact {
    /// All zeros.
    Blank,
    Valid(Slot),
    /// Neither.
    Damaged,
}

impl SlotFact {
    /// What the two slots say together, and which page holds the slot that counts.
    pub(crate) fn combine(pages: [Self; 2]) -> (Self, usize) {
        match pages {
            [Self::Valid(first), Self::Valid(second)] if second.generation > first.generation => {
                (pages[1], 1)
            }
            [Self::Valid(_), _] => (pages[0], 0),
            [_, Self::Valid(_)] => (pages[1], 1),
            [Self::Blank, Self::Blank] => (Self::Blank, 1),
            // One slot torn while the first one ever was written: nothing was durable yet.
            [Self::Blank, Self::Damaged] | [Self::Damaged, Self::Blank] => (Self::Blank, 1),
            [Self::Damaged, Self::Damaged] => (Self::Damaged, 1),
        }
    }
}

/// The checksum that a block should have and the one it has, its own bytes taken as zero.
fn checksums(block: &[u8], crc_offset: usize, prefix: &[u8]) -> Option<(u32, u32)> {
    let found = block.get(crc_offset..)?.first_chunk().copied().map(u32::from_le_bytes)?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(prefix);
    crc.update(block.get(..crc_offset)?);
    Some((crc.finalize(), found))
}

struct FieldWriter<const LEN: usize> {
    bytes: [u8; LEN],
    at: usize,
}

impl<const LEN: usize> FieldWriter<LEN> {
    fn new() -> Self {
        Self { bytes: [0; LEN], at: 0 }
    }

    fn put(&mut self, field: &[u8]) {
        if let Some(target) = self.bytes.get_mut(self.at..self.at + field.len()) {
            target.copy_from_slice(field);
        }
        self.at += field.len();
    }

    fn finish(mut self, crc_offset: usize, prefix: &[u8]) -> [u8; LEN] {
        debug_assert_eq!(self.at, crc_offset);
        if let Some((expected, _)) = checksums(&self.bytes, crc_offset, prefix) {
            self.at = crc_offset;
            self.put(&expected.to_le_bytes());
        }
        self.bytes
    }
}

/// Takes little-endian fields off the front; missing bytes read as zero, which the checksum has ruled out.
struct FieldReader<'a>(&'a [u8]);

impl FieldReader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
