//! Arrow IPC, as it is written: the stream format and the file format.

use std::collections::BTreeMap;
use std::io::{self, Write};

use arrow_buffer::Buffer;
use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::writer::DictionaryTracker;
use arrow_ipc::{Block, FooterBuilder, MetadataVersion};
use arrow_schema::Schema;
use bytes::Bytes;
use flatbuffers::FlatBufferBuilder;

use super::decode::DecodeError;
use super::message::{END_OF_STREAM, Encapsulated, dictionary_id, message_at};

/// How Arrow IPC is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IpcFormat {
    /// Messages in a row, to be read from the beginning: `.arrows`.
    #[default]
    Stream,
    /// The same with an index at its end: `.arrow`, Feather version 2. It holds each dictionary once.
    File,
}

/// Begins and ends a file.
pub(super) const MAGIC: &[u8; 6] = b"ARROW1";
/// Messages lie on such boundaries.
const ALIGNMENT: usize = 64;

/// Why messages were not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("dictionary {id} has changed")]
    DictionaryChanged { id: i64 },
    #[error("more than a file can hold")]
    TooLong,
}

/// A stream or a file that is being written.
pub(super) struct IpcSink<W> {
    out: W,
    format: IpcFormat,
    /// Bytes written.
    written: u64,
    /// The dictionaries as they were written last, by their ids.
    dictionaries: BTreeMap<i64, Buffer>,
    dictionary_blocks: Vec<Block>,
    batch_blocks: Vec<Block>,
}

impl<W: Write> IpcSink<W> {
    /// Begins with the schema of which this is the message.
    pub(super) fn new(out: W, format: IpcFormat, schema: &Bytes) -> io::Result<Self> {
        let mut sink = Self {
            out,
            format,
            written: 0,
            dictionaries: BTreeMap::new(),
            dictionary_blocks: Vec::new(),
            batch_blocks: Vec::new(),
        };
        if format == IpcFormat::File {
            let mut start = [0; ALIGNMENT];
            if let Some(magic) = start.first_chunk_mut() {
                *magic = *MAGIC;
            }
            sink.put(&start)?;
        }
        sink.put(schema)?;
        Ok(sink)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes messages that lie together, as they lie in the log: dictionaries, then rows.
    pub(super) fn copy(&mut self, messages: &Buffer) -> Result<(), SinkError> {
        let mut offset = 0;
        while offset < messages.len() {
            let Encapsulated { message, head_len, len, .. } = message_at(messages, offset)?;
            let dictionary = dictionary_id(&message);
            let bytes = messages.slice_with_length(offset, len);
            if self.admit(dictionary, &bytes)? {
                self.note(dictionary.is_some(), head_len, len)?;
                self.put(&bytes)?;
            }
            offset += len;
        }
        Ok(())
    }

    /// Writes the messages of one batch that lie in pieces.
    pub(super) fn gather(&mut self, pieces: &[Buffer], has_dictionaries: bool) -> Result<(), SinkError> {
        if has_dictionaries {
            // Whether a dictionary was written before is asked of its bytes.
            let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.as_slice()).copied().collect();
            return self.copy(&Buffer::from_vec(whole));
        }
        let head_len = head_len(pieces).ok_or(DecodeError::Unexpected)?;
        let len = pieces.iter().map(Buffer::len).sum();
        self.note(false, head_len, len)?;
        for piece in pieces {
            self.put(piece)?;
        }
        Ok(())
    }

    /// Whether a message is to be written: a dictionary that stands there already is not.
    fn admit(&mut self, dictionary: Option<i64>, bytes: &Buffer) -> Result<bool, SinkError> {
        let Some(id) = dictionary else {
            return Ok(true);
        };
        match self.dictionaries.get(&id) {
            Some(before) if before.as_slice() == bytes.as_slice() => return Ok(false),
            Some(_) if self.format == IpcFormat::File => return Err(SinkError::DictionaryChanged { id }),
            _ => {}
        }
        self.dictionaries.insert(id, bytes.clone());
        Ok(true)
    }

    /// Notes for the index at the end of a file what is written next.
    fn note(&mut self, is_dictionary: bool, head_len: usize, len: usize) -> Result<(), SinkError> {
        if self.format == IpcFormat::File {
            let offset = i64::try_from(self.written).map_err(|_| SinkError::TooLong)?;
            let head = i32::try_from(head_len).map_err(|_| SinkError::TooLong)?;
            let body = i64::try_from(len - head_len).map_err(|_| SinkError::TooLong)?;
            let blocks = if is_dictionary { &mut self.dictionary_blocks } else { &mut self.batch_blocks };
            blocks.push(Block::new(offset, head, body));
        }
        Ok(())
    }

    /// Ends the stream or the file. Returns the bytes of the whole.
    pub(super) fn finish(mut self, schema: &Schema) -> Result<u64, SinkError> {
        self.put(&END_OF_STREAM)?;
        if self.format == IpcFormat::File {
            let footer = self.footer(schema);
            let len = i32::try_from(footer.len()).map_err(|_| SinkError::TooLong)?;
            self.put(&footer)?;
            self.put(&len.to_le_bytes())?;
            self.put(MAGIC)?;
        }
        self.out.flush()?;
        Ok(self.written)
    }

    fn footer(&self, schema: &Schema) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let dictionaries = builder.create_vector(&self.dictionary_blocks);
        let batches = builder.create_vector(&self.batch_blocks);
        let mut tracker = DictionaryTracker::new(true);
        let schema = IpcSchemaEncoder::new()
            .with_dictionary_tracker(&mut tracker)
            .schema_to_fb_offset(&mut builder, schema);
        let mut footer = FooterBuilder::new(&mut builder);
        footer.add_version(MetadataVersion::V5);
        footer.add_schema(schema);
        footer.add_dictionaries(dictionaries);
        footer.add_recordBatches(batches);
        let footer = footer.finish();
        builder.finish(footer, None);
        builder.finished_data().to_vec()
    }
}

/// Bytes before the body of a message that lies in pieces, the first of which is its prefix.
fn head_len(pieces: &[Buffer]) -> Option<usize> {
    let prefix = pieces.first()?.as_slice().first_chunk()?;
    Some(super::message::PREFIX_LEN + super::message::metadata_len(prefix)?)
}
