//! Stores as commands open them.

use std::path::Path;

use riverbed::{ReadOnlyStore, Store};

use crate::error::CliError;

/// Opens a store for reading, whether somebody writes to it or not.
pub(crate) fn read(path: &Path) -> Result<ReadOnlyStore, CliError> {
    Ok(Store::open_read_only(path)?)
}

/// Opens a store that exists, for writing.
pub(crate) fn write(path: &Path) -> Result<Store, CliError> {
    Ok(Store::options().create(false).open(path)?)
}
