//! `riverbed`: stores of streams, from the command line.

mod args;
mod commands;
mod confirm;
mod data_format;
mod destination;
mod error;
mod feed;
mod framing;
mod input;
mod key_source;
mod line_chunks;
mod opening;
mod output;
mod progress;
mod rates;
mod record_format;
mod rows_in;
mod rows_out;
mod signals;
mod source;
mod table;
mod units;
mod values;
mod whole_record;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use error::CliError;
use output::Output;

/// What a command that ran to its end has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Exit code 0.
    Fine,
    /// It did what it was asked, and what it found or could not finish calls for somebody: exit code 1.
    NotFine,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = Output::new(cli.json);
    let outcome = commands::run(cli, &mut out);
    let outcome = match out.flush() {
        Err(error) if outcome.is_ok() => Err(error.into()),
        _ => outcome,
    };
    match outcome {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::NotFine) => ExitCode::from(1),
        // Who has read enough closes the pipe.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::from(if matches!(error, CliError::Usage { .. }) { 2 } else { 1 })
        }
    }
}
