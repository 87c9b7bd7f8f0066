//! Names of tables, which are paths, as names of streams.

use crate::store::error::StreamError;
use crate::store::handle::Store;
use crate::store::stream_handle::Stream;

/// Why there is no such table.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The path cannot be a stream's name.
    #[error(
        "'{table}' cannot be a table: use parts of the characters a-z, A-Z, 0-9, '_', '.' and '-', with '/' between them, none \
         of which begins or ends with '.' or has '..' in it, and 128 characters at most"
    )]
    Path {
        /// What was given.
        table: String,
    },
    /// The table's stream cannot be opened or deleted.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// What stands for `/` in the names of streams.
const SEPARATOR: &str = "..";

/// The name of a table's stream. Slashes at the beginning and the end do not matter, as in Frames.
pub(super) fn stream_name(table: &str) -> Result<String, TableError> {
    let path = table.strip_prefix('/').unwrap_or(table);
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_part = |part: &str| {
        let inside = !part.starts_with('.') && !part.ends_with('.') && !part.contains(SEPARATOR);
        !part.is_empty() && inside
    };
    let name = path.replace('/', SEPARATOR);
    if path.split('/').all(is_part) && crate::store::name::check(&name).is_ok() {
        Ok(name)
    } else {
        Err(TableError::Path { table: table.to_owned() })
    }
}

pub(super) fn open(store: &Store, table: &str) -> Result<Stream, TableError> {
    Ok(store.open_stream(&stream_name(table)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_names_that_differ_where_they_do() {
        for (table, name) in [
            ("mystream", "mystream"),
            ("/mystream/", "mystream"),
            ("/taxi_streams/rides", "taxi_streams..rides"),
            ("a.b/c", "a.b..c"),
        ] {
            assert_eq!(stream_name(table).ok().as_deref(), Some(name), "{table}");
        }
        for table in ["", "/", "//", "a//b", "../a", "a/..", "a..b", "a./b", ".a", "a b", "/a/./b", "//a"] {
            assert!(matches!(stream_name(table), Err(TableError::Path { .. })), "{table}");
        }
        assert!(stream_name(&"x".repeat(129)).is_err());
    }
}
