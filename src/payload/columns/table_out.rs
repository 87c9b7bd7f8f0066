//! Rows of a stream in other formats: what CSV, JSON lines and Parquet have in common.

use std::io::{self, Write};

use super::write_error::WriteRowsError;

/// What was written in another format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TableWritten {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A destination that counts what it has taken, and keeps the error when it takes no more: formats turn it into text.
pub(super) struct Counted<W> {
    out: W,
    written: u64,
    failure: Option<io::Error>,
}

impl<W: Write> Counted<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, written: 0, failure: None }
    }

    /// What became of writing it all: so many rows, or an error.
    pub(super) fn conclude(
        mut self,
        outcome: Result<u64, WriteRowsError>,
    ) -> Result<TableWritten, WriteRowsError> {
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        let rows = outcome?;
        self.out.flush()?;
        Ok(TableWritten { rows, bytes: self.written })
    }

    fn note<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        outcome.map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failure.get_or_insert(error);
            }
            kind.into()
        })
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = self.out.write(bytes);
        let count = self.note(outcome)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let outcome = self.out.flush();
        self.note(outcome)
    }
}
