//! `riverbed tail`.

use std::path::Path;
use std::thread;
use std::time::Duration;

use riverbed::{
    MergedReader, ReadError, ReadOnlyStream, Reader, ReaderOptions, Record, ShardFilter, ShardId,
};

use crate::Outcome;
use crate::error::CliError;
use crate::opening;
use crate::output::{self, Output};
use crate::record_format::{RecordFormat, RecordWriter};
use crate::signals::Interrupt;
use crate::values::{self, From};

/// How long a follower waits before it looks again.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  riverbed --store data tail clicks --follow\n  \
                        riverbed --store data tail clicks --from 15m --format json | jq .partition_key\n  \
                        riverbed --store data tail clicks --from after:4294967296 --limit 10")]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// Where to start: oldest, latest, at:NUMBER, after:NUMBER, a time (2026-03-01T12:00:00Z), or how long ago (15m).
    /// If not given, oldest, and latest with --follow
    #[arg(long, value_name = "POSITION")]
    from: Option<From>,
    /// Only this shard: its number or id
    #[arg(long, value_parser = values::shard)]
    shard: Option<ShardId>,
    /// Wait for more records until Ctrl-C
    #[arg(short = 'F', long)]
    follow: bool,
    /// Show no more records than this
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<u64>,
    /// How to show records
    #[arg(short, long, value_enum)]
    format: Option<RecordFormat>,
    /// Go on behind damage, and behind what retention takes away meanwhile
    #[arg(long)]
    skip_damage: bool,
}

/// One shard, or all of them.
enum Source {
    One(Reader),
    All(MergedReader),
}

impl Source {
    fn new(stream: &ReadOnlyStream, args: &Args) -> Result<Self, CliError> {
        let default = if args.follow { From::Latest } else { From::Oldest };
        let (position, of_shard) = args.from.unwrap_or(default).position();
        match (args.shard, of_shard) {
            (Some(shard), _) => Ok(Self::One(stream.reader(shard, position)?)),
            (None, Some(shard)) if stream.list_shards(ShardFilter::All)?.len() > 1 => {
                Err(CliError::usage(format!(
                    "that sequence number is a position in {shard} alone: add --shard {}, or give a time",
                    shard.as_u32()
                )))
            }
            (None, Some(shard)) => Ok(Self::One(stream.reader(shard, position)?)),
            (None, None) => Ok(Self::All(stream.merged_reader(position, ReaderOptions::new())?)),
        }
    }

    fn next(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        match self {
            Self::One(reader) => reader.next(),
            Self::All(reader) => reader.next(),
        }
    }

    fn skip_damage(&mut self) -> Result<(), ReadError> {
        match self {
            Self::One(reader) => reader.skip_damage(),
            Self::All(reader) => reader.skip_damage(),
        }
    }

    /// Waits a moment for more. False when there will be none.
    fn wait(&mut self) -> Result<bool, ReadError> {
        match self {
            Self::One(reader) => Ok(reader.wait(PAUSE)? || !reader.is_at_end()),
            Self::All(_) => {
                thread::sleep(PAUSE);
                Ok(true)
            }
        }
    }
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let interrupt = Interrupt::on_signals()?;
    let store = opening::read(path)?;
    let stream = store.open_stream(&args.stream)?;
    let mut source = Source::new(&stream, args)?;
    let mut writer = RecordWriter::new(args.format, out);
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut outcome = Outcome::Fine;
    while left > 0 && !interrupt.is_asked() {
        match source.next() {
            Ok(Some(record)) => {
                writer.write(&record, out)?;
                left -= 1;
            }
            Ok(None) => {
                out.flush()?;
                if !args.follow || !source.wait()? {
                    break;
                }
            }
            Err(error @ (ReadError::Corrupt { .. } | ReadError::Trimmed { .. })) if args.skip_damage => {
                output::complain(&CliError::from(error));
                outcome = Outcome::NotFine;
                source.skip_damage()?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(outcome)
}
