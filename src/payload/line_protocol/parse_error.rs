//! A line that could not be read.

use std::fmt;
use std::ops::Range;

use super::reason::Reason;

/// A line that could not be read, with its place and the reason, in the words of the v2 server:
/// `unable to parse '<line>': <reason>`.
///
/// ```
/// use riverbed::line_protocol::{Dialect, ParseOptions, Parser, Reason};
/// use riverbed::point::PointTime;
///
/// let options = ParseOptions::new(Dialect::V2Server, PointTime::from_nanos(0));
/// let mut parser = Parser::new(b"cpu temp=25.3\ncpu temp=\n", options);
/// assert!(parser.next_point().is_some_and(|point| point.is_ok()));
///
/// let error = parser.next_point().and_then(Result::err).expect("the second line is bad");
/// assert_eq!(error.to_string(), "unable to parse 'cpu temp=': missing field value");
/// assert_eq!((error.index(), error.line(), error.offset()), (1, 2, 22));
/// assert_eq!(error.reason(), &Reason::MissingFieldValue);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ParseError(Box<Detail>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Detail {
    index: u64,
    line: u64,
    offset: usize,
    range: Range<usize>,
    text: String,
    reason: Reason,
}

impl ParseError {
    pub(super) fn new(
        index: u64,
        line: u64,
        offset: usize,
        range: Range<usize>,
        input: &[u8],
        reason: Reason,
    ) -> Self {
        let text = String::from_utf8_lossy(input.get(range.clone()).unwrap_or_default()).into_owned();
        Self(Box::new(Detail { index, line, offset, range, text, reason }))
    }

    /// The place of the line among the lines that are points or should be: 0 for the first. Blank lines and
    /// comments do not count.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.0.index
    }

    /// The number of the line of the input that [`offset`](Self::offset) is in: 1 for the first. All lines
    /// count.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.0.line
    }

    /// Where in the input the trouble starts, in bytes; the length of the input where something is missing at
    /// its end.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// Where in the input the whole bad line stands, in bytes, without the line feed that ends it.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.0.range.clone()
    }

    /// The bad line; bytes that are not UTF-8 are replaced by U+FFFD.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// What is wrong with it.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unable to parse '{}': {}", self.0.text, self.0.reason)
    }
}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ParseError {}
