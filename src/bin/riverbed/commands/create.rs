//! `riverbed create`.

use std::path::Path;
use std::time::Duration;

use riverbed::{Durability, Retention, Store, StreamOptions};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::{Outcome, units, values};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riverbed --store data create clicks --shards 4 --keep 7d --keep-bytes 10GiB"
)]
pub(crate) struct Args {
    /// The stream's name: letters, digits, '_', '.' and '-'
    stream: String,
    /// How many shards it starts with
    #[arg(long, default_value_t = 1)]
    shards: u32,
    /// How long to keep records, such as 7d; for ever if not given
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    keep: Option<Duration>,
    /// How many bytes of records to keep, such as 10GiB; no limit if not given
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    keep_bytes: Option<u64>,
    /// What a put promises where it does not say: buffered, immediate, or the time within which a sync follows
    #[arg(long, default_value = "1s", value_parser = values::durability)]
    durability: Durability,
}

#[derive(Serialize)]
struct Created<'a> {
    store: &'a Path,
    stream: &'a str,
    shards: u32,
    retention_seconds: Option<f64>,
    retention_bytes: Option<u64>,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let mut retention = Retention::FOREVER;
    if let Some(age) = args.keep {
        retention = retention.and_age(age);
    }
    if let Some(bytes) = args.keep_bytes {
        retention = retention.and_bytes(bytes);
    }
    let store = Store::open(path)?;
    let options = StreamOptions::new().shards(args.shards).retention(retention).durability(args.durability);
    store.create_stream(&args.stream, options)?;
    store.close()?;
    if out.is_json() {
        out.json(&Created {
            store: path,
            stream: &args.stream,
            shards: args.shards,
            retention_seconds: args.keep.map(|age| age.as_secs_f64()),
            retention_bytes: args.keep_bytes,
        })?;
    } else {
        let shards = units::counted(args.shards.into(), "shard");
        out.line(&format!("{}: {shards}, records kept {}", args.stream, units::retention(retention)))?;
    }
    Ok(Outcome::Fine)
}
