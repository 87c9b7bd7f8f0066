//! Environment variables.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::error::ConfigError;
use super::place::Place;

/// Environment variables: those of the process, or others for tests.
///
/// ```
/// use riverbed::config::{Config, Environment};
///
/// let environment = Environment::from_iter([("RIVERBED_BATCH_SIZE", "500"), ("INFLUXDB_V2_TAG_HOST", "a")]);
/// let config = Config::new().with_environment(&environment)?;
/// assert_eq!(config.default_tags().collect::<Vec<_>>(), [("host", "a")]);
/// # Ok::<(), riverbed::config::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

impl Environment {
    /// The variables that the process has now.
    #[must_use]
    pub fn of_process() -> Self {
        // A name that is not UTF-8 is none that anybody looks for.
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
    }

    /// The value of a variable, if it is set.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        self.variables.get(name).map(|value| text(name, value)).transpose()
    }

    /// The variables that begin with `prefix`, without it.
    pub(super) fn with_prefix<'e>(
        &'e self,
        prefix: &'e str,
    ) -> impl Iterator<Item = Result<(&'e str, &'e str), ConfigError>> {
        self.variables.iter().filter_map(move |(name, value)| {
            let rest = name.strip_prefix(prefix)?;
            Some(text(name, value).map(|value| (rest, value)))
        })
    }
}

fn text<'e>(name: &str, value: &'e OsString) -> Result<&'e str, ConfigError> {
    value.to_str().ok_or_else(|| ConfigError::Value {
        place: Place::Variable { name: name.to_owned() },
        found: format!("{value:?}"),
        expected: "UTF-8",
    })
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables }
    }
}

impl std::fmt::Debug for Environment {
    /// The names alone: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
