//! A record with everything about it, as it is exported and imported again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use riverbed::HashKey;
use serde::Deserialize;

/// What of a record's JSON makes another record like it. Sequence number, shard and arrival are given anew.
#[derive(Debug, Deserialize)]
struct WholeJson {
    partition_key: String,
    explicit_hash_key: Option<String>,
    metadata: Option<String>,
    metadata_base64: Option<String>,
    data: Option<String>,
    data_base64: Option<String>,
    last_sequence_number: Option<String>,
}

/// A record to put.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WholeRecord {
    pub(crate) key: String,
    pub(crate) hash_key: Option<HashKey>,
    pub(crate) metadata: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

impl WholeRecord {
    /// Reads a line; says what is wrong with one that is no record.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, String> {
        let json: WholeJson =
            serde_json::from_slice(line).map_err(|error| format!("it is no record in JSON: {error}"))?;
        if json.last_sequence_number.is_some() {
            return Err(
                "it is a batch of rows, whose schema is not here: export these with --format arrow or parquet".into()
            );
        }
        let hash_key = json.explicit_hash_key.map(|text| text.parse::<HashKey>());
        Ok(Self {
            key: json.partition_key,
            hash_key: hash_key.transpose().map_err(|error| error.to_string())?,
            metadata: bytes(json.metadata, json.metadata_base64, "metadata")?.unwrap_or_default(),
            data: bytes(json.data, json.data_base64, "data")?.ok_or("it has no data")?,
        })
    }
}

fn bytes(text: Option<String>, base64: Option<String>, what: &str) -> Result<Option<Vec<u8>>, String> {
    match (text, base64) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(base64)) => match BASE64.decode(base64) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(format!("{what}_base64 is no Base64: {error}")),
        },
        (Some(_), Some(_)) => Err(format!("it has both {what} and {what}_base64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_record_or_says_why_not() {
        let line = br#"{"sequence_number":"7","partition_key":"k","explicit_hash_key":"5","metadata":"m","data_base64":"/wA="}"#;
        let expected = WholeRecord {
            key: "k".to_owned(),
            hash_key: Some(HashKey::from(5)),
            metadata: b"m".to_vec(),
            data: vec![255, 0],
        };
        assert_eq!(WholeRecord::parse(line), Ok(expected));
        for (line, problem) in [
            ("{", "no record"),
            (r#"{"data":"x"}"#, "partition_key"),
            (r#"{"partition_key":"k"}"#, "no data"),
            (r#"{"partition_key":"k","data":"x","data_base64":"eA=="}"#, "both"),
            (r#"{"partition_key":"k","data_base64":"?"}"#, "Base64"),
            (r#"{"partition_key":"k","data":"x","explicit_hash_key":"-1"}"#, "hash key"),
            (r#"{"partition_key":"k","data_base64":"","last_sequence_number":"9"}"#, "--format arrow"),
        ] {
            let found = WholeRecord::parse(line.as_bytes());
            assert!(found.as_ref().is_err_and(|found| found.contains(problem)), "{line}: {found:?}");
        }
    }
}
