//! `riverbed get`.

use std::path::Path;

use riverbed::{Position, SequenceNumber};

use crate::Outcome;
use crate::error::CliError;
use crate::opening;
use crate::output::Output;
use crate::record_format::{RecordFormat, RecordWriter};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riverbed --store data get clicks 4294967296 --format json")]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// The record's sequence number, or that of any row of a batch
    sequence_number: SequenceNumber,
    /// How to show it
    #[arg(short, long, value_enum)]
    format: Option<RecordFormat>,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::read(path)?;
    let stream = store.open_stream(&args.stream)?;
    let number = args.sequence_number;
    let mut reader = stream.reader(number.shard_id(), Position::AtSequenceNumber(number))?;
    match reader.next()? {
        Some(record) if (record.sequence_number()..=record.last_sequence_number()).contains(&number) => {
            let format = RecordFormat::of(args.format, out);
            RecordWriter::new(format).of_stream(&args.stream, out).write(&record, out)?;
            Ok(Outcome::Fine)
        }
        _ => Err(CliError::NoRecord { number }),
    }
}
