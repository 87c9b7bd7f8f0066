//! Where commands write to.

use std::error::Error;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anstream::ColorChoice;
use serde::Serialize;

use crate::error::CliError;

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// Standard output: facts for people, or as JSON. Records are written to it as they are.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    json: bool,
    colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let stdout = io::stdout();
        // Asks NO_COLOR, CLICOLOR, TERM and whether it is a terminal.
        let colour = anstream::AutoStream::choice(&stdout) != ColorChoice::Never;
        Self { out: BufWriter::with_capacity(64 << 10, stdout.lock()), json, colour }
    }

    /// Whether facts are wanted as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes a whole document of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        serde_json::to_writer_pretty(&mut self.out, value)?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Writes JSON in one line, as one of many.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        serde_json::to_writer(&mut self.out, value)?;
        Ok(self.out.write_all(b"\n")?)
    }

    pub(crate) fn line(&mut self, text: &str) -> Result<(), CliError> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Writes a line that should be seen first.
    pub(crate) fn heading(&mut self, text: &str) -> Result<(), CliError> {
        Ok(if self.colour {
            writeln!(self.out, "{BOLD}{text}{PLAIN}")
        } else {
            writeln!(self.out, "{text}")
        }?)
    }

    /// Writes a line that says that something is wrong.
    pub(crate) fn alarm(&mut self, text: &str) -> Result<(), CliError> {
        Ok(if self.colour { writeln!(self.out, "{RED}{text}{PLAIN}") } else { writeln!(self.out, "{text}") }?)
    }

    /// Clears a terminal, so that what follows takes the place of what was there; does nothing else where.
    pub(crate) fn clear(&mut self) -> Result<(), CliError> {
        if io::stdout().is_terminal() {
            self.out.write_all(b"\x1b[H\x1b[2J")?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Says on standard error what went wrong, and why.
pub(crate) fn complain(error: &dyn Error) {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    note(&text);
}

/// Says something on standard error.
pub(crate) fn note(text: &str) {
    // Who has closed standard error does not want to know.
    drop(writeln!(io::stderr(), "{text}"));
}
