//! Reading points out of a body of line protocol.

use super::dialect::Dialect;
use super::options::ParseOptions;
use super::ordinary;
use super::parse_error::ParseError;
use super::parts::{Line, Parts, Step};
use super::point_ref::PointRef;
use super::{v2_library, v2_server, v3};

/// Reads points out of a body of line protocol, one line at a time.
///
/// Points borrow from the input; nothing is copied, and nothing is allocated once the parser has seen the widest line. A bad line
/// does not end the reading: the parser reports it and goes on with the next one, so that the caller can take all or nothing, as
/// the v2 server does, or what is good, as v3 does.
///
/// ```
/// use riverbed::line_protocol::{Dialect, FieldValueRef, ParseOptions, Parser};
/// use riverbed::point::{Precision, Timestamp};
///
/// let body = b"
/// cpu,core=0 temp=25.3 1657729063
/// cpu,core=0 temp=25.4 1657729078
/// ";
/// let clock = Timestamp::from_nanos(0);
/// let options = ParseOptions::new(Dialect::V2Server, clock).precision(Precision::Seconds);
/// let mut parser = Parser::new(body, options);
/// let mut temps = Vec::new();
/// while let Some(point) = parser.next_point() {
///     let point = point?;
///     assert_eq!(point.measurement(), "cpu");
///     if let Some(FieldValueRef::Float(temp)) = point.field("temp") {
///         temps.push((point.time().as_nanos(), temp));
///     }
/// }
/// assert_eq!(temps, [(1_657_729_063_000_000_000, 25.3), (1_657_729_078_000_000_000, 25.4)]);
/// # Ok::<(), riverbed::line_protocol::ParseError>(())
/// ```
#[derive(Debug)]
pub struct Parser<'a> {
    input: &'a [u8],
    options: ParseOptions,
    parts: Parts<'a>,
    /// The start of the next line.
    next: usize,
    /// How many lines have been points, or should have been.
    index: u64,
    /// The line feeds up to an offset that is never beyond `next`, and that offset.
    counted: (u64, usize),
}

impl<'a> Parser<'a> {
    /// A parser at the start of `input`.
    #[must_use]
    pub const fn new(input: &'a [u8], options: ParseOptions) -> Self {
        Self { input, options, parts: Parts::new(), next: 0, index: 0, counted: (0, 0) }
    }

    /// A parser at the start of another input, with the same options and with the buffers of this one.
    #[must_use]
    pub fn reuse<'b>(self, input: &'b [u8]) -> Parser<'b> {
        Parser { input, options: self.options, parts: self.parts.reuse(), next: 0, index: 0, counted: (0, 0) }
    }

    /// The next point, or the error of the next line that should have been one; `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// [`ParseError`] for a bad line. The next call goes on after it.
    pub fn next_point(&mut self) -> Option<Result<PointRef<'_, 'a>, ParseError>> {
        if let Some(read) = ordinary::read(self.input, self.next, &self.options, &mut self.parts) {
            self.next = read.next;
            self.index += 1;
            return Some(Ok(self.parts.point(read.time)));
        }
        self.next_exact()
    }

    /// The next point by the reader of the dialect, which knows every rule.
    #[cold]
    pub(super) fn next_exact(&mut self) -> Option<Result<PointRef<'_, 'a>, ParseError>> {
        let read = match self.options.dialect {
            Dialect::V2Server => v2_server::read,
            Dialect::V2Library => v2_library::read,
            Dialect::V3 => v3::read,
        };
        let line = loop {
            match read(self.input, self.next, &self.options, &mut self.parts) {
                Step::Skip { next } => self.next = next,
                Step::Line(line) => break line,
                Step::End => return None,
            }
        };
        let Line { start, end, next, outcome } = line;
        self.next = next;
        let index = self.index;
        self.index += 1;
        Some(match outcome {
            Ok(time) => Ok(self.parts.point(time)),
            Err(fault) => {
                let line = self.line_number(fault.at);
                Err(ParseError::new(index, line, fault.at, start..end, self.input, fault.reason))
            }
        })
    }

    /// The number of the line that `offset` is in. Counts each part of the input once, as long as offsets grow.
    fn line_number(&mut self, offset: usize) -> u64 {
        let (line_feeds, from) = self.counted;
        let text = self.input.get(from..offset).unwrap_or_default();
        let count = memchr::memchr_iter(b'\n', text).fold(line_feeds, |count, _| count + 1);
        self.counted = (count, offset.max(from));
        count + 1
    }
}
