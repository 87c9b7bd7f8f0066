//! Records as they are shown.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::ValueEnum;
use riverbed::Record;
use riverbed::internals::row_count;
use riverbed::point::PointDecoder;
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::units;

/// How a record is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    /// The data as they are, then a line feed; on a terminal, what are no text are only told of
    Raw,
    /// A line of JSON with everything about the record
    Json,
    /// Where and when, then the data in hexadecimal and as text
    Hex,
    /// A point in canonical line protocol
    Points,
}

/// A record in JSON. Data and metadata that are not UTF-8 go in Base64.
#[derive(Debug, Serialize)]
pub(crate) struct RecordJson<'a> {
    sequence_number: String,
    shard_id: String,
    arrival_time: String,
    partition_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    explicit_hash_key: Option<String>,
    /// Of a batch of rows, the number of its last row.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sequence_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

impl<'a> RecordJson<'a> {
    pub(crate) fn new(record: &Record<'a>) -> Result<Self, CliError> {
        let (data, data_base64) = text_or_base64(record.data());
        let (metadata, metadata_base64) = match record.metadata() {
            b"" => (None, None),
            metadata => text_or_base64(metadata),
        };
        Ok(Self {
            sequence_number: record.sequence_number().to_string(),
            shard_id: record.shard_id().to_string(),
            arrival_time: units::time(record.arrival_time()),
            partition_key: record.partition_key()?,
            explicit_hash_key: record.explicit_hash_key().map(|hash_key| hash_key.to_string()),
            last_sequence_number: row_count(record).map(|_| record.last_sequence_number().to_string()),
            metadata,
            metadata_base64,
            data,
            data_base64,
        })
    }
}

fn text_or_base64(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(BASE64.encode(bytes))),
    }
}

impl RecordFormat {
    /// JSON when that is wanted of the command as a whole and nothing else of it.
    pub(crate) fn of(asked: Option<Self>, out: &Output) -> Self {
        asked.unwrap_or(if out.is_json() { Self::Json } else { Self::Raw })
    }
}

/// Shows records.
pub(crate) struct RecordWriter<'s> {
    format: RecordFormat,
    points: PointDecoder,
    /// The stream whose records go to a terminal.
    watched: Option<&'s str>,
}

impl<'s> RecordWriter<'s> {
    pub(crate) fn new(format: RecordFormat) -> Self {
        Self { format, points: PointDecoder::new(), watched: None }
    }

    /// For records of this stream: if they go to a terminal, which control characters upset, data that are no text are told of.
    pub(crate) fn of_stream(self, stream: &'s str, out: &Output) -> Self {
        Self { watched: out.is_terminal().then_some(stream), ..self }
    }

    pub(crate) fn write(&mut self, record: &Record<'_>, out: &mut impl Write) -> Result<(), CliError> {
        match self.format {
            RecordFormat::Raw => match self.watched.and_then(|stream| told(record, stream)) {
                Some(told) => out.write_all(told.as_bytes())?,
                None => out.write_all(record.data())?,
            },
            RecordFormat::Json => {
                serde_json::to_writer(&mut *out, &RecordJson::new(record)?)?;
            }
            RecordFormat::Hex => {
                let key = record.partition_key()?;
                let (number, shard_id) = (record.sequence_number(), record.shard_id());
                let (time, len) = (units::time(record.arrival_time()), record.data().len());
                writeln!(out, "{number} {shard_id} {time} key {key:?}, {len} bytes")?;
                return Ok(hex_dump(record.data(), out)?);
            }
            RecordFormat::Points => {
                let number = record.sequence_number();
                self.points.decode(record).map_err(|error| CliError::Show {
                    number,
                    problem: format!("{error}; choose another --format"),
                })?;
                // What decodes is the canonical line.
                out.write_all(record.data())?;
            }
        }
        Ok(out.write_all(b"\n")?)
    }
}

/// What a terminal gets in the place of data that are no text: how much they are, and what shows them.
fn told(record: &Record<'_>, stream: &str) -> Option<String> {
    if let Some(rows) = row_count(record) {
        let rows = units::counted(rows.into(), "row");
        return Some(format!("({rows}; `riverbed export {stream} --format csv` shows them)"));
    }
    // Text may have colours, which begin with an escape.
    let is_odd = |sign: char| sign.is_control() && !matches!(sign, '\t' | '\n' | '\r' | '\u{1b}');
    let is_text = std::str::from_utf8(record.data()).is_ok_and(|text| !text.contains(is_odd));
    let bytes = record.data().len() as u64;
    (!is_text).then(|| format!("({}, no text; `--format hex` shows them)", units::counted(bytes, "byte")))
}

/// The data of a record that is no batch of rows.
pub(crate) fn plain_data<'a>(record: &Record<'a>) -> Result<&'a [u8], CliError> {
    let number = record.sequence_number();
    if row_count(record).is_some() {
        let problem = "it is a batch of rows; use --format csv, json-rows, parquet or arrow".to_owned();
        return Err(CliError::Show { number, problem });
    }
    Ok(record.data())
}

/// Writes sixteen bytes a line: offset, hexadecimal, text.
pub(crate) fn hex_dump(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    for (line, chunk) in bytes.chunks(16).enumerate() {
        write!(out, "{:08x} ", line * 16)?;
        for place in 0..16 {
            let gap = if place == 8 { "  " } else { " " };
            match chunk.get(place) {
                Some(byte) => write!(out, "{gap}{byte:02x}"),
                None => write!(out, "{gap}  "),
            }?;
        }
        let shown =
            |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        writeln!(out, "  |{}|", chunk.iter().map(shown).collect::<String>())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow_array::record_batch;
    use riverbed::{Position, ReaderOptions, Store, StreamOptions};

    use super::*;

    #[test]
    fn a_terminal_is_told_of_data_that_are_no_text() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let stream = Store::open(directory.path())?.create_stream("s", StreamOptions::new())?;
        stream.columns().put_batch("k", &record_batch!(("a", Int32, [1, 2]))?)?;
        stream.columns().put_batch("k", &record_batch!(("a", Int32, [3]))?)?;
        for data in [&b"\xff"[..], b"a\0", b"\x1b[1mh\xc3\xb6\t\r\n", b""] {
            stream.put("k", data)?;
        }
        let mut reader = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new())?;
        let mut writers = [Some("s"), None]
            .map(|watched| (RecordWriter { watched, ..RecordWriter::new(RecordFormat::Raw) }, Vec::new()));
        let mut raw = Vec::new();
        while let Some(record) = reader.next()? {
            for (writer, out) in &mut writers {
                writer.write(&record, out)?;
            }
            raw.extend_from_slice(record.data());
            raw.push(b'\n');
        }
        let [(_, terminal), (_, pipe)] = writers;
        let expected = "(2 rows; `riverbed export s --format csv` shows them)\n\
                        (1 row; `riverbed export s --format csv` shows them)\n\
                        (1 byte, no text; `--format hex` shows them)\n\
                        (2 bytes, no text; `--format hex` shows them)\n\u{1b}[1mh\u{f6}\t\r\n\n\n";
        assert_eq!(String::from_utf8(terminal)?, expected);
        assert_eq!(pipe, raw);
        Ok(())
    }

    #[test]
    fn hex_dumps_line_up() {
        let mut dump = Vec::new();
        hex_dump(b"0123456789abcdef\0z", &mut dump).unwrap_or_default();
        let expected = "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n\
                        00000010  00 7a                                             |.z|\n";
        assert_eq!(String::from_utf8(dump).as_deref(), Ok(expected));
    }
}
