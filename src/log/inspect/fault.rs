//! What can be wrong with the files of a store.

use std::fmt;
use std::path::{Path, PathBuf};

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something derived, which is made anew when it is needed. No record depends on it.
    Derived,
    /// What a process or a machine that stopped leaves behind: bytes that were never acknowledged as durable. Opening the
    /// store deals with it. A store that is being written to may show this for a moment.
    UnacknowledgedTail,
    /// Bytes are not what was written, or are gone.
    Damage,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FaultKind {
    /// `store.json` is missing or damaged.
    StoreManifest,
    /// A `stream.json` is missing or damaged. The stream cannot be opened.
    StreamManifest,
    /// Written by a newer version of this library, which this one cannot check.
    NewerFormat,
    /// The operating system could not read it.
    Unreadable,
    /// One of the two pages that identify a segment is damaged; the other will do.
    HeaderPage,
    /// Neither page identifies the segment: none of its records can be read.
    HeaderLost,
    /// One of the two slots that hold the watermark is damaged; the other will do.
    Slot,
    /// Both slots are damaged: how far the segment was durable is not known.
    WatermarkLost,
    /// The file is shorter than it was made.
    FileTooShort,
    /// Below the watermark there is something that is no whole record.
    Frame,
    /// A whole record whose number or time does not follow the one before.
    Order,
    /// The last durable record is not the one of which the slot speaks.
    Watermark,
    /// Something follows the end of a segment that was closed in good order.
    NotBlank,
    /// Bytes that are not part of the log follow its end.
    Tail,
    /// A segment's file is missing.
    MissingSegment,
    /// Durable records are missing between two segments.
    MissingRecords,
    /// A segment's numbers were used by the one before.
    Overlap,
    /// The file of a schema is damaged. The batches that have it cannot be read as columns.
    Schema,
    /// An index does not fit its segment.
    Index,
    /// A consumer's checkpoints are damaged. The consumer cannot be opened until it has been reset.
    Checkpoints,
    /// A file or directory that no store has, or that is not needed any more.
    Leftover,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StoreManifest => "the store's manifest",
            Self::StreamManifest => "a stream's manifest",
            Self::NewerFormat => "a newer format",
            Self::Unreadable => "unreadable",
            Self::HeaderPage => "one header page",
            Self::HeaderLost => "header lost",
            Self::Slot => "one slot",
            Self::WatermarkLost => "watermark lost",
            Self::FileTooShort => "file too short",
            Self::Frame => "not a record",
            Self::Order => "out of order",
            Self::Watermark => "watermark contradicted",
            Self::NotBlank => "not blank",
            Self::Tail => "tail",
            Self::MissingSegment => "segment missing",
            Self::MissingRecords => "records missing",
            Self::Overlap => "numbers used before",
            Self::Schema => "a schema",
            Self::Index => "index",
            Self::Checkpoints => "a consumer's checkpoints",
            Self::Leftover => "left over",
        })
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fault {
    /// The file or directory.
    pub path: PathBuf,
    /// Where in the file, in bytes; 0 when it is the file as a whole.
    pub offset: u64,
    /// What is wrong.
    pub kind: FaultKind,
    /// How bad that is.
    pub severity: Severity,
    /// The particulars: expected and found values, how many bytes.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}: {}", self.path.display(), self.offset, self.kind, self.detail)
    }
}

/// Faults, and how much was looked at.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) faults: Vec<Fault>,
    pub(crate) segments: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Segments that nothing can be read of and that a later one makes safe to take away: the shard's numbers go on above
    /// it.
    pub(crate) removable: Vec<PathBuf>,
}

impl Findings {
    pub(crate) fn add(
        &mut self,
        path: &Path,
        offset: usize,
        kind: FaultKind,
        severity: Severity,
        detail: impl fmt::Display,
    ) {
        let (path, offset, detail) = (path.to_owned(), offset as u64, detail.to_string());
        self.faults.push(Fault { path, offset, kind, severity, detail });
    }
}
