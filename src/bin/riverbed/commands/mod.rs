//! The commands, one file for each.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod consumers;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod doctor;
pub(crate) mod dump;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod put;
pub(crate) mod repair;
pub(crate) mod reshard;
pub(crate) mod retention;
pub(crate) mod split;
pub(crate) mod stats;
pub(crate) mod tail;
pub(crate) mod trim;
pub(crate) mod verify;

use crate::Outcome;
use crate::args::{Cli, Command};
use crate::error::CliError;
use crate::output::Output;

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli, out: &mut Output) -> Result<Outcome, CliError> {
    let store = &*cli.store;
    match cli.command {
        Command::Create(args) => create::run(store, &args, out),
        Command::List(args) => list::run(store, &args, out),
        Command::Describe(args) => describe::run(store, &args, out),
        Command::Delete(args) => delete::run(store, &args, out),
        Command::Put(args) => put::run(store, args, out),
        Command::Import(args) => import::run(store, args, out),
        Command::Export(args) => export::run(store, &args, out),
        Command::Get(args) => get::run(store, &args, out),
        Command::Tail(args) => tail::run(store, &args, out),
        Command::Stats(args) => stats::run(store, &args, out),
        Command::Retention(args) => retention::run(store, &args, out),
        Command::Trim(args) => trim::run(store, &args, out),
        Command::Split(args) => split::run(store, &args, out),
        Command::Merge(args) => merge::run(store, &args, out),
        Command::Reshard(args) => reshard::run(store, &args, out),
        Command::Consumers(args) => consumers::run(store, args, out),
        Command::Verify(args) => verify::run(store, &args, out),
        Command::Repair(args) => repair::run(store, &args, out),
        Command::Dump(args) => dump::run(store, &args, out),
        Command::Bench(args) => bench::run(&args, out),
        Command::Doctor(args) => doctor::run(store, &args, out),
        Command::Completions(args) => completions::run(&args, out),
        Command::Man(args) => man::run(&args, out),
    }
}
