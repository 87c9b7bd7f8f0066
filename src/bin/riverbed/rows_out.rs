//! Rows of a stream into a file.

use std::io::{self, Write};

use riverbed::Timestamp;
use riverbed::columns::{
    BatchReader, IpcFormat, IpcOptions, WriteCsvOptions, WriteJsonOptions, WriteParquetOptions,
};

use crate::data_format::DataFormat;
use crate::error::CliError;
use crate::signals::Interrupt;

/// What to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsOptions {
    pub(crate) ipc: IpcFormat,
    pub(crate) sequence_numbers: bool,
    pub(crate) until: Option<Timestamp>,
}

/// Writes what a reader shows; returns how many rows that were.
pub(crate) fn write(
    mut reader: BatchReader,
    format: DataFormat,
    options: RowsOptions,
    interrupt: &Interrupt,
    to: &mut (impl Write + Send),
) -> Result<u64, CliError> {
    let to = Interruptible { to, interrupt };
    macro_rules! ranged {
        ($options:expr) => {{
            let ranged = $options.sequence_numbers(options.sequence_numbers);
            match options.until {
                Some(until) => ranged.before_time(until),
                None => ranged,
            }
        }};
    }
    let rows = match format {
        DataFormat::Csv => reader.write_csv(to, &ranged!(WriteCsvOptions::new())).map(|written| written.rows),
        DataFormat::JsonRows => {
            reader.write_json_lines(to, &ranged!(WriteJsonOptions::new())).map(|written| written.rows)
        }
        DataFormat::Parquet => {
            reader.write_parquet(to, &ranged!(WriteParquetOptions::new())).map(|written| written.rows)
        }
        _ => {
            let options = ranged!(IpcOptions::new().format(options.ipc));
            reader.write_ipc(to, options).map(|written| written.rows)
        }
    };
    if interrupt.is_asked() { Err(CliError::Interrupted) } else { Ok(rows?) }
}

/// Takes no more when somebody wants the command to end.
struct Interruptible<'w, W> {
    to: &'w mut W,
    interrupt: &'w Interrupt,
}

impl<W: Write> Write for Interruptible<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.interrupt.is_asked() {
            return Err(io::Error::other("interrupted by a signal"));
        }
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
