//! `riverbed split`.

use std::path::Path;

use riverbed::{HashKey, ShardFilter, ShardId};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::{Outcome, opening, values};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riverbed --store data split clicks 0")]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// The shard to split: its number or id
    #[arg(value_parser = values::shard)]
    shard: ShardId,
    /// The hash key with which the second one begins; the middle if not given
    #[arg(long, value_name = "HASH_KEY")]
    at: Option<HashKey>,
}

/// What shards became of what shards.
#[derive(Serialize)]
pub(crate) struct Resharded {
    pub(crate) stream: String,
    pub(crate) parent_shard_ids: Vec<String>,
    pub(crate) child_shard_ids: Vec<String>,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::write(path)?;
    let stream = store.open_stream(&args.stream)?;
    let shards = stream.list_shards(ShardFilter::All);
    let shard = shards.iter().find(|shard| shard.id == args.shard);
    let range = shard.ok_or(CliError::NoShard { shard_id: args.shard })?.range;
    let at = args.at.unwrap_or_else(|| {
        let (start, end) = (range.start.as_u128(), range.end.as_u128());
        HashKey::from(start + (end - start) / 2 + 1)
    });
    let children = stream.split_shard(args.shard, at)?;
    store.close()?;
    Resharded {
        stream: args.stream.clone(),
        parent_shard_ids: vec![args.shard.to_string()],
        child_shard_ids: children.iter().map(ToString::to_string).collect(),
    }
    .write(out)
}

impl Resharded {
    pub(crate) fn write(&self, out: &mut Output) -> Result<Outcome, CliError> {
        if out.is_json() {
            out.json(self)?;
        } else {
            let (parents, children) =
                (self.parent_shard_ids.join(" and "), self.child_shard_ids.join(" and "));
            out.line(&format!("{parents} closed; records go to {children} now"))?;
        }
        Ok(Outcome::Fine)
    }
}
