//! `riverbed list`.

use std::path::Path;

use riverbed::ShardFilter;
use serde::Serialize;

use crate::error::CliError;
use crate::opening;
use crate::output::{self, Output};
use crate::table::Table;
use crate::{Outcome, units};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riverbed --store data list --json")]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Listed {
    stream: String,
    open_shards: usize,
    records: u64,
    bytes: u64,
    newest: Option<String>,
}

pub(crate) fn run(path: &Path, _: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::read(path)?;
    let mut streams = Vec::new();
    let mut outcome = Outcome::Fine;
    for name in store.list_streams()? {
        match look(&store, &name) {
            Ok(listed) => streams.push(listed),
            // The others can be listed all the same.
            Err(error) => {
                output::complain(&error);
                outcome = Outcome::NotFine;
            }
        }
    }
    if out.is_json() {
        out.json(&streams)?;
        return Ok(outcome);
    }
    let mut table = Table::new(&["STREAM", ">SHARDS", ">RECORDS", ">ON DISK", "NEWEST RECORD"]);
    for listed in streams {
        table.row([
            listed.stream,
            listed.open_shards.to_string(),
            units::count(listed.records),
            units::bytes(listed.bytes),
            listed.newest.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.write(out)?;
    Ok(outcome)
}

fn look(store: &riverbed::ReadOnlyStore, name: &str) -> Result<Listed, CliError> {
    let stream = store.open_stream(name)?;
    let stats = stream.stats()?;
    let newest = stats.total.newest;
    Ok(Listed {
        stream: name.to_owned(),
        open_shards: stream.list_shards(ShardFilter::AtLatest)?.len(),
        records: stats.total.records,
        bytes: stats.total.bytes,
        newest: newest.map(units::short_time),
    })
}
