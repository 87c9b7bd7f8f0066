//! Where records are written to: a file that appears when it is whole, or standard output.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::CliError;
use crate::output::Output;

/// Bytes that are written at once.
const BUFFER: usize = 256 << 10;

/// A file or standard output.
pub(crate) enum Destination<'o> {
    Output(&'o mut Output),
    /// Something that is no file, such as a pipe or a device.
    Special(BufWriter<File>),
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
        let path = target(path).map_err(CliError::io("look at", path))?;
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            let file = File::options().write(true).open(&path).map_err(CliError::io("open", &path))?;
            return Ok(Self::Special(BufWriter::with_capacity(BUFFER, file)));
        }
        let mut part = OsString::from(&path);
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create_new(&part).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CliError::PartExists { path: part.clone() },
            _ => CliError::io("create", &part)(error),
        })?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(Self::File(Part { file, path, part, whole: false }))
    }

    /// Everything was written: gives a file its name.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        match self {
            Self::Output(out) => Ok(out.flush()?),
            Self::Special(mut file) => Ok(file.flush()?),
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

/// What a path stands for: where it is a link to a file, or to where one is to be, the path of that.
fn target(path: &Path) -> io::Result<PathBuf> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => fs::canonicalize(path),
        // Links in a circle are another error, so that this comes to an end.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(link) => target(&path.parent().unwrap_or(Path::new("")).join(link)),
            Err(_) => Ok(path.to_owned()),
        },
        found => found.map(|_| path.to_owned()),
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
            Self::Special(file) => file.write(bytes),
            Self::File(part) => part.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Output(out) => out.flush(),
            Self::Special(file) => file.flush(),
            Self::File(part) => part.file.flush(),
        }
    }
}
