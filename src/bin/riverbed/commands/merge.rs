//! `riverbed merge`.

use std::path::Path;

use riverbed::ShardId;

use super::split::Resharded;
use crate::error::CliError;
use crate::output::Output;
use crate::{Outcome, opening, values};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riverbed --store data merge clicks 1 2")]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// A shard: its number or id
    #[arg(value_parser = values::shard)]
    shard: ShardId,
    /// The one whose hash keys begin where the other's end
    #[arg(value_parser = values::shard)]
    adjacent_shard: ShardId,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::write(path)?;
    let child = store.open_stream(&args.stream)?.merge_shards(args.shard, args.adjacent_shard)?;
    store.close()?;
    Resharded {
        stream: args.stream.clone(),
        parent_shard_ids: vec![args.shard.to_string(), args.adjacent_shard.to_string()],
        child_shard_ids: vec![child.to_string()],
    }
    .write(out)
}
