//! Sources that are read twice.

use std::io::{self, Cursor, Read};

/// A source that keeps what was read of it, to be read again.
pub(super) struct Kept<R> {
    source: R,
    seen: Vec<u8>,
    failure: Option<io::Error>,
}

impl<R: Read> Kept<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, seen: Vec::new(), failure: None }
    }

    /// The source from its beginning; the error that it has given, if it has.
    pub(super) fn again(self) -> io::Result<impl Read> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(Cursor::new(self.seen).chain(self.source)),
        }
    }
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.source.read(buffer) {
            Ok(count) => {
                self.seen.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }
}
