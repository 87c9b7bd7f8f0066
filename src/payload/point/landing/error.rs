//! What can go wrong with putting points.

use std::fmt;

use crate::payload::line_protocol::{ParseError, WriteError};
use crate::stream::error::PutError;
use crate::stream::put::PutRecords;

/// Why a point was not put.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PutPointError {
    /// It is no line of canonical line protocol.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The stream did not take it.
    #[error(transparent)]
    Put(#[from] PutError),
}

/// Why the point of a line was not put.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PutLineError {
    /// The line is no point.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The stream did not take it.
    #[error(transparent)]
    Put(#[from] PutError),
}

/// Why not all lines of a body were put.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriteLinesError {
    /// There are bad lines, and so nothing was put. The text is that of the v2 server: one `unable to parse '<line>':
    /// <reason>` for each bad line.
    #[error("{}", Lines(.lines))]
    Refused {
        /// The bad lines, in order.
        lines: Vec<ParseError>,
    },
    /// Some lines were put, and some not: bad lines where the good ones were to be kept, or lines that the stream did not
    /// take.
    #[error(
        "partial write of line protocol: {} of {} lines were not put; the first is {}",
        results.failed_record_count(), results.results().len(), First(results)
    )]
    Partial {
        /// One result for each line that is a point or should be, in their order: the index here is
        /// [`ParseError::index`]. Blank lines and comments do not count.
        results: PutRecords<PutLineError>,
    },
}

struct Lines<'e>(&'e [ParseError]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

struct First<'e>(&'e PutRecords<PutLineError>);

impl fmt::Display for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.failed().next().map_or(Ok(()), |(index, error)| write!(f, "number {index}: {error}"))
    }
}
