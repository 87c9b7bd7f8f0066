//! Messages, as a batch over the same bytes.

use std::collections::HashMap;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_data::UnsafeFlag;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary_impl};
use arrow_ipc::{Message, MessageHeader, MetadataVersion, RecordBatch as Header};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use super::message::{Encapsulated, message_at};
use super::structure::check_rows;

/// Why bytes are not the messages of a batch.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("no IPC message at byte {offset}: {reason}")]
    Message { offset: usize, reason: String },
    #[error("a message with a body of {len} bytes where {available} are left")]
    CutOff { len: usize, available: usize },
    #[error("buffers or columns that do not lie in their message, or are not those of the schema")]
    Structure,
    #[error("compressed buffers, which this build cannot read: build it with the feature arrow-compression")]
    Compressed,
    #[error("a message that is neither a dictionary nor rows, or bytes behind the last one")]
    Unexpected,
    #[error(transparent)]
    Arrow(#[from] ArrowError),
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
    let mut decoder = Decoder::new(SchemaRef::clone(schema), skip.clone());
    let mut offset = 0;
    loop {
        let Encapsulated { message, body, len, .. } = message_at(data, offset)?;
        offset += len;
        match decoder.take(&message, &body, projection)? {
            Some(_) if offset != data.len() => return Err(DecodeError::Unexpected),
            Some(batch) => return Ok(batch),
            None => {}
        }
    }
}

/// Decodes messages of one schema, one after the other.
#[derive(Debug)]
pub(super) struct Decoder {
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
    skip: UnsafeFlag,
    /// The messages come from elsewhere: their buffers may be compressed, or lie on boundaries that ask for a copy.
    foreign: bool,
}

impl Decoder {
    /// For messages in the log.
    fn new(schema: SchemaRef, skip: UnsafeFlag) -> Self {
        Self { schema, dictionaries: HashMap::new(), skip, foreign: false }
    }

    /// For messages of anybody.
    pub(super) fn foreign(schema: SchemaRef) -> Self {
        Self { foreign: true, ..Self::new(schema, UnsafeFlag::new()) }
    }

    /// Takes in a dictionary, or decodes rows.
    pub(super) fn take(
        &mut self,
        message: &Message<'_>,
        body: &Buffer,
        projection: Option<&[usize]>,
    ) -> Result<Option<RecordBatch>, DecodeError> {
        let version = message.version();
        // Nothing in a body is on a boundary that the body is not on.
        let aligned = (!self.skip.get() && body.as_ptr().align_offset(size_of::<u64>()) != 0)
            .then(|| Buffer::from_slice_ref(body));
        let body = aligned.as_ref().unwrap_or(body);
        match message.header_type() {
            MessageHeader::DictionaryBatch => {
                let batch = message.header_as_dictionary_batch().ok_or(DecodeError::Unexpected)?;
                if !self.skip.get() {
                    let values = self.values_of(batch.id())?;
                    let rows = batch.data().ok_or(DecodeError::Unexpected)?;
                    self.check(&rows, version, body, std::iter::once(&values))?;
                }
                read_dictionary_impl(
                    body,
                    batch,
                    &self.schema,
                    &mut self.dictionaries,
                    &version,
                    !self.foreign,
                    self.skip.clone(),
                )?;
                Ok(None)
            }
            MessageHeader::RecordBatch => {
                let batch = message.header_as_record_batch().ok_or(DecodeError::Unexpected)?;
                let fields = self.schema.fields().iter().map(|field| field.data_type());
                self.check(&batch, version, body, fields)?;
                let schema = SchemaRef::clone(&self.schema);
                let decoder = RecordBatchDecoder::try_new(body, batch, schema, &self.dictionaries, &version)?;
                let batch = decoder
                    .with_projection(projection)
                    .with_require_alignment(!self.foreign)
                    .with_skip_validation(self.skip.clone())
                    .read_record_batch()?;
                Ok(Some(batch))
            }
            _ => Err(DecodeError::Unexpected),
        }
    }

    /// Checks what Arrow takes for granted.
    fn check<'f>(
        &self,
        batch: &Header<'_>,
        version: MetadataVersion,
        body: &Buffer,
        fields: impl Iterator<Item = &'f DataType>,
    ) -> Result<(), DecodeError> {
        if self.skip.get() {
            return Ok(());
        }
        if batch.compression().is_some() && !(self.foreign && cfg!(feature = "arrow-compression")) {
            return Err(DecodeError::Compressed);
        }
        check_rows(batch, version, body, fields).ok_or(DecodeError::Structure)
    }

    /// The type of the values of a dictionary.
    fn values_of(&self, id: i64) -> Result<DataType, DecodeError> {
        #[expect(deprecated, reason = "the ids that the messages have are known nowhere else")]
        let fields = self.schema.fields_with_dict_id(id);
        match fields.first().map(|field| field.data_type()) {
            Some(DataType::Dictionary(_, values)) => Ok((**values).clone()),
            _ => Err(DecodeError::Unexpected),
        }
    }
}
