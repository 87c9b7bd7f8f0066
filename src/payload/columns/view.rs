//! Which columns a reader shows of the rows that there are.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{Schema, SchemaRef};

use super::evolution::{describe, goes_on, incompatible};
use super::registry::Known;
use super::schema_error::SchemaError;

/// What a reader was asked for.
#[derive(Debug, Clone, Default)]
pub(super) enum View {
    /// All columns of each batch.
    #[default]
    Everything,
    /// These columns, in this order.
    Columns(Vec<String>),
    /// Batches of this schema: nulls for columns that older rows do not have.
    Schema(SchemaRef),
}

/// A view of the rows of one schema.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) known: Arc<Known>,
    /// Which columns to decode; `None` for all.
    pub(super) projection: Option<Vec<usize>>,
    /// The schema to give the batch, and for each column which of the decoded ones it is; `None` for one of nulls.
    filled: Option<(SchemaRef, Vec<Option<usize>>)>,
}

impl View {
    pub(super) fn plan(&self, known: Arc<Known>) -> Result<Plan, SchemaError> {
        let (projection, filled) = match self {
            Self::Everything => (None, None),
            Self::Columns(names) => {
                let index = |name: &String| {
                    index_of(&known.schema, name).ok_or_else(|| no_such_column(&known.schema, name))
                };
                (Some(names.iter().map(index).collect::<Result<_, _>>()?), None)
            }
            Self::Schema(schema) if **schema == *known.schema => (None, None),
            Self::Schema(schema) => {
                let (projection, columns) = fill(&known.schema, schema)?;
                (Some(projection), Some((Arc::clone(schema), columns)))
            }
        };
        Ok(Plan { known, projection, filled })
    }
}

impl Plan {
    /// Whether batches are shown as they are.
    pub(super) fn is_everything(&self) -> bool {
        self.projection.is_none() && self.filled.is_none()
    }

    /// The schema of the batches that are shown.
    pub(super) fn shown_schema(&self) -> Result<SchemaRef, SchemaError> {
        match (&self.filled, &self.projection) {
            (Some((schema, _)), _) => Ok(Arc::clone(schema)),
            (None, Some(projection)) => {
                Ok(Arc::new(self.known.schema.project(projection).map_err(super::registry::unsupported)?))
            }
            (None, None) => Ok(Arc::clone(&self.known.schema)),
        }
    }

    /// Takes the columns of the view from a batch of all.
    pub(super) fn project(&self, batch: RecordBatch) -> Result<RecordBatch, SchemaError> {
        match &self.projection {
            Some(projection) => batch.project(projection).map_err(super::registry::unsupported),
            None => Ok(batch),
        }
    }

    /// Adds to the columns of the projection those that the rows do not have.
    pub(super) fn fill(&self, batch: RecordBatch) -> Result<RecordBatch, SchemaError> {
        let Some((schema, columns)) = &self.filled else {
            return Ok(batch);
        };
        let rows = batch.num_rows();
        let columns = schema
            .fields()
            .iter()
            .zip(columns)
            .map(|(field, index)| match index.and_then(|index| batch.columns().get(index)) {
                Some(column) => Arc::clone(column),
                None => new_null_array(field.data_type(), rows),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
            .map_err(super::registry::unsupported)
    }
}

/// Which columns of `stored` to decode for `wanted`, and which of those each wanted column is.
fn fill(stored: &Schema, wanted: &Schema) -> Result<(Vec<usize>, Vec<Option<usize>>), SchemaError> {
    let mut projection = Vec::new();
    let mut columns = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        let found = index_of(stored, field.name());
        match found.and_then(|index| stored.fields().get(index)) {
            Some(old) if !goes_on(old, field) => {
                return Err(incompatible(field.name(), describe(field), describe(old)));
            }
            None if !field.is_nullable() => {
                return Err(incompatible(field.name(), describe(field), "no such column".to_owned()));
            }
            _ => {}
        }
        columns.push(found.map(|index| {
            projection.push(index);
            projection.len() - 1
        }));
    }
    Ok((projection, columns))
}

fn index_of(schema: &Schema, name: &str) -> Option<usize> {
    schema.fields().iter().position(|field| field.name() == name)
}

fn no_such_column(schema: &Schema, name: &str) -> SchemaError {
    let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
    SchemaError::NoSuchColumn { name: name.to_owned(), columns }
}
