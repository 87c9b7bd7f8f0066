//! Where the partition key of a record comes from.

use std::borrow::Cow;

use clap::Args;
use regex::bytes::Regex;
use serde_json::Value;

use crate::error::CliError;

/// Where the partition keys come from.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub(crate) struct KeyArgs {
    /// This partition key for all records
    #[arg(short, long, value_name = "KEY")]
    key: Option<String>,
    /// The field of this number, counted from 1; fields are apart by white space, or by --delimiter
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    key_field: Option<u64>,
    /// The value at this JSON pointer, such as /user/id: a string, number or boolean
    #[arg(long, value_name = "POINTER")]
    key_json: Option<String>,
    /// What this regular expression finds: its first group, or the whole of it
    #[arg(long, value_name = "REGEX")]
    key_regex: Option<Regex>,
    /// A key of its own for each record: spreads them over all shards, in no order across these
    #[arg(long)]
    spread: bool,
}

/// Says what the key of each record is.
#[derive(Debug)]
pub(crate) enum KeySource {
    One(String),
    Field { index: usize, delimiter: Option<String> },
    Json(String),
    Regex(Regex),
    Spread { next: u64 },
}

impl KeyArgs {
    /// For records that have no key of their own.
    pub(crate) fn required(self, delimiter: Option<String>) -> Result<KeySource, CliError> {
        if let Some(key) = self.key {
            return Ok(KeySource::One(key));
        }
        if let Some(number) = self.key_field {
            let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
            return Ok(KeySource::Field { index, delimiter });
        }
        match (self.key_json, self.key_regex, self.spread) {
            (Some(pointer), ..) => Ok(KeySource::Json(pointer)),
            (None, Some(regex), _) => Ok(KeySource::Regex(regex)),
            (None, None, true) => Ok(KeySource::Spread { next: fresh_start() }),
            (None, None, false) => Err(CliError::usage(
                "each record needs a partition key: give --key, --key-field, --key-json, --key-regex or --spread",
            )),
        }
    }

    /// For records that have one.
    pub(crate) fn refuse(&self, why: &str) -> Result<(), CliError> {
        let Self { key, key_field, key_json, key_regex, spread } = self;
        let given =
            key.is_some() || key_field.is_some() || key_json.is_some() || key_regex.is_some() || *spread;
        if given {
            return Err(CliError::usage(format!("{why}: leave --key, --key-field and the like out")));
        }
        Ok(())
    }
}

/// Different at each call, so that a second import does not go the very same way.
fn fresh_start() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(0)
}

impl KeySource {
    /// The key of a record, or why it has none.
    pub(crate) fn key<'a>(&'a mut self, data: &'a [u8]) -> Result<Cow<'a, str>, String> {
        match self {
            Self::One(key) => Ok(Cow::Borrowed(key)),
            Self::Spread { next } => {
                *next = next.wrapping_add(1);
                Ok(Cow::Owned(next.to_string()))
            }
            Self::Field { index, delimiter } => {
                let text = utf8(data)?;
                let field = match delimiter {
                    Some(delimiter) => text.split(&**delimiter).nth(*index),
                    None => text.split_whitespace().nth(*index),
                };
                let missing =
                    || format!("it has no field {}, which is to be its key", index.saturating_add(1));
                field.filter(|field| !field.is_empty()).map(Cow::Borrowed).ok_or_else(missing)
            }
            Self::Json(pointer) => {
                let value: Value =
                    serde_json::from_slice(data).map_err(|error| format!("it is no JSON: {error}"))?;
                match value.pointer(pointer) {
                    Some(Value::String(text)) => Ok(Cow::Owned(text.clone())),
                    Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Cow::Owned(value.to_string())),
                    Some(_) => Err(format!("what is at {pointer} is no string, number or boolean")),
                    None => Err(format!("there is nothing at {pointer}, where its key is to be")),
                }
            }
            Self::Regex(regex) => {
                let found = regex.captures(data).ok_or_else(|| format!("nothing in it matches {regex}"))?;
                let found = found.get(1).or_else(|| found.get(0)).map_or(&b""[..], |found| found.as_bytes());
                utf8(found).map(Cow::Borrowed)
            }
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "its key would not be UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(mut source: KeySource, data: &str) -> Result<String, String> {
        source.key(data.as_bytes()).map(Cow::into_owned)
    }

    #[test]
    fn keys_are_found_where_they_are_said_to_be() {
        let field = |index, delimiter: Option<&str>| KeySource::Field {
            index,
            delimiter: delimiter.map(str::to_owned),
        };
        assert_eq!(key(field(1, None), "a  b c").as_deref(), Ok("b"));
        assert_eq!(key(field(1, Some(",")), "a,b b,c").as_deref(), Ok("b b"));
        assert!(key(field(1, Some(",")), "a,,c").is_err());
        assert!(key(field(3, None), "a b c").is_err());
        let json = |pointer: &str| KeySource::Json(pointer.to_owned());
        assert_eq!(key(json("/user/id"), r#"{"user":{"id":42}}"#).as_deref(), Ok("42"));
        assert_eq!(key(json("/name"), r#"{"name":"ann"}"#).as_deref(), Ok("ann"));
        for (pointer, data) in [("/name", "{}"), ("/name", "{"), ("/name", r#"{"name":[]}"#)] {
            assert!(key(json(pointer), data).is_err(), "{data}");
        }
        let regex = |text: &str| KeySource::Regex(Regex::new(text).unwrap_or_else(|error| panic!("{error}")));
        assert_eq!(key(regex("id=([0-9]+)"), "x id=77 y").as_deref(), Ok("77"));
        assert_eq!(key(regex("[0-9]+"), "x id=77 y").as_deref(), Ok("77"));
        assert!(key(regex("[0-9]+"), "x").is_err());
    }

    #[test]
    fn spread_keys_differ() {
        let mut source = KeySource::Spread { next: u64::MAX };
        let first = source.key(b"").map(Cow::into_owned);
        assert_ne!(first, source.key(b"").map(Cow::into_owned));
    }
}
