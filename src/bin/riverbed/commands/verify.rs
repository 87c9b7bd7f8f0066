//! `riverbed verify`.

use std::path::Path;

use riverbed::{Fault, Severity, Store};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::{Outcome, units};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Works beside a writer, and on a store that does not open. Exit code 1 when there is damage.\n\n\
                        Example:\n  riverbed --store data verify --json | jq .damaged"
)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Verified<'a> {
    damaged: bool,
    streams: u64,
    segments: u64,
    records: u64,
    bytes: u64,
    faults: Vec<FaultJson<'a>>,
}

/// A fault, with names that stay.
#[derive(Serialize)]
pub(crate) struct FaultJson<'a> {
    path: &'a Path,
    offset: u64,
    kind: String,
    severity: &'static str,
    detail: &'a str,
}

impl<'a> FaultJson<'a> {
    pub(crate) fn new(fault: &'a Fault) -> Self {
        Self {
            path: &fault.path,
            offset: fault.offset,
            kind: format!("{:?}", fault.kind),
            severity: severity(fault.severity),
            detail: &fault.detail,
        }
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Derived => "derived",
        Severity::UnacknowledgedTail => "unacknowledged tail",
        Severity::Damage => "damage",
    }
}

pub(crate) fn run(path: &Path, _: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let report = Store::verify(path)?;
    let outcome = if report.is_damaged() { Outcome::NotFine } else { Outcome::Fine };
    if out.is_json() {
        out.json(&Verified {
            damaged: report.is_damaged(),
            streams: report.streams,
            segments: report.segments,
            records: report.records,
            bytes: report.bytes,
            faults: report.faults.iter().map(FaultJson::new).collect(),
        })?;
        return Ok(outcome);
    }
    for fault in &report.faults {
        let line = format!("{}: {fault}", severity(fault.severity));
        if fault.severity == Severity::Damage { out.alarm(&line) } else { out.line(&line) }?;
    }
    out.line(&format!(
        "{} in {} of {}, {} read",
        units::counted(report.records, "record"),
        units::counted(report.segments, "segment"),
        units::counted(report.streams, "stream"),
        units::bytes(report.bytes)
    ))?;
    match report.damage().count() {
        0 => out.line("no damage"),
        1 => out.alarm("1 fault is damage: `riverbed repair` shows what can be done"),
        count => out.alarm(&format!("{count} faults are damage: `riverbed repair` shows what can be done")),
    }?;
    Ok(outcome)
}
