//! Where a setting stands.

use std::fmt;
use std::path::PathBuf;

/// Where a setting stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// The section, without its brackets.
        section: String,
        /// The key.
        key: String,
    },
    /// In the environment.
    Variable {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, section, key } => write!(f, "{}: [{section}] {key}", path.display()),
            Self::Variable { name } => write!(f, "the environment variable {name}"),
        }
    }
}
