//! `riverbed reshard`.

use std::path::Path;

use crate::error::CliError;
use crate::output::Output;
use crate::{Outcome, opening, units};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riverbed --store data reshard clicks 8")]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// How many open shards it is to have: half to twice as many as now
    shards: u32,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::write(path)?;
    let stream = store.open_stream(&args.stream)?;
    let before = stream.shards().len() as u64;
    stream.update_shard_count(args.shards)?;
    let shards: Vec<_> = stream.shards().iter().map(|shard| shard.id.to_string()).collect();
    store.close()?;
    if out.is_json() {
        out.json(&serde_json::json!({ "stream": args.stream, "before": before, "open_shard_ids": shards }))?;
    } else {
        out.line(&format!(
            "{}: {} before, {} now",
            args.stream,
            units::counted(before, "open shard"),
            shards.len()
        ))?;
    }
    Ok(Outcome::Fine)
}
