//! Arrow IPC into a stream.

use std::io::{self, Read};
use std::iter;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::root_as_footer;
use arrow_schema::SchemaRef;

use crate::stream::put::Key;

use super::Columns;
use super::decode::{DecodeError, Decoder};
use super::ipc_sink::MAGIC;
use super::message::{Encapsulated, PREFIX_LEN, message_at, metadata_len, parse};
use super::put::PutBatch;
use super::rows_in::PutRowsError;
use super::structure::check_schema;

pub(super) const FORMAT: &str = "Arrow IPC";

/// The most bytes of a message's metadata: what is longer is no Arrow IPC, or no sensible one.
const MAX_METADATA_LEN: usize = 64 << 20;

impl Columns {
    /// Puts all batches of an Arrow IPC stream or file, which of the two is seen from its first bytes, under one key. A file is
    /// read as a stream, too, without its index, unless it has its schema there alone, as those of Polars: that is first read
    /// whole. Reads in small pieces: give it a [`BufReader`](std::io::BufReader).
    ///
    /// # Errors
    ///
    /// [`PutRowsError`]. A stream that ends between two messages is taken as whole, as other readers of Arrow do.
    pub fn put_ipc<'k>(&self, key: impl Into<Key<'k>>, source: impl Read) -> Result<PutBatch, PutRowsError> {
        let mut source = IpcSource::new(source).map_err(|error| error.after(PutBatch::default()))?;
        self.put_rows(key.into(), iter::from_fn(|| source.next().transpose()), SourceError::after)
    }
}

/// Batches of an IPC stream or file, decoded with nothing taken for granted.
#[derive(Debug)]
pub(super) struct IpcSource<R> {
    messages: Messages<R>,
    decoder: Decoder,
}

/// Where messages come from.
#[derive(Debug)]
enum Messages<R> {
    /// One after the other.
    Stream(R),
    /// A whole file, and where the messages are that its index names, in the order in which they are needed.
    File {
        bytes: Buffer,
        offsets: std::vec::IntoIter<usize>,
    },
    Ended,
}

/// Why there is no further batch.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Malformed(String),
}

impl SourceError {
    fn after(self, put: PutBatch) -> PutRowsError {
        match self {
            Self::Io(source) => PutRowsError::Read { source, put },
            Self::Malformed(reason) => PutRowsError::Malformed { format: FORMAT, reason, put },
        }
    }
}

impl From<DecodeError> for SourceError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl<R: Read> IpcSource<R> {
    /// Reads the schema.
    pub(super) fn new(mut source: R) -> Result<Self, SourceError> {
        let missing = || SourceError::Malformed("there is no schema".to_owned());
        let mut prefix = [0; PREFIX_LEN];
        if !fill(&mut source, &mut prefix)? {
            return Err(missing());
        }
        if prefix.starts_with(MAGIC) {
            let mut read = prefix.to_vec();
            // Zeros up to the first message.
            prefix = [0; PREFIX_LEN];
            while prefix == [0; PREFIX_LEN] {
                if !fill(&mut source, &mut prefix)? {
                    return Err(missing());
                }
                read.extend_from_slice(&prefix);
            }
            if metadata_len(&prefix).is_none() {
                // Polars leaves the message out, and has the schema in the index alone.
                return Self::of_file(read, source);
            }
        }
        let metadata = read_metadata(&mut source, &prefix)?.ok_or_else(missing)?;
        let (message, _) = parse(&metadata).map_err(SourceError::Malformed)?;
        let decoder = Decoder::foreign(schema_of(message.header_as_schema())?);
        Ok(Self { messages: Messages::Stream(source), decoder })
    }

    /// Reads a file that has to be read by its index; `read` are its first bytes.
    fn of_file(mut read: Vec<u8>, mut source: R) -> Result<Self, SourceError> {
        let malformed = |reason: &str| SourceError::Malformed(reason.to_owned());
        source.read_to_end(&mut read)?;
        let (rest, end) = read.split_last_chunk::<10>().ok_or_else(|| malformed("it is too short"))?;
        let footer_len = read_footer_length(*end).map_err(|error| malformed(&error.to_string()))?;
        let start = rest.len().checked_sub(footer_len);
        let footer =
            start.and_then(|start| rest.get(start..)).ok_or_else(|| malformed("its index is cut off"))?;
        let footer = root_as_footer(footer).map_err(|error| malformed(&error.to_string()))?;
        let decoder = Decoder::foreign(schema_of(footer.schema())?);
        let blocks = footer.dictionaries().into_iter().chain(footer.recordBatches());
        let offsets = blocks.flatten().map(|block| usize::try_from(block.offset()));
        let offsets = offsets.collect::<Result<Vec<_>, _>>();
        let offsets = offsets.map_err(|_| malformed("its index points before its beginning"))?.into_iter();
        Ok(Self { messages: Messages::File { bytes: Buffer::from_vec(read), offsets }, decoder })
    }

    /// The next batch.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        loop {
            let batch = match &mut self.messages {
                Messages::Ended => return Ok(None),
                Messages::File { bytes, offsets } => {
                    let Some(offset) = offsets.next() else {
                        return Ok(None);
                    };
                    let Encapsulated { message, body, .. } = message_at(bytes, offset)?;
                    self.decoder.take(&message, &body, None)?
                }
                Messages::Stream(source) => {
                    let mut prefix = [0; PREFIX_LEN];
                    let metadata = match fill(source, &mut prefix)? {
                        true => read_metadata(source, &prefix)?,
                        false => None,
                    };
                    let Some(metadata) = metadata else {
                        self.messages = Messages::Ended;
                        return Ok(None);
                    };
                    let (message, body_len) = parse(&metadata).map_err(SourceError::Malformed)?;
                    let body = read_body(source, body_len)?;
                    self.decoder.take(&message, &body, None)?
                }
            };
            if batch.is_some() {
                return Ok(batch);
            }
        }
    }
}

fn schema_of(schema: Option<arrow_ipc::Schema<'_>>) -> Result<SchemaRef, SourceError> {
    let schema = schema.ok_or_else(|| SourceError::Malformed("its first message is no schema".to_owned()))?;
    let schema = try_fb_to_schema(schema).map_err(|error| SourceError::Malformed(error.to_string()))?;
    check_schema(&schema).map_err(SourceError::Malformed)?;
    Ok(Arc::new(schema))
}

/// Fills `bytes`; `false` when the source ends before the first of them.
fn fill(source: &mut impl Read, bytes: &mut [u8; PREFIX_LEN]) -> Result<bool, SourceError> {
    let mut filled = Vec::with_capacity(bytes.len());
    source.by_ref().take(bytes.len() as u64).read_to_end(&mut filled)?;
    match filled.first_chunk() {
        Some(all) => {
            *bytes = *all;
            Ok(true)
        }
        None if filled.is_empty() => Ok(false),
        None => Err(cut_off()),
    }
}

/// The metadata behind a prefix; `None` for the end of the stream.
fn read_metadata(source: &mut impl Read, prefix: &[u8; PREFIX_LEN]) -> Result<Option<Vec<u8>>, SourceError> {
    match metadata_len(prefix) {
        Some(0) => Ok(None),
        Some(len) if len <= MAX_METADATA_LEN => read_exactly(source, len).map(Some),
        Some(len) => Err(SourceError::Malformed(format!("a message has {len} bytes of metadata"))),
        None => Err(SourceError::Malformed(format!("a message begins with {prefix:02x?}"))),
    }
}

/// Reads `len` bytes, which the source claims to have: memory is taken as they come.
fn read_exactly(source: &mut impl Read, len: usize) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    source.by_ref().take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() == len { Ok(bytes) } else { Err(cut_off()) }
}

/// Reads a body to where Arrow's buffers lie, so that what is aligned in it is aligned in memory. Memory is taken as the bytes
/// come, whatever length the source claims.
fn read_body(source: &mut impl Read, len: usize) -> Result<Buffer, SourceError> {
    const AT_ONCE: usize = 1 << 20;
    let mut body = MutableBuffer::with_capacity(len.min(AT_ONCE));
    let mut read = 0;
    while read < len {
        body.resize(len.min(read.saturating_mul(2).max(AT_ONCE)), 0);
        let free = body.as_slice_mut().get_mut(read..).unwrap_or_default();
        source.read_exact(free).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => cut_off(),
            _ => SourceError::Io(error),
        })?;
        read = body.len();
    }
    Ok(body.into())
}

fn cut_off() -> SourceError {
    SourceError::Malformed("it ends in the middle of a message".to_owned())
}
