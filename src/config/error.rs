//! What can be wrong with a configuration.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::place::Place;

/// What is wrong with a configuration.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said; or that it is not UTF-8.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file's name does not say what it is.
    #[error("{}: cannot tell what kind of file this is: expected a name that ends in .toml, .ini, .cfg or .conf", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A file is not what its name says.
    #[error("{}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        reason: String,
    },
    /// A file has none of the sections that are looked for.
    #[error("{}: expected a section [riverbed], [influx2] or [tags], found {found}", path.display())]
    NoSection {
        /// The file.
        path: PathBuf,
        /// The sections that it has.
        found: String,
    },
    /// There is no such setting.
    #[error("{place} is no setting: expected one of {known}")]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The settings that there are.
        known: String,
    },
    /// A value is not what it should be.
    #[error("{place} is {found}: expected {expected}")]
    Value {
        /// Where it stands.
        place: Place,
        /// What it is.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}
