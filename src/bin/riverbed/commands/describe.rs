//! `riverbed describe`.

use std::path::Path;

use clap::ValueEnum;
use riverbed::{ShardFilter, ShardInfo, ShardStats};
use serde::Serialize;

use crate::error::CliError;
use crate::opening;
use crate::output::Output;
use crate::table::Table;
use crate::{Outcome, units};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riverbed --store data describe clicks --shards open")]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// Which shards to show
    #[arg(long, value_enum, default_value_t = Which::All)]
    shards: Which,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// Open and closed ones
    All,
    /// Those that take records
    Open,
    /// Those to begin with when everything that is kept is to be read
    Oldest,
}

#[derive(Serialize)]
struct Described<'a> {
    stream: &'a str,
    retention_seconds: Option<f64>,
    retention_bytes: Option<u64>,
    records: u64,
    bytes: u64,
    shards: Vec<ShardJson>,
}

#[derive(Serialize)]
struct ShardJson {
    shard_id: String,
    open: bool,
    starting_hash_key: String,
    ending_hash_key: String,
    hash_key_share: f64,
    parent_shard_id: Option<String>,
    adjacent_parent_shard_id: Option<String>,
    starting_sequence_number: String,
    ending_sequence_number: Option<String>,
    created: String,
    closed: Option<String>,
    records: u64,
    segments: usize,
    bytes: u64,
    oldest_record: Option<String>,
    newest_record: Option<String>,
}

impl ShardJson {
    fn new(info: &ShardInfo, stats: Option<&ShardStats>) -> Self {
        Self {
            shard_id: info.id.to_string(),
            open: info.is_open(),
            starting_hash_key: info.range.start.to_string(),
            ending_hash_key: info.range.end.to_string(),
            hash_key_share: info.range.share(),
            parent_shard_id: info.parent_shard_id.map(|id| id.to_string()),
            adjacent_parent_shard_id: info.adjacent_parent_shard_id.map(|id| id.to_string()),
            starting_sequence_number: info.starting_sequence_number.to_string(),
            ending_sequence_number: info.ending_sequence_number.map(|number| number.to_string()),
            created: units::time(info.created),
            closed: info.closed.map(units::time),
            records: stats.map_or(0, |stats| stats.records),
            segments: stats.map_or(0, |stats| stats.segments),
            bytes: stats.map_or(0, |stats| stats.bytes),
            oldest_record: stats.and_then(|stats| stats.oldest).map(|(_, time)| units::time(time)),
            newest_record: stats.and_then(|stats| stats.newest).map(|(_, time)| units::time(time)),
        }
    }
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::read(path)?;
    let stream = store.open_stream(&args.stream)?;
    let filter = match args.shards {
        Which::All => ShardFilter::All,
        Which::Open => ShardFilter::AtLatest,
        Which::Oldest => ShardFilter::AtTrimHorizon,
    };
    let stats = stream.stats()?;
    let retention = stream.retention()?;
    let shards: Vec<_> = stream
        .list_shards(filter)?
        .iter()
        .map(|info| ShardJson::new(info, stats.shards.iter().find(|stats| stats.shard_id == info.id)))
        .collect();
    let described = Described {
        stream: stream.name(),
        retention_seconds: retention.age().map(|age| age.as_secs_f64()),
        retention_bytes: retention.bytes(),
        records: stats.total.records,
        bytes: stats.total.bytes,
        shards,
    };
    if out.is_json() {
        out.json(&described)?;
        return Ok(Outcome::Fine);
    }
    out.line(&format!("stream     {}", described.stream))?;
    out.line(&format!("retention  {}", units::retention(retention)))?;
    out.line(&format!("records    {}", units::count(described.records)))?;
    out.line(&format!("on disk    {}", units::bytes(described.bytes)))?;
    out.line("")?;
    let headings =
        ["SHARD", "STATE", "FROM", ">HASH KEYS FROM", ">SHARE", ">RECORDS", ">SEGMENTS", ">ON DISK"];
    let mut table = Table::new(&headings);
    for shard in described.shards {
        let parents: Vec<_> = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id]
            .into_iter()
            .flatten()
            .map(|id| short_id(id))
            .collect();
        table.row([
            shard.shard_id,
            if shard.open { "open" } else { "closed" }.to_owned(),
            if parents.is_empty() { "-".to_owned() } else { parents.join("+") },
            shard.starting_hash_key,
            format!("{:.2} %", shard.hash_key_share * 100.0),
            units::count(shard.records),
            shard.segments.to_string(),
            units::bytes(shard.bytes),
        ]);
    }
    table.write(out)?;
    Ok(Outcome::Fine)
}

/// The number in a shard's id, as commands take it.
fn short_id(id: &str) -> String {
    id.trim_start_matches(|character: char| !character.is_ascii_digit())
        .trim_start_matches('0')
        .parse()
        .unwrap_or(0_u32)
        .to_string()
}
