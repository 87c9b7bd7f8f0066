//! The schemas of a stream's rows, by their ids, as messages that only the encoding above understands.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::IoError;
use crate::sys::storage::{Storage, read_file, replace_file};

use super::schema_file::{self, DIRECTORY, SchemaFileFault};

/// Why a schema cannot be read or stored.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SchemaFault {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("{} is damaged: {fault}", path.display())]
    Damaged { path: PathBuf, fault: SchemaFileFault },
    #[error("out of schema ids")]
    Exhausted,
}

/// A schema as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredSchema {
    pub(crate) id: u32,
    /// One that is damaged keeps its id: it is not given to another.
    pub(crate) message: Result<Bytes, SchemaFault>,
}

/// A stream's schemas, oldest first; `None` until somebody asks. One for all handles of the stream: an id is given once.
pub(crate) type Schemas = Option<Vec<StoredSchema>>;

/// The schemas of a stream that stays open meanwhile.
#[derive(Debug)]
pub(crate) struct OpenSchemas<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) stream_dir: &'a Path,
    pub(crate) schemas: &'a mut Schemas,
}

impl OpenSchemas<'_> {
    /// All of them.
    pub(crate) fn all(&mut self) -> Result<&[StoredSchema], SchemaFault> {
        let stored = match self.schemas.take() {
            Some(stored) => stored,
            None => load(self.storage, self.stream_dir)?,
        };
        Ok(self.schemas.insert(stored))
    }

    /// Stores a schema under a new id. Durable on return: rows may speak of it from now on.
    pub(crate) fn add(&mut self, message: Bytes) -> Result<u32, SchemaFault> {
        let last = self.all()?.last().map_or(0, |newest| newest.id);
        let id = last.checked_add(1).ok_or(SchemaFault::Exhausted)?;
        let bytes = schema_file::encode(id, &message).ok_or(SchemaFault::Exhausted)?;
        let dir = self.stream_dir.join(DIRECTORY);
        match self.storage.create_dir(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(IoError::new("create", &dir, error).into());
            }
            _ => {}
        }
        // Its name too: without it, what is in it is lost.
        self.storage.sync_dir(self.stream_dir).map_err(IoError::context("sync", self.stream_dir))?;
        let path = dir.join(schema_file::name_of(id));
        replace_file(self.storage, &path, &bytes).map_err(IoError::context("write", &path))?;
        self.schemas.get_or_insert_default().push(StoredSchema { id, message: Ok(message) });
        Ok(id)
    }
}

/// Reads a stream's schemas, oldest first.
pub(crate) fn load(storage: &dyn Storage, stream_dir: &Path) -> Result<Vec<StoredSchema>, SchemaFault> {
    let dir = stream_dir.join(DIRECTORY);
    let entries = match storage.list(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(IoError::new("list", &dir, error).into()),
    };
    // What is found is about to be used, so it must stay: a process that was killed may have left names that are not
    // durable yet.
    for dir in [stream_dir, &dir] {
        storage.sync_dir(dir).map_err(IoError::context("sync", dir))?;
    }
    let mut stored = Vec::new();
    for id in entries.iter().filter_map(|entry| schema_file::id_of(&entry.name)) {
        let path = dir.join(schema_file::name_of(id));
        let bytes = read_file(storage, &path).map_err(IoError::context("read", &path))?;
        let message = schema_file::decode(id, &bytes).map(Bytes::copy_from_slice);
        let message = message.map_err(|fault| SchemaFault::Damaged { path, fault });
        stored.push(StoredSchema { id, message });
    }
    stored.sort_by_key(|stored| stored.id);
    Ok(stored)
}
