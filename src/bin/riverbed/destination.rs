//! Where records are written to: a file that appears when it is whole, or standard output.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::CliError;
use crate::output::Output;

/// A file or standard output.
pub(crate) enum Destination<'o> {
    Output(&'o mut Output),
    File(Part),
}

/// A file that has another name until it is whole.
pub(crate) struct Part {
    file: BufWriter<File>,
    path: PathBuf,
    part: PathBuf,
    whole: bool,
}

impl<'o> Destination<'o> {
    pub(crate) fn new(path: Option<&Path>, out: &'o mut Output) -> Result<Self, CliError> {
        let Some(path) = path else {
            return Ok(Self::Output(out));
        };
        let mut part = OsString::from(path);
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(CliError::io("create", &part))?;
        let file = BufWriter::with_capacity(256 << 10, file);
        Ok(Self::File(Part { file, path: path.to_owned(), part, whole: false }))
    }

    /// Everything was written: gives a file its name.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        match self {
            Self::Output(out) => Ok(out.flush()?),
            Self::File(mut part) => {
                let synced = part.file.flush().and_then(|()| part.file.get_ref().sync_all());
                synced.map_err(CliError::io("write", &part.part))?;
                fs::rename(&part.part, &part.path).map_err(CliError::io("rename", &part.part))?;
                part.whole = true;
                Ok(())
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.whole {
            // Its name says that it is not whole, should this not work.
            drop(fs::remove_file(&self.part));
        }
    }
}

impl Write for Destination<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Output(out) => out.write(bytes),
            Self::File(part) => part.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Output(out) => out.flush(),
            Self::File(part) => part.file.flush(),
        }
    }
}
