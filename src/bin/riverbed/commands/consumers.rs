//! `riverbed consumers`.

use std::path::Path;

use clap::Subcommand;
use riverbed::{ConsumerError, ConsumerOptions, ShardLag, Stream};
use serde::Serialize;

use crate::confirm::confirm;
use crate::error::CliError;
use crate::output::{self, Output};
use crate::table::Table;
use crate::values::From;
use crate::{Outcome, opening, units};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  riverbed --store data consumers list clicks\n  \
                        riverbed --store data consumers lag clicks billing\n  \
                        riverbed --store data consumers reset clicks billing --to oldest")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List a stream's consumers, and how far behind they are
    #[command(after_help = "Example:\n  riverbed --store data consumers list clicks")]
    List {
        /// The stream's name
        stream: String,
    },
    /// Show how far a consumer is behind in each shard that it has not finished
    #[command(after_help = "Example:\n  riverbed --store data consumers lag clicks billing --json")]
    Lag {
        /// The stream's name
        stream: String,
        /// The consumer's name
        consumer: String,
    },
    /// Create a consumer, which does nothing where it is there already
    #[command(after_help = "Example:\n  riverbed --store data consumers create clicks billing --from latest")]
    Create {
        /// The stream's name
        stream: String,
        /// The consumer's name
        consumer: String,
        /// Where it begins: oldest, latest, a time or how long ago
        #[arg(long, value_name = "POSITION", default_value = "oldest")]
        from: From,
    },
    /// Delete a consumer with its checkpoints
    #[command(after_help = "Example:\n  riverbed --store data consumers delete clicks billing --yes")]
    Delete {
        /// The stream's name
        stream: String,
        /// The consumer's name
        consumer: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Set a consumer to a position; one that is damaged is made anew
    #[command(
        after_help = "Example:\n  riverbed --store data consumers reset clicks billing --to 2026-03-01T00:00:00Z"
    )]
    Reset {
        /// The stream's name
        stream: String,
        /// The consumer's name
        consumer: String,
        /// oldest, latest, a time or how long ago, in all shards; at:NUMBER or after:NUMBER in the number's shard
        #[arg(long, value_name = "POSITION")]
        to: From,
    },
}

#[derive(Serialize)]
struct Listed {
    consumer: String,
    unfinished_shards: usize,
    records_behind: u64,
    seconds_behind: Option<f64>,
}

#[derive(Serialize)]
struct LagJson {
    shard_id: String,
    checkpoint: String,
    records_behind: u64,
    seconds_behind: Option<f64>,
}

pub(crate) fn run(path: &Path, args: Args, out: &mut Output) -> Result<Outcome, CliError> {
    match args.command {
        Command::List { stream } => list(path, &stream, out),
        Command::Lag { stream, consumer } => lag(path, &stream, &consumer, out),
        Command::Create { stream, consumer, from } => create(path, &stream, &consumer, from, out),
        Command::Delete { stream, consumer, yes } => delete(path, &stream, &consumer, yes, out),
        Command::Reset { stream, consumer, to } => reset(path, &stream, &consumer, to, out),
    }
}

fn list(path: &Path, stream: &str, out: &mut Output) -> Result<Outcome, CliError> {
    let stream = opening::read(path)?.open_stream(stream)?;
    let mut consumers = Vec::new();
    let mut outcome = Outcome::Fine;
    for name in stream.list_consumers()? {
        let lags = match stream.consumer_lag(&name) {
            Ok(lags) => lags,
            // The others can be listed all the same.
            Err(error) => {
                output::complain(&CliError::from(error));
                outcome = Outcome::NotFine;
                continue;
            }
        };
        consumers.push(Listed {
            consumer: name,
            unfinished_shards: lags.len(),
            records_behind: lags.iter().map(|lag| lag.records).sum(),
            seconds_behind: lags.iter().filter_map(|lag| lag.behind).max().map(|behind| behind.as_secs_f64()),
        });
    }
    if out.is_json() {
        out.json(&consumers)?;
        return Ok(outcome);
    }
    let mut table = Table::new(&["CONSUMER", ">SHARDS", ">RECORDS BEHIND", ">TIME BEHIND"]);
    for consumer in consumers {
        table.row([
            consumer.consumer,
            consumer.unfinished_shards.to_string(),
            units::count(consumer.records_behind),
            behind(consumer.seconds_behind),
        ]);
    }
    table.write(out)?;
    Ok(outcome)
}

fn lag(path: &Path, stream: &str, consumer: &str, out: &mut Output) -> Result<Outcome, CliError> {
    let stream = opening::read(path)?.open_stream(stream)?;
    let lags: Vec<_> = stream.consumer_lag(consumer)?.iter().map(LagJson::new).collect();
    if out.is_json() {
        out.json(&lags)?;
        return Ok(Outcome::Fine);
    }
    let mut table = Table::new(&["SHARD", "CHECKPOINT", ">RECORDS BEHIND", ">TIME BEHIND"]);
    for lag in lags {
        let (count, time) = (units::count(lag.records_behind), behind(lag.seconds_behind));
        table.row([lag.shard_id, lag.checkpoint, count, time]);
    }
    table.write(out)?;
    Ok(Outcome::Fine)
}

fn behind(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "not known".to_owned(), |seconds| format!("{seconds:.1} s"))
}

impl LagJson {
    fn new(lag: &ShardLag) -> Self {
        Self {
            shard_id: lag.shard_id.to_string(),
            checkpoint: lag.checkpoint.to_string(),
            records_behind: lag.records,
            seconds_behind: lag.behind.map(|behind| behind.as_secs_f64()),
        }
    }
}

/// Does something to a consumer, in a store that nobody else writes to.
fn change(
    path: &Path,
    stream: &str,
    consumer: &str,
    change: impl FnOnce(&Stream) -> Result<(), ConsumerError>,
    done: &str,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let store = opening::write(path)?;
    change(&store.open_stream(stream)?)?;
    store.close()?;
    if out.is_json() {
        out.json(&serde_json::json!({ "stream": stream, "consumer": consumer, "done": done }))?;
    } else {
        out.line(&format!("{consumer} {done}"))?;
    }
    Ok(Outcome::Fine)
}

fn create(
    path: &Path,
    stream: &str,
    consumer: &str,
    from: From,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let create = |stream: &Stream| {
        let options = ConsumerOptions::new().start(from.position().0);
        stream.consumer_with(consumer, options).map(drop)
    };
    change(path, stream, consumer, create, "is there", out)
}

fn reset(path: &Path, stream: &str, consumer: &str, to: From, out: &mut Output) -> Result<Outcome, CliError> {
    let reset = |stream: &Stream| stream.reset_consumer(consumer, to.position().0);
    change(path, stream, consumer, reset, "goes on from there", out)
}

fn delete(
    path: &Path,
    stream: &str,
    consumer: &str,
    yes: bool,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    if !confirm(yes, &format!("Delete the consumer '{consumer}' with its checkpoints?"))? {
        output::note("nothing was deleted");
        return Ok(Outcome::NotFine);
    }
    let delete = |stream: &Stream| stream.delete_consumer(consumer);
    change(path, stream, consumer, delete, "is gone", out)
}
