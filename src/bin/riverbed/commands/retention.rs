//! `riverbed retention`.

use std::path::Path;
use std::time::Duration;

use riverbed::Retention;
use serde::Serialize;

use crate::error::CliError;
use crate::opening;
use crate::output::Output;
use crate::{Outcome, units, values};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  riverbed --store data retention clicks\n  \
                        riverbed --store data retention clicks --keep 7d --keep-bytes 10GiB\n  \
                        riverbed --store data retention clicks --for-ever")]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// Keep records this long; what is older goes at once, a segment at a time
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    keep: Option<Duration>,
    /// Keep at most this many bytes
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    keep_bytes: Option<u64>,
    /// Keep everything
    #[arg(long, conflicts_with_all = ["keep", "keep_bytes"])]
    for_ever: bool,
}

#[derive(Serialize)]
struct RetentionJson<'a> {
    stream: &'a str,
    retention_seconds: Option<f64>,
    retention_bytes: Option<u64>,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let retention = if args.for_ever || args.keep.is_some() || args.keep_bytes.is_some() {
        change(path, args)?
    } else {
        opening::read(path)?.open_stream(&args.stream)?.retention()?
    };
    if out.is_json() {
        out.json(&RetentionJson {
            stream: &args.stream,
            retention_seconds: retention.age().map(|age| age.as_secs_f64()),
            retention_bytes: retention.bytes(),
        })?;
    } else {
        out.line(&format!("{}: records kept {}", args.stream, units::retention(retention)))?;
    }
    Ok(Outcome::Fine)
}

/// Changes what was given and leaves the rest.
fn change(path: &Path, args: &Args) -> Result<Retention, CliError> {
    let store = opening::write(path)?;
    let stream = store.open_stream(&args.stream)?;
    let mut retention = if args.for_ever { Retention::FOREVER } else { stream.retention() };
    if let Some(age) = args.keep {
        retention = retention.and_age(age);
    }
    if let Some(bytes) = args.keep_bytes {
        retention = retention.and_bytes(bytes);
    }
    stream.set_retention(retention)?;
    store.close()?;
    Ok(retention)
}
