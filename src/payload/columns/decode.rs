//! A record's messages, as a batch over the same bytes.

use std::collections::HashMap;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_data::UnsafeFlag;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary_impl};
use arrow_ipc::{Message, MessageHeader, RecordBatch as Header};
use arrow_schema::{ArrowError, SchemaRef};

/// Marks the beginning of each message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Bytes of marker and length.
const PREFIX_LEN: usize = 8;

/// Why bytes are not the messages of a batch.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("no IPC message at byte {offset}: {reason}")]
    Message { offset: usize, reason: String },
    #[error("a message of {len} bytes where {available} are left")]
    CutOff { len: u64, available: usize },
    #[error("a buffer or a column that does not lie in its message")]
    OutOfBounds,
    #[error("no record batch, or more than one")]
    Count,
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// One encapsulated message.
struct Encapsulated<'a> {
    message: Message<'a>,
    body: Buffer,
    /// Bytes of the whole.
    len: usize,
}

/// Decodes the batch that `data` hold: dictionaries, then rows. The arrays share the bytes of `data`.
///
/// Unless `skip` says that the bytes were validated before, nothing is taken for granted.
pub(super) fn decode(
    data: &Buffer,
    schema: &SchemaRef,
    projection: Option<&[usize]>,
    skip: &UnsafeFlag,
) -> Result<RecordBatch, DecodeError> {
    let mut dictionaries: HashMap<i64, ArrayRef> = HashMap::new();
    let mut offset = 0;
    loop {
        let Encapsulated { message, body, len } = message_at(data, offset)?;
        let version = message.version();
        match message.header_type() {
            MessageHeader::DictionaryBatch => {
                let batch = message.header_as_dictionary_batch().ok_or(DecodeError::Count)?;
                if !skip.get() {
                    check_bounds(&batch.data().ok_or(DecodeError::Count)?, &body)?;
                }
                read_dictionary_impl(&body, batch, schema, &mut dictionaries, &version, true, skip.clone())?;
            }
            MessageHeader::RecordBatch => {
                let batch = message.header_as_record_batch().ok_or(DecodeError::Count)?;
                if !skip.get() {
                    check_bounds(&batch, &body)?;
                    if offset + len != data.len() {
                        return Err(DecodeError::Count);
                    }
                }
                let decoder = RecordBatchDecoder::try_new(
                    &body,
                    batch,
                    SchemaRef::clone(schema),
                    &dictionaries,
                    &version,
                )?;
                return Ok(decoder
                    .with_projection(projection)
                    .with_require_alignment(true)
                    .with_skip_validation(skip.clone())
                    .read_record_batch()?);
            }
            _ => return Err(DecodeError::Count),
        }
        offset += len;
    }
}

/// The message at `offset`.
fn message_at(data: &Buffer, offset: usize) -> Result<Encapsulated<'_>, DecodeError> {
    let bad = |reason: &str| DecodeError::Message { offset, reason: reason.to_owned() };
    let bytes = data.as_slice().get(offset..).unwrap_or_default();
    let rest = bytes.strip_prefix(&CONTINUATION).ok_or_else(|| bad("it does not begin with ff ff ff ff"))?;
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| bad("its length is missing"))?;
    let metadata_len = u32::from_le_bytes(*length) as usize;
    let metadata = rest.get(..metadata_len).ok_or_else(|| bad("its metadata are cut off"))?;
    let message = arrow_ipc::root_as_message(metadata).map_err(|error| bad(&error.to_string()))?;
    let body_start = offset + PREFIX_LEN + metadata_len;
    let available = data.len() - body_start;
    let body_len = usize::try_from(message.bodyLength()).ok().filter(|&len| len <= available);
    let Some(body_len) = body_len else {
        return Err(DecodeError::CutOff { len: message.bodyLength().unsigned_abs(), available });
    };
    Ok(Encapsulated {
        message,
        body: data.slice_with_length(body_start, body_len),
        len: PREFIX_LEN + metadata_len + body_len,
    })
}

/// Checks what Arrow takes for granted: that every buffer lies in the body, and that lengths are lengths.
fn check_bounds(batch: &Header<'_>, body: &Buffer) -> Result<(), DecodeError> {
    let fits = |buffer: &arrow_ipc::Buffer| {
        let start = usize::try_from(buffer.offset()).ok();
        let end = start.and_then(|start| start.checked_add(usize::try_from(buffer.length()).ok()?));
        end.is_some_and(|end| end <= body.len())
    };
    let is_length = |length: i64| (0..=i64::from(u32::MAX)).contains(&length);
    let node_fits = |node: &arrow_ipc::FieldNode| {
        is_length(node.length()) && is_length(node.null_count()) && node.null_count() <= node.length()
    };
    let whole = batch.buffers().is_some_and(|buffers| buffers.iter().all(fits))
        && batch.nodes().is_some_and(|nodes| nodes.iter().all(node_fits))
        && is_length(batch.length())
        && batch.compression().is_none();
    if whole { Ok(()) } else { Err(DecodeError::OutOfBounds) }
}
