//! Encapsulated messages of Arrow IPC: finding them in bytes.

use arrow_buffer::Buffer;
use arrow_ipc::{Message, MessageHeader};

use super::decode::DecodeError;

/// Marks the beginning of each message.
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];
/// Bytes of marker and length.
pub(super) const PREFIX_LEN: usize = 8;
/// What ends a stream: a message without metadata.
pub(super) const END_OF_STREAM: [u8; PREFIX_LEN] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// One encapsulated message.
pub(super) struct Encapsulated<'a> {
    pub(super) message: Message<'a>,
    pub(super) body: Buffer,
    /// Bytes before the body.
    pub(super) head_len: usize,
    /// Bytes of the whole.
    pub(super) len: usize,
}

/// The message at `offset` of `data`.
pub(super) fn message_at(data: &Buffer, offset: usize) -> Result<Encapsulated<'_>, DecodeError> {
    let bad = |reason: &str| DecodeError::Message { offset, reason: reason.to_owned() };
    let bytes = data.as_slice().get(offset..).unwrap_or_default();
    let prefix = bytes.first_chunk().ok_or_else(|| bad("it ends in its prefix"))?;
    let metadata_len = metadata_len(prefix).ok_or_else(|| bad("it does not begin with ff ff ff ff"))?;
    let head_len = PREFIX_LEN + metadata_len;
    let metadata = bytes.get(PREFIX_LEN..head_len).ok_or_else(|| bad("its metadata are cut off"))?;
    let (message, body_len) = parse(metadata).map_err(|reason| bad(&reason))?;
    let available = bytes.len() - head_len;
    if body_len > available {
        return Err(DecodeError::CutOff { len: body_len, available });
    }
    let body = data.slice_with_length(offset + head_len, body_len);
    Ok(Encapsulated { message, body, head_len, len: head_len + body_len })
}

/// Bytes of the metadata that follow a prefix; `None` for what is no prefix.
pub(super) fn metadata_len(prefix: &[u8; PREFIX_LEN]) -> Option<usize> {
    let length = prefix.strip_prefix(&CONTINUATION)?.first_chunk()?;
    usize::try_from(i32::from_le_bytes(*length)).ok()
}

/// Metadata as a message, and the length of the body that follows.
pub(super) fn parse(metadata: &[u8]) -> Result<(Message<'_>, usize), String> {
    let message = arrow_ipc::root_as_message(metadata).map_err(|error| error.to_string())?;
    match usize::try_from(message.bodyLength()) {
        Ok(body_len) => Ok((message, body_len)),
        Err(_) => Err(format!("its body has {} bytes", message.bodyLength())),
    }
}

/// The dictionary that a message has, if it has one.
pub(super) fn dictionary_id(message: &Message<'_>) -> Option<i64> {
    match message.header_type() {
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().map(|batch| batch.id()),
        _ => None,
    }
}
