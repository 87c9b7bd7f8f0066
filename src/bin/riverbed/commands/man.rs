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
    let mut command = Cli::command();
    let Some(dir) = &args.dir else {
        Man::new(command).render(out)?;
        return Ok(Outcome::Fine);
    };
    command.build();
    fs::create_dir_all(dir).map_err(CliError::io("create", dir))?;
    let mut pages = vec![Man::new(command.clone())];
    pages.extend(command.get_subcommands().filter(|sub| sub.get_name() != "help").cloned().map(Man::new));
    for page in &pages {
        let path = dir.join(page.get_filename());
        let mut bytes = Vec::new();
        page.render(&mut bytes)?;
        fs::write(&path, bytes).map_err(CliError::io("write", &path))?;
    }
    out.line(&format!("{} pages in {}", pages.len(), dir.display()))?;
    Ok(Outcome::Fine)
}
