//! `riverbed import`.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use riverbed::line_protocol::Dialect;
use riverbed::point::{LineOptions, PointOptions, PutLineError, WriteLinesError};
use riverbed::{Durability, PutError, Stream};
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::data_format::DataFormat;
use crate::error::CliError;
use crate::feed::{self, Feed, FeedOptions, Item};
use crate::framing::Framing;
use crate::input::Input;
use crate::key_source::{KeyArgs, KeySource};
use crate::output::{self, Output};
use crate::rows_in::{self, TypeArgs};
use crate::whole_record::WholeRecord;
use crate::{Outcome, line_chunks, opening, units, values};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The format is that of the file's name (.jsonl, .lp, .csv, .parquet, .arrow) or of --format. Points and whole \
                        records have a partition key, all others need one. \
                        What was put before an error stays; of line protocol, up to 1 MiB of lines goes in whole or not \
                        at all, unless the stream has no room.\n\nExamples:\n  \
                        riverbed --store data import requests access.log --key-field 1\n  \
                        riverbed --store data import metrics metrics.lp --precision s\n  \
                        riverbed --store data import taxis taxis.csv --key taxis\n  \
                        riverbed --store old export clicks --format records | \
                        riverbed --store new import clicks --format records"
)]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// The file; standard input if not given, or if it is -
    file: Option<PathBuf>,
    /// How records lie in it
    #[arg(short, long, value_enum)]
    format: Option<DataFormat>,
    #[command(flatten)]
    key: KeyArgs,
    /// What is between the fields of --key-field, if not white space
    #[arg(long, requires = "key_field")]
    delimiter: Option<String>,
    /// What the puts promise, instead of what the stream says: buffered, immediate, or a time such as 1s. In any case
    /// everything is on disk when this ends well
    #[arg(long, value_parser = values::durability)]
    durability: Option<Durability>,
    /// Go on behind a record that cannot be put for what it is like, and say so
    #[arg(long)]
    keep_going: bool,
    /// The unit of the timestamps in line protocol: ns, us, ms or s, and with v3 also m and h
    #[arg(long, default_value = "ns")]
    precision: String,
    /// Whose line protocol
    #[arg(long, value_enum, default_value_t = WhoseLines::V2Server)]
    dialect: WhoseLines,
    #[command(flatten)]
    types: TypeArgs,
}

/// The dialects of `docs/line-protocol.md`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum WhoseLines {
    /// What the v2 server takes
    V2Server,
    /// What Telegraf's library takes
    V2Library,
    /// What influxdb3 takes
    V3,
}

#[derive(Default, Serialize)]
struct Imported {
    records: u64,
    /// Of batches, the rows in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    left_out: u64,
    interrupted: bool,
}

pub(crate) fn run(path: &Path, args: Args, out: &mut Output) -> Result<Outcome, CliError> {
    let file = values::file(args.file.as_ref());
    let format = DataFormat::of(args.format, file);
    let mut input = Input::open(file)?;
    let store = opening::write(path)?;
    let stream = store.open_stream(&args.stream)?;
    let mut imported = import(&stream, format, args, &mut input)?;
    imported.interrupted = input.get_ref().is_interrupted();
    drop(input);
    store.close()?;
    if out.is_json() {
        out.json(&imported)?;
    } else {
        let records = units::counted(imported.records, "record");
        match imported.rows {
            Some(rows) => out.line(&format!("{} put, in {records}", units::counted(rows, "row")))?,
            None => out.line(&format!("{records} put"))?,
        }
    }
    Ok(if imported.left_out > 0 || imported.interrupted { Outcome::NotFine } else { Outcome::Fine })
}

fn import(
    stream: &Stream,
    format: DataFormat,
    args: Args,
    input: &mut BufReader<Input>,
) -> Result<Imported, CliError> {
    let options = FeedOptions { durability: args.durability, keep_going: args.keep_going };
    let framing = match format {
        DataFormat::Nul => Framing::Nul,
        DataFormat::LengthPrefixed => Framing::LengthPrefixed,
        _ => Framing::Lines,
    };
    match format {
        DataFormat::LineProtocol => {
            args.key.refuse("points have the key of their series")?;
            points(stream, input, &args)
        }
        DataFormat::Arrow | DataFormat::Csv | DataFormat::JsonRows | DataFormat::Parquet => {
            rows(stream, format, input, args)
        }
        DataFormat::Records => {
            args.key.refuse("whole records have their keys")?;
            fill(Feed::new(stream, options), input, framing, |line, feed| {
                if line.is_empty() {
                    return Ok(());
                }
                let record = WholeRecord::parse(line);
                feed.take(record.as_ref().map_err(Clone::clone).map(|record| Item {
                    key: &record.key,
                    data: &record.data,
                    metadata: &record.metadata,
                    hash_key: record.hash_key,
                }))
            })
        }
        DataFormat::Lines | DataFormat::Nul | DataFormat::LengthPrefixed | DataFormat::JsonLines => {
            let mut keys = args.key.required(args.delimiter)?;
            fill(Feed::new(stream, options), input, framing, |data, feed| {
                if format == DataFormat::JsonLines {
                    if data.trim_ascii().is_empty() {
                        return Ok(());
                    }
                    if let Err(error) = serde_json::from_slice::<IgnoredAny>(data) {
                        return feed.take(Err(format!("it is no JSON: {error}")));
                    }
                }
                match keys.key(data) {
                    Ok(key) => feed.take(Ok(Item { key: &key, data, ..Item::default() })),
                    Err(problem) => feed.take(Err(problem)),
                }
            })
        }
    }
}

fn fill<'s>(
    mut feed: Feed<'s>,
    input: &mut BufReader<Input>,
    framing: Framing,
    each: impl FnMut(&[u8], &mut Feed<'s>) -> Result<(), CliError>,
) -> Result<Imported, CliError> {
    let taken = feed.take_all(input, framing, each);
    feed.finish(taken)?;
    Ok(Imported { records: feed.put(), left_out: feed.left_out(), ..Imported::default() })
}

fn rows(
    stream: &Stream,
    format: DataFormat,
    input: &mut BufReader<Input>,
    args: Args,
) -> Result<Imported, CliError> {
    let KeySource::One(key) = args.key.required(None)? else {
        return Err(CliError::usage("rows go in under one key: give it with --key"));
    };
    let columns = match args.durability {
        Some(durability) => stream.columns().durability(durability),
        None => stream.columns(),
    };
    let put = feed::sync_after(stream, rows_in::put(&columns, &key, format, &args.types, input))?;
    Ok(Imported { records: put.records, rows: Some(put.rows), ..Imported::default() })
}

fn points(stream: &Stream, input: &mut BufReader<Input>, args: &Args) -> Result<Imported, CliError> {
    let dialect = match args.dialect {
        WhoseLines::V2Server => Dialect::V2Server,
        WhoseLines::V2Library => Dialect::V2Library,
        WhoseLines::V3 => Dialect::V3,
    };
    let precision = dialect.precision(&args.precision).map_err(|error| CliError::usage(error.to_string()))?;
    let options = match args.durability {
        Some(durability) => PointOptions::new().durability(durability),
        None => PointOptions::new(),
    };
    let options =
        LineOptions::new(dialect).precision(precision).accept_partial(args.keep_going).points(options);
    let mut imported = Imported::default();
    let read = read_points(stream, input, dialect, &options, args.keep_going, &mut imported);
    if let Err(error) = feed::sync_after(stream, read) {
        output::note(&format!("{} put", units::counted(imported.records, "record")));
        return Err(error);
    }
    Ok(imported)
}

fn read_points(
    stream: &Stream,
    input: &mut BufReader<Input>,
    dialect: Dialect,
    options: &LineOptions,
    keep_going: bool,
    imported: &mut Imported,
) -> Result<(), CliError> {
    let mut body = Vec::new();
    loop {
        match line_chunks::next(input, dialect, &mut body) {
            Ok(()) if body.is_empty() => return Ok(()),
            Ok(()) => {}
            Err(_) if input.get_ref().is_interrupted() => return Ok(()),
            Err(error) => return Err(CliError::io("read", input.get_ref().name())(error)),
        }
        let results = match stream.write_line_protocol(&body, options) {
            Ok(puts) => {
                imported.records += puts.len() as u64;
                continue;
            }
            Err(WriteLinesError::Partial { results }) => results.into_results(),
            Err(error) => return Err(CliError::Points(error)),
        };
        let mut refused = None;
        for result in results {
            match result {
                Ok(_) => imported.records += 1,
                Err(PutLineError::Put(error)) if !(keep_going && is_about_the_record(&error)) => {
                    refused = refused.or(Some(error));
                }
                Err(error) => {
                    imported.left_out += 1;
                    output::note(&format!("left out: {error}"));
                }
            }
        }
        if let Some(error) = refused {
            return Err(error.into());
        }
    }
}

/// Whether it is the record that cannot be put, and others can.
fn is_about_the_record(error: &PutError) -> bool {
    matches!(
        error,
        PutError::PartitionKey(_) | PutError::RecordTooLarge { .. } | PutError::MetadataTooLarge { .. }
    )
}
