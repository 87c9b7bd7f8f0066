//! `riverbed tail`.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use riverbed::{ReadError, ShardId};

use crate::Outcome;
use crate::error::CliError;
use crate::opening;
use crate::output::{self, Output};
use crate::record_format::{RecordFormat, RecordWriter};
use crate::signals::Interrupt;
use crate::source::Source;
use crate::values::{self, From};

/// How long a follower waits before it looks whether it is still wanted.
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

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let interrupt = Interrupt::on_signals()?;
    let store = opening::read(path)?;
    let stream = store.open_stream(&args.stream)?;
    let default = if args.follow { From::Latest } else { From::Oldest };
    let mut source = Source::new(&stream, args.from.unwrap_or(default), args.shard)?;
    let mut writer = RecordWriter::new(RecordFormat::of(args.format, out)).of_stream(&args.stream, out);
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
                if !args.follow || source.is_at_end() {
                    break;
                }
                let waiting = Instant::now();
                if !source.wait(PAUSE)? {
                    // A stream that was deleted meanwhile says so.
                    stream.shards()?;
                    thread::sleep(PAUSE.saturating_sub(waiting.elapsed()));
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
