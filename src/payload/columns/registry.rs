//! The schemas that a handle knows, by id, and what encoding rows of them takes.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_schema_from_ipc_buffer;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::store::stream_handle::Stream;
use crate::stream::schemas::StoredSchema;

use super::compact::is_loose;
use super::evolution::Evolution;
use super::origin::Origin;
use super::schema_error::SchemaError;
use super::structure::check_schema;

/// Bytes of the marker that ends an IPC stream.
const END_OF_STREAM_LEN: usize = 8;

/// A schema with its id.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: u32,
    /// As it was stored. It has the ids of the dictionaries.
    pub(super) schema: SchemaRef,
    /// The encapsulated IPC message.
    pub(super) message: Bytes,
    pub(super) has_dictionaries: bool,
    /// Whether its arrays may hold what none of their rows refers to.
    pub(super) is_loose: bool,
    /// The schema of batches that were found to be of this one, to know them by their address.
    alias: RwLock<Option<SchemaRef>>,
    /// Encoders that have said the schema already. Not used with dictionaries: an encoder says each only once.
    encoders: Mutex<Vec<Encoder>>,
}

/// An encoder without a useful `Debug`.
struct Encoder(StreamEncoder);

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

/// The schemas that one handle has met.
#[derive(Debug, Default)]
pub(super) struct Registry {
    known: RwLock<Vec<Arc<Known>>>,
}

impl Known {
    fn new(stored: &StoredSchema) -> Result<Self, SchemaError> {
        let message = stored.message.clone()?;
        let schema = try_schema_from_ipc_buffer(&message).map_err(unsupported)?;
        check_schema(&schema).map_err(|reason| SchemaError::Unsupported { reason })?;
        let has_dictionaries = schema
            .flattened_fields()
            .iter()
            .any(|field| matches!(field.data_type(), DataType::Dictionary(..)));
        let is_loose = schema.fields().iter().any(|field| is_loose(field.data_type()));
        Ok(Self {
            id: stored.id,
            schema: Arc::new(schema),
            message,
            has_dictionaries,
            is_loose,
            alias: RwLock::new(None),
            encoders: Mutex::default(),
        })
    }

    /// A schema that has no id yet, or needs none.
    pub(super) fn of_schema(schema: &Schema) -> Result<Self, SchemaError> {
        Self::new(&StoredSchema { id: 0, message: Ok(message_of(schema)?) })
    }

    fn is(&self, schema: &SchemaRef) -> bool {
        if self.alias.read().as_ref().is_some_and(|alias| Arc::ptr_eq(alias, schema)) {
            return true;
        }
        let same = Arc::ptr_eq(&self.schema, schema) || *self.schema == **schema;
        if same {
            *self.alias.write() = Some(Arc::clone(schema));
        }
        same
    }

    /// The messages of a batch of this schema: its dictionaries, whole, then its rows. The buffers are the arrays' own
    /// wherever these begin with the batch's first row.
    pub(super) fn encode(&self, batch: &RecordBatch) -> Result<Vec<Buffer>, ArrowError> {
        let spare = if self.has_dictionaries { None } else { self.encoders.lock().pop() };
        match spare {
            Some(mut encoder) => {
                let buffers = encoder.0.encode(batch)?;
                self.encoders.lock().push(encoder);
                Ok(buffers)
            }
            None => {
                let mut encoder = StreamEncoder::try_new(&self.schema)?;
                let buffers = encoder.encode(batch)?;
                if !self.has_dictionaries {
                    self.encoders.lock().push(Encoder(encoder));
                }
                // The first are the schema's.
                let mut schema_len = self.message.len();
                Ok(buffers
                    .into_iter()
                    .skip_while(|buffer| {
                        let skip = schema_len > 0;
                        schema_len = schema_len.saturating_sub(buffer.len());
                        skip
                    })
                    .collect())
            }
        }
    }
}

impl Registry {
    /// The id of a schema; it gets one if it has none and may follow those that the stream has.
    pub(super) fn of_schema(
        &self,
        stream: &Stream,
        schema: &SchemaRef,
        evolution: Evolution,
    ) -> Result<Arc<Known>, SchemaError> {
        if let Some(known) = self.find(schema) {
            return Ok(known);
        }
        let mut known = self.known.write();
        stream.with_schemas(|schemas| {
            learn(&mut known, schemas.all()?)?;
            if let Some(found) = known.iter().rev().find(|known| known.is(schema)) {
                return Ok(Arc::clone(found));
            }
            if let Some(newest) = known.last() {
                evolution.check(&newest.schema, schema)?;
            }
            // What could not be read again must not be stored.
            let mut added = Known::of_schema(schema)?;
            added.id = schemas.add(added.message.clone())?;
            let added = Arc::new(added);
            known.push(Arc::clone(&added));
            Ok(added)
        })
    }

    /// The schema with this id.
    pub(super) fn by_id(&self, origin: &Origin, id: u32) -> Result<Arc<Known>, SchemaError> {
        let find = |known: &[Arc<Known>]| known.iter().find(|known| known.id == id).map(Arc::clone);
        if let Some(known) = find(&self.known.read()) {
            return Ok(known);
        }
        let mut known = self.known.write();
        origin.with_schemas(|stored| {
            learn(&mut known, stored)?;
            match (find(&known), stored.iter().find(|stored| stored.id == id)) {
                (Some(known), _) => Ok(known),
                (None, Some(damaged)) => Known::new(damaged).map(Arc::new),
                (None, None) => Err(SchemaError::Unknown { id }),
            }
        })
    }

    /// The newest schema of the stream that can be read.
    pub(super) fn newest(&self, origin: &Origin) -> Result<Option<Arc<Known>>, SchemaError> {
        let mut known = self.known.write();
        origin.with_schemas(|stored| learn(&mut known, stored))?;
        Ok(known.last().map(Arc::clone))
    }

    fn find(&self, schema: &SchemaRef) -> Option<Arc<Known>> {
        self.known.read().iter().rev().find(|known| known.is(schema)).map(Arc::clone)
    }
}

/// Adds what is stored and not known yet. Those that are damaged are left out: who needs one is told.
fn learn(known: &mut Vec<Arc<Known>>, stored: &[StoredSchema]) -> Result<(), SchemaError> {
    for stored in stored {
        if stored.message.is_ok() && !known.iter().any(|known| known.id == stored.id) {
            known.push(Arc::new(Known::new(stored)?));
        }
    }
    known.sort_by_key(|known| known.id);
    Ok(())
}

/// A schema as an encapsulated IPC message.
fn message_of(schema: &Schema) -> Result<Bytes, SchemaError> {
    let buffers = StreamEncoder::try_new(schema).and_then(StreamEncoder::finish).map_err(unsupported)?;
    let mut message: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.as_slice()).copied().collect();
    message.truncate(message.len().saturating_sub(END_OF_STREAM_LEN));
    Ok(message.into())
}

pub(super) fn unsupported(error: ArrowError) -> SchemaError {
    SchemaError::Unsupported { reason: error.to_string() }
}
