//! `riverbed man`.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::Outcome;
use crate::args::Cli;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  riverbed man | man -l -\n  riverbed man --dir ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Write the page of each command into this directory, instead of the main one to standard output
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let Some(dir) = &args.dir else {
        Man::new(Cli::command()).render(out)?;
        return Ok(Outcome::Fine);
    };
    fs::create_dir_all(dir).map_err(CliError::io("create", dir))?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(CliError::io("write to", dir))?;
    out.line(&format!("the manual's pages are in {}", dir.display()))?;
    Ok(Outcome::Fine)
}
