//! `riverbed completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Outcome;
use crate::args::Cli;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  riverbed completions bash > ~/.local/share/bash-completion/completions/riverbed"
)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    // By way of memory, since writing there cannot fail, and the generator would panic.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "riverbed", &mut script);
    std::io::Write::write_all(out, &script)?;
    Ok(Outcome::Fine)
}
