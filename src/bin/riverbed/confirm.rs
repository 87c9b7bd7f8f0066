//! Asking before something is done that cannot be undone.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::error::CliError;

/// Whether to go on: `yes` was given, or somebody at the terminal says so.
pub(crate) fn confirm(yes: bool, question: &str) -> Result<bool, CliError> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::usage(format!("{question} Nobody is there to say so: give --yes")));
    }
    let mut stderr = io::stderr();
    let terminal = Path::new("the terminal");
    write!(stderr, "{question} [y/N] ")
        .and_then(|()| stderr.flush())
        .map_err(CliError::io("ask at", terminal))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(CliError::io("read from", terminal))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
