//! `riverbed repair`.

use std::path::{Path, PathBuf};

use riverbed::{LeftAlone, RepairAction, RepairPlan, RepairReport, Store};
use serde::Serialize;

use super::verify::FaultJson;
use crate::Outcome;
use crate::confirm::confirm;
use crate::error::CliError;
use crate::output::{self, Output};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Shows what it would do, and asks. Files are moved to the store's quarantine; none is deleted.\n\n\
                        Examples:\n  riverbed --store data repair --dry-run\n  riverbed --store data repair --yes"
)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only show what would be done
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

#[derive(Serialize)]
struct Repaired<'a> {
    planned: Vec<ActionJson<'a>>,
    moved: Vec<Moved<'a>>,
    rewritten: &'a [PathBuf],
    left_alone: Vec<LeftAloneJson<'a>>,
}

#[derive(Serialize)]
struct ActionJson<'a> {
    kind: String,
    path: &'a Path,
    reason: &'a str,
}

impl<'a> ActionJson<'a> {
    fn new(action: &'a RepairAction) -> Self {
        Self { kind: format!("{:?}", action.kind), path: &action.path, reason: &action.reason }
    }
}

#[derive(Serialize)]
struct Moved<'a> {
    from: &'a Path,
    to: &'a Path,
}

#[derive(Serialize)]
struct LeftAloneJson<'a> {
    #[serde(flatten)]
    fault: FaultJson<'a>,
    why: &'a str,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let plan = Store::verify(path)?.repair_plan();
    if !out.is_json() {
        show_plan(&plan, out)?;
        out.flush()?;
    }
    let question = format!("Do this to {}?", path.display());
    if plan.actions.is_empty() || args.dry_run || !confirm(args.yes, &question)? {
        if !plan.actions.is_empty() {
            output::note("nothing was done");
        }
        return show(&plan, &RepairReport::default(), &plan.left_alone, out);
    }
    let report = Store::repair(path, &plan)?;
    show(&plan, &report, &report.left_alone, out)
}

fn show_plan(plan: &RepairPlan, out: &mut Output) -> Result<(), CliError> {
    if plan.actions.is_empty() {
        out.line(if plan.left_alone.is_empty() {
            "there is nothing to repair"
        } else {
            "nothing can be repaired"
        })?;
    } else {
        out.heading("To do:")?;
        plan.actions.iter().try_for_each(|action| out.line(&format!("  {action}")))?;
    }
    if !plan.left_alone.is_empty() {
        out.heading("Left alone:")?;
        plan.left_alone.iter().try_for_each(|left| out.alarm(&format!("  {left}")))?;
    }
    Ok(())
}

fn show(
    plan: &RepairPlan,
    report: &RepairReport,
    left_alone: &[LeftAlone],
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let undone = report.moved.is_empty() && report.rewritten.is_empty() && !plan.actions.is_empty();
    let outcome = if left_alone.is_empty() && !undone { Outcome::Fine } else { Outcome::NotFine };
    if out.is_json() {
        out.json(&Repaired {
            planned: plan.actions.iter().map(ActionJson::new).collect(),
            moved: report.moved.iter().map(|(from, to)| Moved { from, to }).collect(),
            rewritten: &report.rewritten,
            left_alone: left_alone
                .iter()
                .map(|left| LeftAloneJson { fault: FaultJson::new(&left.fault), why: left.why })
                .collect(),
        })?;
        return Ok(outcome);
    }
    for (from, to) in &report.moved {
        out.line(&format!("moved {} to {}", from.display(), to.display()))?;
    }
    for path in &report.rewritten {
        out.line(&format!("written anew: {}", path.display()))?;
    }
    Ok(outcome)
}
