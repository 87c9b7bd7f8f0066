//! Where commands write to.

use std::error::Error;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use anstream::ColorChoice;
use serde::Serialize;

use crate::error::CliError;

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// Standard output: facts for people, or as JSON. Records are written to it as they are.
pub(crate) struct Output {
    out: BufWriter<Stdout>,
    json: bool,
    colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let stdout = io::stdout();
        // Asks NO_COLOR, CLICOLOR, TERM and whether it is a terminal.
        let colour = anstream::AutoStream::choice(&stdout) != ColorChoice::Never;
        Self { out: BufWriter::with_capacity(64 << 10, stdout), json, colour }
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

    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// How many columns and lines a terminal has.
    pub(crate) fn room(&self) -> Option<(usize, usize)> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
    }

    /// Clears a terminal, so that what follows takes the place of what was there; does nothing elsewhere.
    pub(crate) fn start_over(&mut self) -> Result<(), CliError> {
        if self.is_terminal() {
            self.out.write_all(b"\x1b[H\x1b[J")?;
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
        let cause_text = cause.to_string();
        // Some errors say themselves what has caused them.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    note(&text);
}

/// Says something on standard error.
pub(crate) fn note(text: &str) {
    let mut stderr = io::stderr();
    // In the place of a progress bar, which is drawn again below.
    let start = if stderr.is_terminal() { "\r\u{1b}[2K" } else { "" };
    // Who has closed standard error does not want to know.
    drop(writeln!(stderr, "{start}{text}"));
}
