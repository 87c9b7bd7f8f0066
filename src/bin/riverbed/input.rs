//! Where records are read from: a file or standard input, with a progress bar and an ear for Ctrl-C.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::CliError;
use crate::progress;
use crate::signals::Interrupt;

/// Bytes that are read at once.
const BUFFER: usize = 256 << 10;
/// How often somebody who waits for input looks whether he is still wanted: 0.1 s.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A file or standard input.
#[derive(Debug)]
pub(crate) struct Input {
    file: File,
    name: PathBuf,
    interrupt: Interrupt,
    progress: ProgressBar,
}

impl Input {
    /// Opens a file, or standard input for none.
    pub(crate) fn open(path: Option<&Path>) -> Result<BufReader<Self>, CliError> {
        let name = path.map_or_else(|| PathBuf::from("standard input"), Path::to_owned);
        let file = match path {
            Some(path) => File::open(path),
            // Not by way of the standard library's buffer, which would hide what it holds from those who wait.
            None => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        };
        let file = file.map_err(CliError::io("open", &name))?;
        let metadata = file.metadata().map_err(CliError::io("look at", &name))?;
        let length = metadata.is_file().then_some(metadata.len());
        let interrupt = Interrupt::on_signals()?;
        // Whoever types sees how far he has come.
        let progress = if file.is_terminal() { ProgressBar::hidden() } else { progress::bytes(length) };
        Ok(BufReader::with_capacity(BUFFER, Self { file, name, interrupt, progress }))
    }

    /// What to call it in messages.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// The file, for those who read it from its end on.
    pub(crate) fn whole_file(&self) -> Result<File, CliError> {
        let metadata = self.file.metadata().map_err(CliError::io("look at", &self.name))?;
        if !metadata.is_file() {
            return Err(CliError::usage("this format is read from its end on: give a file, not a pipe"));
        }
        self.file.try_clone().map_err(CliError::io("read", &self.name))
    }

    /// Whether somebody has interrupted it. Reading then fails.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.is_asked()
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_interrupted() {
                return Err(io::Error::other("interrupted by a signal"));
            }
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&PAUSE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let read = self.file.read(buffer)?;
        self.progress.inc(read as u64);
        Ok(read)
    }
}
