//! A segment's file, piece by piece, for people who look at the format.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::IoError;
use crate::log::frame::{Check, FIXED_HEADER_LEN, Frame, FrameFault, MAX_FRAME_LEN};
use crate::log::header::{
    HEADER_LEN, Identity, PAGE, SLOT_LEN, SLOT_OFFSET, Signature, Slot, SlotFact, SlotState,
};
use crate::log::scan;
use crate::sys::clock::Timestamp;
use crate::sys::os::OsStorage;
use crate::sys::region::FRAME_ALIGNMENT;
use crate::sys::storage::{Access, Storage, StorageFile};

/// A segment's file, read through the file and not a mapping.
#[derive(Debug)]
pub struct SegmentDump {
    path: std::path::PathBuf,
    file: Arc<dyn StorageFile>,
    len: usize,
    pages: [HeaderPage; 2],
    signature: Option<Signature>,
}

/// A header page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPage {
    /// Where it lies.
    pub offset: u64,
    /// Which segment it says this is, or what is wrong with that.
    pub identity: Result<IdentityFields, String>,
    /// The state in it; `None` when it was never written.
    pub slot: Option<Result<SlotFields, String>>,
}

/// The fields of an identity, as `docs/FORMAT.md` describes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityFields {
    /// The random id.
    pub id: [u8; 16],
    /// The ordinal.
    pub ordinal: u64,
    /// The shard.
    pub shard: u32,
    /// Bytes of the file.
    pub capacity: u64,
    /// Sequence numbers at the most.
    pub span: u64,
    /// When the segment was made.
    pub created: Timestamp,
}

/// The fields of a slot, as `docs/FORMAT.md` describes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotFields {
    /// The generation.
    pub generation: u64,
    /// `open`, `clean` or `sealed`.
    pub state: &'static str,
    /// The first record's counter.
    pub base: u64,
    /// The durable watermark.
    pub end: u64,
    /// The counter at the watermark.
    pub next: u64,
    /// Frames before the watermark.
    pub frames: u64,
    /// Arrival of the first record.
    pub first_time: Timestamp,
    /// Arrival of the last record before the watermark.
    pub last_time: Timestamp,
    /// Where the next segment starts.
    pub successor_base: u64,
    /// The oldest kept segment.
    pub trim: u64,
}

/// A piece of what follows the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A whole frame.
    Frame(FrameFields),
    /// Bytes that are no frame.
    NoFrame {
        /// Where they begin.
        offset: u64,
        /// How many there are, up to the next frame or the last one that is not zero.
        bytes: u64,
        /// What is wrong with the first of them.
        reason: String,
    },
    /// Zeros up to the file's end.
    Blank {
        /// Where they begin.
        offset: u64,
        /// How many there are.
        bytes: u64,
    },
}

/// A frame, as `docs/FORMAT.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameFields {
    /// Where it begins.
    pub offset: u64,
    /// Bytes with the zeros that end it.
    pub padded_len: u64,
    /// The counter of its record, or of its first row.
    pub sequence: u64,
    /// When it arrived.
    pub time: Timestamp,
    /// The explicit hash key.
    pub explicit_hash_key: Option<u128>,
    /// How many rows, and the id of their schema.
    pub rows: Option<(u32, u32)>,
    /// The partition key.
    pub key: Vec<u8>,
    /// The metadata.
    pub metadata: Vec<u8>,
    /// The data.
    pub data: Vec<u8>,
}

impl SegmentDump {
    /// Opens the file of a segment and reads its header.
    ///
    /// # Errors
    ///
    /// [`IoError`] when it cannot be read. What is wrong with the header is told by [`pages`](Self::pages).
    pub fn open(path: &Path) -> Result<Self, IoError> {
        let file = OsStorage.open_file(path, Access::Read).map_err(IoError::context("open", path))?;
        let read = || -> io::Result<(usize, Vec<u8>)> {
            let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
            let mut header = vec![0; HEADER_LEN];
            let read = file.read_at(&mut header, 0)?;
            header.truncate(read);
            Ok((len, header))
        };
        let (len, header) = read().map_err(IoError::context("read", path))?;
        let (first, second) = header.split_at(PAGE.min(header.len()));
        let identity = [first, second].iter().find_map(|page| Identity::decode(page).ok());
        let signature = identity.map(|identity| identity.signature());
        let pages = [page(first, 0, signature), page(second, PAGE as u64, signature)];
        Ok(Self { path: path.to_owned(), file, len, pages, signature })
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len as u64
    }

    /// Whether the file has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The two header pages.
    pub fn pages(&self) -> &[HeaderPage; 2] {
        &self.pages
    }

    /// What lies at `offset`, and where the next piece begins; `None` at the end, and when neither page identifies the
    /// segment, since no checksum can be checked then. The first piece begins at
    /// [`FIRST_PIECE`](Self::FIRST_PIECE).
    ///
    /// # Errors
    ///
    /// [`IoError`] when the file cannot be read there.
    pub fn piece_at(&self, offset: u64) -> Result<Option<(Piece, u64)>, IoError> {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        match self.signature.filter(|_| at < self.len) {
            Some(signature) => {
                self.piece(at, signature).map(Some).map_err(IoError::context("read", &self.path))
            }
            None => Ok(None),
        }
    }

    /// Where the first piece begins.
    pub const FIRST_PIECE: u64 = HEADER_LEN as u64;

    fn piece(&self, offset: usize, signature: Signature) -> io::Result<(Piece, u64)> {
        let mut bytes = vec![0; FIXED_HEADER_LEN];
        self.fill(&mut bytes, offset)?;
        let length = bytes.first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word)) as usize;
        bytes.resize(length.clamp(FIXED_HEADER_LEN, MAX_FRAME_LEN), 0);
        self.fill(&mut bytes, offset)?;
        let fault = match Frame::decode(&bytes, offset, signature, Check::All) {
            Ok(frame) => {
                let fields = FrameFields {
                    offset: offset as u64,
                    padded_len: frame.padded_len() as u64,
                    sequence: frame.sequence(),
                    time: frame.time(),
                    explicit_hash_key: frame.explicit_hash_key(),
                    rows: frame.rows().map(|rows| (rows.count, rows.schema_id)),
                    key: frame.key().to_vec(),
                    metadata: frame.metadata().to_vec(),
                    data: frame.data().to_vec(),
                };
                let next = fields.offset + fields.padded_len;
                return Ok((Piece::Frame(fields), next));
            }
            Err(fault) => fault,
        };
        let used = scan::last_nonzero(&*self.file, offset, self.len)?;
        let start = offset as u64;
        if used == 0 {
            return Ok((Piece::Blank { offset: start, bytes: (self.len - offset) as u64 }, self.len as u64));
        }
        let next = scan::find_frame(&*self.file, signature, offset + FRAME_ALIGNMENT, self.len)?;
        let end =
            next.map_or((offset + used).next_multiple_of(FRAME_ALIGNMENT).min(self.len), |(next, _, _)| next);
        // Those of a header that was not stored yet, or of bytes that were never written.
        let reason = match fault {
            FrameFault::NeverWritten => "zeros, but more follows".to_owned(),
            fault => fault.to_string(),
        };
        Ok((Piece::NoFrame { offset: start, bytes: (end - offset) as u64, reason }, end as u64))
    }

    /// Reads what there is; the rest keeps its zeros, or is cut off.
    fn fill(&self, bytes: &mut Vec<u8>, offset: usize) -> io::Result<()> {
        let read = self.file.read_at(bytes, offset as u64)?;
        bytes.truncate(read);
        Ok(())
    }
}

fn page(bytes: &[u8], offset: u64, signature: Option<Signature>) -> HeaderPage {
    let identity = Identity::decode(bytes).map_err(|fault| fault.to_string());
    let identity = identity.map(|identity| IdentityFields {
        id: identity.id,
        ordinal: identity.ordinal,
        shard: identity.shard,
        capacity: identity.capacity,
        span: identity.span,
        created: identity.created,
    });
    let slot = bytes.get(SLOT_OFFSET..).and_then(|rest| rest.first_chunk::<SLOT_LEN>());
    let slot = match (slot, signature) {
        (Some(slot), Some(signature)) => match Slot::decode(slot, signature) {
            SlotFact::Blank => None,
            SlotFact::Valid(slot) => Some(Ok(fields(&slot))),
            SlotFact::Damaged => Some(Err("its checksum does not fit".to_owned())),
        },
        (Some(_), None) => {
            Some(Err("it cannot be checked, since neither page says which segment this is".to_owned()))
        }
        (None, _) => Some(Err("the file ends before it".to_owned())),
    };
    HeaderPage { offset, identity, slot }
}

fn fields(slot: &Slot) -> SlotFields {
    SlotFields {
        generation: slot.generation,
        state: match slot.state {
            SlotState::Open => "open",
            SlotState::Clean => "clean",
            SlotState::Sealed => "sealed",
        },
        base: slot.base,
        end: slot.end,
        next: slot.next,
        frames: slot.frames,
        first_time: slot.first_time,
        last_time: slot.last_time,
        successor_base: slot.successor_base,
        trim: slot.trim,
    }
}
