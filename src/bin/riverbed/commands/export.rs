//! `riverbed export`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use riverbed::columns::{BatchReaderOptions, IpcFormat};
use riverbed::{ReadOnlyStream, Record, ShardId, Timestamp};
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::data_format::DataFormat;
use crate::destination::Destination;
use crate::error::CliError;
use crate::output::Output;
use crate::record_format::{self, RecordFormat, RecordWriter};
use crate::rows_out::{self, RowsOptions};
use crate::signals::Interrupt;
use crate::source::{self, Source};
use crate::values::{self, From};
use crate::{Outcome, opening, progress, units};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Works beside a writer, and ends with what there is now. A file gets its name when it is whole. The format \
                        is that of its name (.jsonl, .lp, .csv, .parquet, .arrow) or of --format; `records` keeps everything, the \
                        others keep data or rows alone.\n\nExamples:\n  \
                        riverbed --store data export clicks clicks.jsonl\n  \
                        riverbed --store data export metrics --format line-protocol --from 1d | gzip > metrics.lp.gz\n  \
                        riverbed --store data export taxis taxis.arrow --sequence-numbers"
)]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// The file; standard output if not given, or if it is -
    file: Option<PathBuf>,
    /// How records are to lie in it
    #[arg(short, long, value_enum)]
    format: Option<DataFormat>,
    /// Where to start: oldest, latest, at:NUMBER, after:NUMBER, a time (2026-03-01T12:00:00Z), or how long ago (15m)
    #[arg(long, value_name = "POSITION", default_value = "oldest")]
    from: From,
    /// Only what arrived before this time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak)]
    until: Option<SystemTime>,
    /// Only this shard: its number or id
    #[arg(long, value_parser = values::shard)]
    shard: Option<ShardId>,
    /// With rows: add the columns seq_number and stream_time, and shard_id where all shards are merged
    #[arg(long)]
    sequence_numbers: bool,
}

#[derive(Default, Serialize)]
struct Exported {
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let file = values::file(args.file.as_ref());
    let format = DataFormat::of(args.format, file);
    if args.sequence_numbers && !format.is_of_rows() {
        return Err(CliError::usage("only rows have columns for --sequence-numbers: use --format records"));
    }
    let interrupt = Interrupt::on_signals()?;
    let stream = opening::read(path)?.open_stream(&args.stream)?;
    let mut to = Destination::new(file, out)?;
    let exported = match format {
        format if format.is_of_rows() => rows(&stream, args, &interrupt, format, &mut to)?,
        format => records(&stream, args, &interrupt, format, &mut to)?,
    };
    to.finish()?;
    let Some(file) = file else {
        // Only what was exported goes to where it goes.
        return Ok(Outcome::Fine);
    };
    if out.is_json() {
        out.json(&exported)?;
    } else {
        let count = match exported.rows {
            Some(rows) => units::counted(rows, "row"),
            None => units::counted(exported.records.unwrap_or_default(), "record"),
        };
        out.line(&format!("{count}, in {}", file.display()))?;
    }
    Ok(Outcome::Fine)
}

fn records(
    stream: &ReadOnlyStream,
    args: &Args,
    interrupt: &Interrupt,
    format: DataFormat,
    to: &mut impl Write,
) -> Result<Exported, CliError> {
    let until = args.until.map(Timestamp::from);
    let mut source = Source::new(stream, args.from, args.shard)?;
    let total: u64 = stream.stats()?.total.records;
    let progress = progress::records((args.from == From::Oldest && args.shard.is_none()).then_some(total));
    let mut points = RecordWriter::new(RecordFormat::Points);
    let mut whole = RecordWriter::new(RecordFormat::Json);
    let mut count = 0;
    while let Some(record) = source.next()? {
        if until.is_some_and(|until| record.arrival_time() >= until) {
            break;
        }
        if interrupt.is_asked() {
            return Err(CliError::Interrupted);
        }
        match format {
            DataFormat::LineProtocol => points.write(&record, to)?,
            DataFormat::Records => whole.write(&record, to)?,
            format => write_data(&record, format, to)?,
        }
        count += 1;
        progress.inc(1);
    }
    Ok(Exported { records: Some(count), rows: None })
}

/// Writes a record's data so that whoever reads them finds where they end.
fn write_data(record: &Record<'_>, format: DataFormat, to: &mut impl Write) -> Result<(), CliError> {
    let data = record_format::plain_data(record)?;
    let number = record.sequence_number();
    let problem = |problem: String| Err(CliError::Show { number, problem });
    let written = match format {
        DataFormat::LengthPrefixed => match u32::try_from(data.len()) {
            Ok(length) => to.write_all(&length.to_be_bytes()).and_then(|()| to.write_all(data)),
            Err(_) => return problem("it is longer than four bytes can say".to_owned()),
        },
        DataFormat::JsonLines => {
            if let Err(error) = serde_json::from_slice::<IgnoredAny>(data) {
                return problem(format!("it is no JSON: {error}; use --format records"));
            }
            // In JSON they are nowhere but between tokens.
            let line: Vec<u8> =
                data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
            to.write_all(&line).and_then(|()| to.write_all(b"\n"))
        }
        format => {
            let (end, name) = if format == DataFormat::Nul { (0, "a NUL") } else { (b'\n', "a line feed") };
            if data.contains(&end) {
                return problem(format!("there is {name} in it: use --format length-prefixed or records"));
            }
            to.write_all(data).and_then(|()| to.write_all(&[end]))
        }
    };
    Ok(written?)
}

fn rows(
    stream: &ReadOnlyStream,
    args: &Args,
    interrupt: &Interrupt,
    format: DataFormat,
    to: &mut (impl Write + Send),
) -> Result<Exported, CliError> {
    let columns = stream.columns();
    let mut reading = BatchReaderOptions::new();
    if let Some(newest) = columns.newest_schema()? {
        // One for all: older rows get nulls where they lack a column.
        reading = reading.schema(newest);
    }
    let (position, shard) = source::position(stream, args.from, args.shard)?;
    let reader = match shard {
        Some(shard) => columns.reader_with(shard, position, reading)?,
        None => columns.merged_reader(position, reading)?,
    };
    let is_stream =
        args.file.as_deref().and_then(Path::extension).is_none_or(|extension| extension == "arrows");
    let options = RowsOptions {
        ipc: if is_stream { IpcFormat::Stream } else { IpcFormat::File },
        sequence_numbers: args.sequence_numbers,
        until: args.until.map(Timestamp::from),
    };
    let rows = rows_out::write(reader, format, options, interrupt, to)?;
    Ok(Exported { rows: Some(rows), ..Exported::default() })
}
