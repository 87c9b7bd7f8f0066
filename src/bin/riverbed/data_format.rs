//! The formats that records are imported from and exported to.

use std::path::Path;

use clap::ValueEnum;

/// How records lie in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataFormat {
    /// A line is a record's data
    Lines,
    /// A record's data end with a NUL
    Nul,
    /// A record's data come after their length in four bytes, big-endian
    LengthPrefixed,
    /// A line is a record's data, and JSON
    JsonLines,
    /// A line is a record with its key and everything else, as `tail --format json` prints it
    Records,
    /// InfluxDB's line protocol: a line is a point
    LineProtocol,
    /// Comma-separated values with a heading: a line is a row
    Csv,
    /// A line is a row, as an object in JSON
    JsonRows,
    /// Apache Parquet: rows
    Parquet,
    /// Arrow IPC, a stream or a file: batches of rows
    Arrow,
}

impl DataFormat {
    /// The format that was asked for, or else the one that a file's name speaks of; lines if it does not.
    pub(crate) fn of(asked: Option<Self>, path: Option<&Path>) -> Self {
        let extension = || path.and_then(Path::extension).and_then(|extension| extension.to_str());
        asked.unwrap_or_else(|| match extension() {
            Some("jsonl" | "ndjson") => Self::JsonLines,
            Some("lp" | "line") => Self::LineProtocol,
            Some("csv") => Self::Csv,
            Some("parquet") => Self::Parquet,
            Some("arrow" | "arrows" | "ipc" | "feather") => Self::Arrow,
            _ => Self::Lines,
        })
    }

    /// Whether it holds rows with typed columns, and not records.
    pub(crate) fn is_of_rows(self) -> bool {
        matches!(self, Self::Csv | Self::JsonRows | Self::Parquet | Self::Arrow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_format_unless_somebody_does() {
        let of = |asked, name: &str| DataFormat::of(asked, Some(Path::new(name)));
        assert_eq!(of(None, "a.jsonl"), DataFormat::JsonLines);
        assert_eq!(of(None, "a.lp"), DataFormat::LineProtocol);
        assert_eq!(of(None, "dir.arrow/a"), DataFormat::Lines);
        assert_eq!(of(Some(DataFormat::Lines), "a.arrow"), DataFormat::Lines);
        assert_eq!(DataFormat::of(None, None), DataFormat::Lines);
    }
}
