//! Creating and deleting tables.

use std::time::Duration;

use crate::store::error::CreateStreamError;
use crate::store::options::StreamOptions;
use crate::stream::retention::Retention;

use super::Client;
use super::table::{TableError, stream_name};

/// What a new table is like.
#[derive(Debug, Clone, Copy)]
pub struct CreateOptions {
    shards: u32,
    retention_hours: u32,
    if_exists: IfExists,
}

/// What to do where there is a table of the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IfExists {
    /// Report it.
    #[default]
    Fail,
    /// Leave it as it is. The original does that whatever it is told.
    Ignore,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { shards: 1, retention_hours: 24, if_exists: IfExists::Fail }
    }
}

impl CreateOptions {
    /// One shard, whose records are kept for 24 hours, as in the original.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many shards: 1 to 100,000.
    #[must_use]
    pub fn shards(mut self, count: u32) -> Self {
        self.shards = count;
        self
    }

    /// How long records are kept, in hours: 1 at least.
    #[must_use]
    pub fn retention_hours(mut self, hours: u32) -> Self {
        self.retention_hours = hours;
        self
    }

    /// What to do where there is a table of the name already.
    #[must_use]
    pub fn if_exists(mut self, action: IfExists) -> Self {
        self.if_exists = action;
        self
    }
}

/// Why a table was not created.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CreateTableError {
    /// The path is not allowed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The table would keep nothing.
    #[error("a table cannot keep records for 0 hours: give 1 at least")]
    Retention,
    /// The stream was not created.
    #[error(transparent)]
    Stream(#[from] CreateStreamError),
}

impl Client {
    /// Creates a table: a stream, whose name is the path with `..` for each `/`.
    ///
    /// # Errors
    ///
    /// [`CreateTableError`]; also where the table exists, unless [`IfExists::Ignore`] says otherwise.
    pub fn create(&self, table: &str, options: &CreateOptions) -> Result<(), CreateTableError> {
        let name = stream_name(table)?;
        if options.retention_hours == 0 {
            return Err(CreateTableError::Retention);
        }
        let age = Duration::from_secs(u64::from(options.retention_hours) * 3600);
        let stream = StreamOptions::new().shards(options.shards).retention(Retention::of_age(age));
        match self.store.create_stream(&name, stream) {
            Err(CreateStreamError::Exists { .. }) if options.if_exists == IfExists::Ignore => Ok(()),
            created => Ok(created.map(drop)?),
        }
    }

    /// Deletes a table with everything in it. What was read of it stays valid.
    ///
    /// # Errors
    ///
    /// [`TableError`]; also where there is no such table.
    pub fn delete(&self, table: &str) -> Result<(), TableError> {
        Ok(self.store.delete_stream(&stream_name(table)?)?)
    }
}
