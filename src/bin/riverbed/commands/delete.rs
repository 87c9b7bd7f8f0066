//! `riverbed delete`.

use std::path::Path;

use crate::confirm::confirm;
use crate::error::CliError;
use crate::output::{self, Output};
use crate::{Outcome, opening, units};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  riverbed --store data delete clicks --yes")]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::write(path)?;
    let stream = store.open_stream(&args.stream)?;
    let records: u64 = stream.stats().total.records;
    let question =
        format!("Delete the stream '{}' with {} for good?", args.stream, units::counted(records, "record"));
    if !confirm(args.yes, &question)? {
        output::note("nothing was deleted");
        return Ok(Outcome::NotFine);
    }
    store.delete_stream(&args.stream)?;
    store.close()?;
    if out.is_json() {
        out.json(&serde_json::json!({ "stream": args.stream, "deleted_records": records }))?;
    } else {
        out.line(&format!("{} is gone, with {}", args.stream, units::counted(records, "record")))?;
    }
    Ok(Outcome::Fine)
}
