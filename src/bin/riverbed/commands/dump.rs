//! `riverbed dump`.

use std::path::{Path, PathBuf};

use riverbed::internals::dump::{FrameFields, HeaderPage, Piece, SegmentDump, SlotFields};
use riverbed::{SequenceNumber, ShardId};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::record_format::hex_dump;
use crate::{Outcome, units, values};

#[derive(Debug, clap::Args)]
#[command(after_help = "docs/FORMAT.md says what the fields are.\n\nExamples:\n  \
                        riverbed dump data/streams/clicks/shard-000000/00000000000000000000.segment\n  \
                        riverbed --store data dump clicks --shard 0 --segment 0 --data")]
pub(crate) struct Args {
    /// The file of a segment, or a stream's name with --shard and --segment
    segment: PathBuf,
    /// The shard: its number or id
    #[arg(long, value_parser = values::shard, requires = "ordinal")]
    shard: Option<ShardId>,
    /// The segment's ordinal in the shard
    #[arg(long = "segment", id = "ordinal", value_name = "ORDINAL", requires = "shard")]
    ordinal: Option<u64>,
    /// Show metadata and data in hexadecimal, too
    #[arg(long)]
    data: bool,
}

#[derive(Serialize)]
struct HeaderJson<'a> {
    path: &'a Path,
    file_bytes: u64,
    pages: Vec<PageJson>,
}

#[derive(Serialize)]
struct PageJson {
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<SlotJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_fault: Option<String>,
}

#[derive(Serialize)]
struct IdentityJson {
    id: String,
    ordinal: u64,
    shard: u32,
    capacity: u64,
    span: u64,
    created: String,
}

#[derive(Serialize)]
struct SlotJson {
    generation: u64,
    state: &'static str,
    base: u64,
    end: u64,
    next: u64,
    frames: u64,
    first_time: String,
    last_time: String,
    successor_base: u64,
    trim: u64,
}

/// A piece behind the header: one line each.
#[derive(Serialize)]
#[serde(tag = "piece", rename_all = "kebab-case")]
enum PieceJson {
    Frame {
        offset: u64,
        bytes: u64,
        sequence_counter: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        sequence_number: Option<String>,
        arrival_time: String,
        partition_key: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        explicit_hash_key: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rows: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        schema_id: Option<u32>,
        metadata_bytes: usize,
        data_bytes: usize,
    },
    NoFrame {
        offset: u64,
        bytes: u64,
        reason: String,
    },
    Blank {
        offset: u64,
        bytes: u64,
    },
}

pub(crate) fn run(store: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let path = match (args.shard, args.ordinal) {
        (Some(shard), Some(ordinal)) => store
            .join("streams")
            .join(&args.segment)
            .join(format!("shard-{:06}", shard.as_u32()))
            .join(format!("{ordinal:020}.segment")),
        _ => args.segment.clone(),
    };
    let segment = SegmentDump::open(&path)?;
    let shard = segment.pages().iter().find_map(|page| Some(page.identity.as_ref().ok()?.shard));
    let mut outcome = Outcome::Fine;
    let pages: Vec<_> = segment.pages().iter().map(PageJson::new).collect();
    if pages.iter().any(PageJson::is_wrong) {
        outcome = Outcome::NotFine;
    }
    let header = HeaderJson { path: &path, file_bytes: segment.len(), pages };
    if out.is_json() { out.json_line(&header) } else { header.write(out) }?;
    let mut offset = SegmentDump::FIRST_PIECE;
    while let Some((piece, next)) = segment.piece_at(offset)? {
        if matches!(piece, Piece::NoFrame { .. }) {
            outcome = Outcome::NotFine;
        }
        if out.is_json() {
            out.json_line(&PieceJson::new(&piece, shard))?;
        } else {
            write_piece(&piece, shard, args.data, out)?;
        }
        offset = next;
    }
    Ok(outcome)
}

fn number(frame: &FrameFields, shard: Option<u32>) -> Option<SequenceNumber> {
    SequenceNumber::try_from(u128::from(frame.sequence) << 32 | u128::from(shard?)).ok()
}

impl PageJson {
    fn new(page: &HeaderPage) -> Self {
        let identity = page.identity.as_ref().ok().map(|identity| IdentityJson {
            id: identity.id.iter().map(|byte| format!("{byte:02x}")).collect(),
            ordinal: identity.ordinal,
            shard: identity.shard,
            capacity: identity.capacity,
            span: identity.span,
            created: units::time(identity.created),
        });
        let slot = page.slot.as_ref();
        Self {
            offset: page.offset,
            fault: page.identity.as_ref().err().cloned(),
            identity,
            slot: slot.and_then(|slot| slot.as_ref().ok()).map(SlotJson::new),
            slot_fault: slot.and_then(|slot| slot.as_ref().err()).cloned(),
        }
    }

    fn is_wrong(&self) -> bool {
        self.fault.is_some() || self.slot_fault.is_some()
    }
}

impl SlotJson {
    fn new(slot: &SlotFields) -> Self {
        Self {
            generation: slot.generation,
            state: slot.state,
            base: slot.base,
            end: slot.end,
            next: slot.next,
            frames: slot.frames,
            first_time: units::time(slot.first_time),
            last_time: units::time(slot.last_time),
            successor_base: slot.successor_base,
            trim: slot.trim,
        }
    }
}

impl HeaderJson<'_> {
    fn write(&self, out: &mut Output) -> Result<(), CliError> {
        out.heading(&format!("{}, {} bytes", self.path.display(), units::count(self.file_bytes)))?;
        for page in &self.pages {
            let at = page.offset;
            match (&page.identity, &page.fault) {
                (Some(id), _) => out.line(&format!(
                    "{at:>10}  identity: shard {} ordinal {} capacity {} span {} created {} id {}",
                    id.shard, id.ordinal, id.capacity, id.span, id.created, id.id
                ))?,
                (None, fault) => {
                    out.alarm(&format!("{at:>10}  no identity: {}", fault.as_deref().unwrap_or("?")))?;
                }
            }
            let at = at + 512;
            match (&page.slot, &page.slot_fault) {
                (Some(slot), _) => out.line(&format!(
                    "{at:>10}  slot: generation {} {} base {} end {} next {} frames {} last {} successor {} trim {}",
                    slot.generation,
                    slot.state,
                    slot.base,
                    slot.end,
                    slot.next,
                    slot.frames,
                    slot.last_time,
                    slot.successor_base,
                    slot.trim
                ))?,
                (None, Some(fault)) => out.alarm(&format!("{at:>10}  slot: {fault}"))?,
                (None, None) => out.line(&format!("{at:>10}  slot: never written"))?,
            }
        }
        Ok(())
    }
}

impl PieceJson {
    fn new(piece: &Piece, shard: Option<u32>) -> Self {
        match piece {
            Piece::Frame(frame) => Self::Frame {
                offset: frame.offset,
                bytes: frame.padded_len,
                sequence_counter: frame.sequence,
                sequence_number: number(frame, shard).map(|number| number.to_string()),
                arrival_time: units::time(frame.time),
                partition_key: String::from_utf8_lossy(&frame.key).into_owned(),
                explicit_hash_key: frame.explicit_hash_key.map(|hash_key| hash_key.to_string()),
                rows: frame.rows.map(|(count, _)| count),
                schema_id: frame.rows.map(|(_, schema_id)| schema_id),
                metadata_bytes: frame.metadata.len(),
                data_bytes: frame.data.len(),
            },
            Piece::NoFrame { offset, bytes, reason } => {
                Self::NoFrame { offset: *offset, bytes: *bytes, reason: reason.clone() }
            }
            Piece::Blank { offset, bytes } => Self::Blank { offset: *offset, bytes: *bytes },
        }
    }
}

fn write_piece(piece: &Piece, shard: Option<u32>, data: bool, out: &mut Output) -> Result<(), CliError> {
    let frame = match piece {
        Piece::Frame(frame) => frame,
        Piece::NoFrame { offset, bytes, reason } => {
            return out.alarm(&format!("{offset:>10}  {bytes} bytes that are no frame: {reason}"));
        }
        Piece::Blank { offset, bytes } => {
            return out.line(&format!("{offset:>10}  {bytes} zeros to the end"));
        }
    };
    let number = number(frame, shard).map_or_else(|| "?".to_owned(), |number| number.to_string());
    let key = String::from_utf8_lossy(&frame.key);
    let mut line = format!(
        "{:>10}  frame of {} bytes: counter {} number {number} at {} key {key:?} data {}",
        frame.offset,
        frame.padded_len,
        frame.sequence,
        units::time(frame.time),
        frame.data.len()
    );
    if let Some((count, schema_id)) = frame.rows {
        line.push_str(&format!(" rows {count} schema {schema_id}"));
    }
    if let Some(hash_key) = frame.explicit_hash_key {
        line.push_str(&format!(" hash key {hash_key}"));
    }
    if !frame.metadata.is_empty() {
        line.push_str(&format!(" metadata {}", frame.metadata.len()));
    }
    out.line(&line)?;
    if data {
        hex_dump(&frame.metadata, out)?;
        hex_dump(&frame.data, out)?;
    }
    Ok(())
}
