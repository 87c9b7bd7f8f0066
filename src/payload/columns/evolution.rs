//! Which schemas may follow which in one stream.

use arrow_schema::{Field, Schema};

use super::schema_error::SchemaError;

/// Which schemas a stream's rows may have, besides those that it has already: rows of a known schema are always accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Evolution {
    /// None.
    Fixed,
    /// Those with which every column of the newest schema goes on to exist, in any order, with its type: columns may be added
    /// that may be null, and a column that was never null may become one that may be. What reads the new schema can read
    /// all older rows.
    #[default]
    Additions,
    /// Any.
    Any,
}

impl Evolution {
    /// Checks whether `next` may follow `newest`.
    pub(super) fn check(self, newest: &Schema, next: &Schema) -> Result<(), SchemaError> {
        match self {
            Self::Any => Ok(()),
            Self::Fixed => Err(first_difference(newest, next)),
            Self::Additions => check_additions(newest, next),
        }
    }
}

fn check_additions(newest: &Schema, next: &Schema) -> Result<(), SchemaError> {
    for old in newest.fields() {
        let Ok(new) = next.field_with_name(old.name()) else {
            return Err(incompatible(old.name(), describe(old), "no such column".to_owned()));
        };
        if !goes_on(old, new) {
            return Err(incompatible(old.name(), describe(old), describe(new)));
        }
    }
    for new in next.fields() {
        if newest.field_with_name(new.name()).is_err() && !new.is_nullable() {
            let expected = "a new column that may be null, as older rows do not have it".to_owned();
            return Err(incompatible(new.name(), expected, describe(new)));
        }
    }
    Ok(())
}

/// Whether values of `old` are values of `new`.
pub(super) fn goes_on(old: &Field, new: &Field) -> bool {
    old.data_type() == new.data_type() && (new.is_nullable() || !old.is_nullable())
}

fn first_difference(newest: &Schema, next: &Schema) -> SchemaError {
    let mut pairs = newest.fields().iter().zip(next.fields());
    if let Some((old, new)) = pairs.find(|(old, new)| old != new) {
        let renamed = old.name() != new.name();
        let found = if renamed { format!("'{}', {}", new.name(), describe(new)) } else { describe(new) };
        return incompatible(old.name(), describe(old), found);
    }
    let (old, new) = (newest.fields(), next.fields());
    match (old.get(new.len()), new.get(old.len())) {
        (Some(missing), _) => incompatible(missing.name(), describe(missing), "no such column".to_owned()),
        (_, Some(extra)) => incompatible(extra.name(), "no such column".to_owned(), describe(extra)),
        (None, None) => {
            let metadata = |schema: &Schema| format!("the schema's metadata {:?}", schema.metadata());
            incompatible("", metadata(newest), metadata(next))
        }
    }
}

pub(super) fn incompatible(field: &str, expected: String, found: String) -> SchemaError {
    SchemaError::Incompatible { field: field.to_owned(), expected, found }
}

/// A field's type, as errors say it.
pub(super) fn describe(field: &Field) -> String {
    let null = if field.is_nullable() { "may be null" } else { "never null" };
    let metadata = field.metadata();
    if metadata.is_empty() {
        format!("{} ({null})", field.data_type())
    } else {
        format!("{} ({null}, metadata {metadata:?})", field.data_type())
    }
}
