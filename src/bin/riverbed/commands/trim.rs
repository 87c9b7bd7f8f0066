//! `riverbed trim`.

use std::path::Path;

use riverbed::SequenceNumber;

use crate::error::CliError;
use crate::output::Output;
use crate::{Outcome, opening, units};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Whole segments go: those whose records are all below the number. The newest segment stays.\n\n\
                        Example:\n  riverbed --store data trim clicks --before 4294967296000"
)]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// Records of this number's shard below it may go
    #[arg(long, value_name = "NUMBER")]
    before: SequenceNumber,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::write(path)?;
    let stream = store.open_stream(&args.stream)?;
    let freed = stream.trim_to(args.before)?;
    store.close()?;
    let shard_id = args.before.shard_id();
    if out.is_json() {
        let shard_id = shard_id.to_string();
        out.json(&serde_json::json!({ "stream": args.stream, "shard_id": shard_id, "freed_bytes": freed }))?;
    } else if freed == 0 {
        out.line(&format!(
            "{shard_id}: no segment has only records below {}; nothing was removed",
            args.before
        ))?;
    } else {
        out.line(&format!("{shard_id}: {} freed", units::bytes(freed)))?;
    }
    Ok(Outcome::Fine)
}
