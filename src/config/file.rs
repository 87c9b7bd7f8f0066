//! Configuration files, as sections of keys and text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use configparser::ini::{Ini, IniDefault};

use super::error::ConfigError;
use super::place::Place;

/// The sections of a file: each key with its value as text, whatever the file's format.
pub(super) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// The sections that are looked for; all others are somebody else's.
pub(super) const RIVERBED: &str = "riverbed";
pub(super) const INFLUX: &str = "influx2";
pub(super) const TAGS: &str = "tags";

pub(super) fn read(path: &Path) -> Result<Sections, ConfigError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let parse = match extension.to_ascii_lowercase().as_str() {
        "toml" => parse_toml,
        "ini" | "cfg" | "conf" => parse_ini,
        _ => return Err(ConfigError::UnknownFormat { path: path.to_owned() }),
    };
    let read = fs::read_to_string(path);
    let text =
        read.map_err(|source| ConfigError::Read { path: path.to_owned(), source: Arc::new(source) })?;
    parse(path, &text)
}

fn parse_toml(path: &Path, text: &str) -> Result<Sections, ConfigError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let mut sections = Sections::new();
    for (name, value) in table {
        let toml::Value::Table(entries) = value else { continue };
        let mut section = BTreeMap::new();
        for (key, value) in entries {
            // What other sections have is not looked at.
            if [RIVERBED, INFLUX, TAGS].contains(&name.as_str()) {
                let text = scalar(path, &name, &key, value)?;
                section.insert(key, text);
            }
        }
        sections.insert(name, section);
    }
    Ok(sections)
}

fn scalar(path: &Path, section: &str, key: &str, value: toml::Value) -> Result<String, ConfigError> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(boolean) => Ok(boolean.to_string()),
        other => Err(ConfigError::Value {
            place: Place::File { path: path.to_owned(), section: section.to_owned(), key: key.to_owned() },
            found: format!("of type {}", other.type_str()),
            expected: "text, a number or a boolean",
        }),
    }
}

/// As Python's `configparser` reads it, which InfluxDB's client uses: no comments behind values. The client strips quotes.
fn parse_ini(path: &Path, text: &str) -> Result<Sections, ConfigError> {
    let mut defaults = IniDefault::default();
    defaults.case_sensitive = true;
    defaults.enable_inline_comments = false;
    let parsed = Ini::new_from_defaults(defaults)
        .read(text.to_owned())
        .map_err(|reason| ConfigError::Syntax { path: path.to_owned(), reason })?;
    let plain = |value: Option<String>| value.unwrap_or_default().trim_matches('"').to_owned();
    let section = |entries: std::collections::HashMap<String, Option<String>>| {
        entries.into_iter().map(|(key, value)| (key, plain(value))).collect()
    };
    Ok(parsed.into_iter().map(|(name, entries)| (name, section(entries))).collect())
}
