//! Single records: `execute` with the command `put`.

use crate::stream::error::PutError;
use crate::stream::put::{Put, PutRecord};

use super::Client;
use super::table::TableError;

/// A record to put, after the arguments of the original's `execute("put", ...)`.
#[derive(Debug, Clone, Copy)]
pub struct PutArgs<'a> {
    data: &'a [u8],
    client_info: &'a [u8],
    partition_key: Option<&'a str>,
}

impl<'a> PutArgs<'a> {
    /// A record of these data, which may be empty, without more.
    pub fn new<D: AsRef<[u8]> + ?Sized>(data: &'a D) -> Self {
        Self { data: data.as_ref(), client_info: &[], partition_key: None }
    }

    /// What the client wants to say besides, at most 64 KiB (the original takes 16 bytes):
    /// [`Record::metadata`](crate::Record::metadata) has it.
    #[must_use]
    pub fn client_info<D: AsRef<[u8]> + ?Sized>(mut self, info: &'a D) -> Self {
        self.client_info = info.as_ref();
        self
    }

    /// What chooses the shard. Without it, the shards take turns.
    #[must_use]
    pub fn partition_key(mut self, key: &'a str) -> Self {
        self.partition_key = Some(key);
        self
    }
}

/// Why a record was not put.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PutRecordError {
    /// There is no such table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The stream did not take it.
    #[error(transparent)]
    Put(#[from] PutError),
}

impl Client {
    /// Puts one record of bytes, after the original's `execute("put", ...)`. Reading shows it as a row with the column
    /// `raw_data`.
    ///
    /// # Errors
    ///
    /// [`PutRecordError`]. Nothing is stored then, except after [`PutError::Sync`], where that is not known.
    pub fn put(&self, table: &str, args: &PutArgs<'_>) -> Result<Put, PutRecordError> {
        let stream = self.stream(table)?;
        let key = args.partition_key.unwrap_or(super::NO_KEY);
        let mut record = PutRecord::new(key, args.data).metadata(args.client_info);
        if args.partition_key.is_none()
            && let Some(hash_key) = self.hash_key_in_turn(&stream)
        {
            record = record.explicit_hash_key(hash_key);
        }
        if let Some(durability) = self.durability {
            record = record.durability(durability);
        }
        Ok(stream.put_record(&record)?)
    }
}
