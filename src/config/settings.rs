//! A configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::log::durability::Durability;
use crate::store::options::StreamOptions;
use crate::write::WriteOptions;

use super::environment::Environment;
use super::error::ConfigError;
use super::file::{self, INFLUX, RIVERBED, TAGS};
use super::keys::KEYS;
use super::place::Place;

/// What a program is told about its store, its stream and how to write to it. What is read later wins.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("writer.toml");
/// # let data = directory.path().join("data");
/// # std::fs::write(&path, format!("[riverbed]\npath = '{}'\nbatch_size = 500", data.display()))?;
/// use riverbed::Store;
/// use riverbed::config::Config;
/// use riverbed::write::BatchWriter;
///
/// let config = Config::load(&path)?; // the file, and then the environment
/// let store = Store::open(config.path().ok_or("where is the store?")?)?;
/// let stream = store.create_stream(config.stream().unwrap_or("events"), config.stream_options())?;
/// let writer = BatchWriter::builder(stream).options(config.write_options().clone()).start()?;
/// # writer.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Config {
    pub(super) path: Option<PathBuf>,
    pub(super) stream: Option<String>,
    pub(super) shards: Option<u32>,
    pub(super) durability: Option<Durability>,
    pub(super) write: WriteOptions,
    default_tags: BTreeMap<String, String>,
    influx: BTreeMap<String, String>,
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The defaults, then the file, then the environment of the process.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let environment = Environment::of_process();
        Self::new().with_file(path, &environment)?.with_environment(&environment)
    }

    /// Reads a file: TOML when its name ends in `.toml`, INI when it ends in `.ini`, `.cfg` or `.conf`.
    ///
    /// `[riverbed]` has settings of this crate, and one that does not exist is an error. `[influx2]` is kept for
    /// [`influx`](Self::influx). `[tags]` has default tags; a value of `${env.NAME}` is that variable's, and without the variable
    /// there is no such tag. In a file without `[riverbed]`, which is one of InfluxDB's client, the tags' keys are taken in lower
    /// case, as that client does.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the file, the key and what was expected.
    pub fn with_file(
        mut self,
        path: impl AsRef<Path>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let mut sections = file::read(path)?;
        if ![RIVERBED, INFLUX, TAGS].iter().any(|section| sections.contains_key(*section)) {
            let names: Vec<_> = sections.keys().map(|name| format!("[{name}]")).collect();
            let found = if names.is_empty() { "no section".to_owned() } else { names.join(", ") };
            return Err(ConfigError::NoSection { path: path.to_owned(), found });
        }
        let ours = sections.remove(RIVERBED);
        let lower_case = ours.is_none();
        for (key, value) in ours.unwrap_or_default() {
            let place = Place::File { path: path.to_owned(), section: RIVERBED.to_owned(), key: key.clone() };
            if !self.set(&key, &value, &place)? {
                let known: Vec<_> = KEYS.iter().map(|(name, _)| *name).collect();
                return Err(ConfigError::UnknownKey { place, known: known.join(", ") });
            }
        }
        for (key, value) in sections.remove(INFLUX).unwrap_or_default() {
            self.influx.insert(key.to_ascii_lowercase(), value);
        }
        for (key, value) in sections.remove(TAGS).unwrap_or_default() {
            let key = if lower_case { key.to_lowercase() } else { key };
            self.add_default_tag(key, &value, environment)?;
        }
        Ok(self)
    }

    /// Reads the environment: `RIVERBED_` with the name of a setting in upper case, `INFLUXDB_V2_` with one of InfluxDB's
    /// client, and `RIVERBED_TAG_` or `INFLUXDB_V2_TAG_` with the key of a default tag, which is taken in lower case. Other
    /// variables are ignored, whatever they begin with.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the variable and what was expected.
    pub fn with_environment(mut self, environment: &Environment) -> Result<Self, ConfigError> {
        for prefix in ["INFLUXDB_V2_", "RIVERBED_"] {
            for variable in environment.with_prefix(prefix) {
                let (rest, value) = variable?;
                let key = rest.to_lowercase();
                if let Some(tag) = key.strip_prefix("tag_") {
                    self.add_default_tag(tag.to_owned(), value, environment)?;
                } else if prefix == "RIVERBED_" {
                    let place = Place::Variable { name: format!("{prefix}{rest}") };
                    self.set(&key, value, &place)?;
                } else {
                    self.influx.insert(key, value.to_owned());
                }
            }
        }
        Ok(self)
    }

    /// The store's directory, if it was given. A relative path is relative to where the process runs.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The stream's name, if it was given.
    #[must_use]
    pub fn stream(&self) -> Option<&str> {
        self.stream.as_deref()
    }

    /// What the stream is to be like if it is new.
    #[must_use]
    pub fn stream_options(&self) -> StreamOptions {
        let options = StreamOptions::new().shards(self.shards.unwrap_or(1));
        self.durability.map_or(options.clone(), |durability| options.durability(durability))
    }

    /// How to write.
    #[must_use]
    pub fn write_options(&self) -> &WriteOptions {
        &self.write
    }

    /// The tags that every point gets, by key.
    pub fn default_tags(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.default_tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A setting of InfluxDB's client, as text: `url`, `org`, `token`, `timeout` and so on, from `[influx2]` or a variable
    /// `INFLUXDB_V2_URL` and so on. For a sink of your own that sends to a server.
    #[must_use]
    pub fn influx(&self, key: &str) -> Option<&str> {
        self.influx.get(key).map(String::as_str)
    }

    /// Takes a default tag; not if its value is to be that of a variable that is not set.
    fn add_default_tag(
        &mut self,
        key: String,
        value: &str,
        environment: &Environment,
    ) -> Result<(), ConfigError> {
        let variable = value.strip_prefix("${env.").and_then(|rest| rest.strip_suffix('}'));
        let value = match variable {
            Some(name) => environment.get(name)?,
            None => Some(value),
        };
        if let Some(value) = value {
            self.default_tags.insert(key, value.to_owned());
        }
        Ok(())
    }

    /// Takes a setting of this crate; returns whether there is one of that name.
    fn set(&mut self, key: &str, value: &str, place: &Place) -> Result<bool, ConfigError> {
        let Some((_, set)) = KEYS.iter().find(|(name, _)| *name == key) else {
            return Ok(false);
        };
        set(self, value.trim()).map_err(|expected| ConfigError::Value {
            place: place.clone(),
            found: format!("'{value}'"),
            expected,
        })?;
        Ok(true)
    }
}

impl fmt::Debug for Config {
    /// Of the client's settings the names alone: one of them is a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("path", &self.path)
            .field("stream", &self.stream)
            .field("shards", &self.shards)
            .field("durability", &self.durability)
            .field("write", &self.write)
            .field("default_tags", &self.default_tags)
            .field("influx", &self.influx.keys())
            .finish()
    }
}
