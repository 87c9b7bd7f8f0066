//! Reading points out of a body of line protocol.

use std::fmt;

use super::dialect::Dialect;
use super::options::ParseOptions;
use super::ordinary;
use super::parse_error::ParseError;
use super::parts::{Fault, Line, Parts, Step};
use super::point_ref::PointRef;
use super::reason::Reason;
use super::{v2_library, v2_server, v3};
use crate::payload::point::PointTime;

/// Reads points out of a body of line protocol, one line at a time.
///
/// Points borrow from the input; nothing is copied, and nothing is allocated once the parser has seen the
/// widest line. A bad line does not end the reading: the parser reports it and goes on with the next one, so
/// that the caller can take all or nothing, as the v2 server does, or what is good, as v3 does.
///
/// ```
/// use riverbed::line_protocol::{Dialect, FieldValueRef, ParseOptions, Parser};
/// use riverbed::point::{Precision, PointTime};
///
/// let body = b"
/// cpu,core=0 temp=25.3 1657729063
/// cpu,core=0 temp=25.4 1657729078
/// ";
/// let clock = PointTime::from_nanos(0);
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
    /// Where the line that was read last starts.
    start: usize,
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
        Self { input, options, parts: Parts::new(), start: 0, next: 0, index: 0, counted: (0, 0) }
    }

    /// A parser at the start of another input, with the same options and with the buffers of this one.
    #[must_use]
    pub fn reuse<'b>(self, input: &'b [u8]) -> Parser<'b> {
        let parts = self.parts.reuse();
        Parser { input, options: self.options, parts, start: 0, next: 0, index: 0, counted: (0, 0) }
    }

    /// The parser with other options.
    pub(crate) fn options(self, options: ParseOptions) -> Self {
        Self { options, ..self }
    }

    /// The point that was read last, which happened at `time`.
    pub(crate) fn last_point(&self, time: PointTime) -> PointRef<'_, 'a> {
        self.parts.point(time)
    }

    /// Whether nothing is left to read, not even a blank line.
    pub(crate) fn is_at_end(&self) -> bool {
        self.next >= self.input.len()
    }

    /// The error for the line that was read last: it is a point, but one that cannot be stored.
    pub(crate) fn unstorable(&mut self, error: &impl fmt::Display) -> ParseError {
        let line = self.input.get(self.start..self.next).unwrap_or_default();
        let end = self.start + line.strip_suffix(b"\n").unwrap_or(line).len();
        let reason = Reason::Unstorable { why: error.to_string() };
        let number = self.line_number(self.start);
        ParseError::new(self.index.saturating_sub(1), number, self.start, self.start..end, self.input, reason)
    }

    /// The next point, or the error of the next line that should have been one; `None` at the end of the
    /// input.
    ///
    /// # Errors
    ///
    /// [`ParseError`] for a bad line. The next call goes on after it.
    pub fn next_point(&mut self) -> Option<Result<PointRef<'_, 'a>, ParseError>> {
        let outcome = self.advance()?;
        Some(outcome.map(|time| self.parts.point(time)))
    }

    /// As [`next_point`](Self::next_point), with the fields as they are written: sorted by key, each key once.
    pub(crate) fn next_sorted_point(&mut self) -> Option<Result<PointRef<'_, 'a>, ParseError>> {
        let outcome = self.advance()?;
        if outcome.is_ok() {
            self.parts.sort_fields();
        }
        Some(outcome.map(|time| self.parts.point(time)))
    }

    /// Reads up to the next point or bad line.
    fn advance(&mut self) -> Option<Result<PointTime, ParseError>> {
        let outcome = loop {
            self.start = self.next;
            if let Some(read) = ordinary::read(self.input, self.next, &self.options, &mut self.parts) {
                self.next = read.next;
                break Ok(read.time);
            }
            if let Some(outcome) = self.step()? {
                break outcome;
            }
        };
        self.index += 1;
        Some(outcome)
    }

    /// Reads one line by the rules of the dialect, all of them. `None` at the end of the input, `Some(None)`
    /// for a blank line or a comment.
    #[cold]
    fn step(&mut self) -> Option<Option<Result<PointTime, ParseError>>> {
        let read = match self.options.dialect {
            Dialect::V2Server => v2_server::read,
            Dialect::V2Library => v2_library::read,
            Dialect::V3 => v3::read,
        };
        match read(self.input, self.next, &self.options, &mut self.parts) {
            Step::End => None,
            Step::Skip { next } => {
                self.next = next;
                Some(None)
            }
            Step::Line(Line { start, end, next, outcome }) => {
                self.start = start;
                self.next = next;
                let error = |fault: Fault| {
                    let line = self.line_number(fault.at);
                    ParseError::new(self.index, line, fault.at, start..end, self.input, fault.reason)
                };
                Some(Some(outcome.map_err(error)))
            }
        }
    }

    /// The number of the line that `offset` is in. Counts each part of the input once, as long as offsets
    /// grow.
    fn line_number(&mut self, offset: usize) -> u64 {
        let (line_feeds, from) = self.counted;
        let text = self.input.get(from..offset).unwrap_or_default();
        let count = memchr::memchr_iter(b'\n', text).fold(line_feeds, |count, _| count + 1);
        self.counted = (count, offset.max(from));
        count + 1
    }
}

#[cfg(test)]
#[path = "../../../tests/line_protocol/bodies.rs"]
pub(super) mod bodies;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything a parser says about a body, by the fast way where it goes, or all by the exact one.
    fn told(body: &str, dialect: Dialect, exact: bool) -> Vec<String> {
        let options = ParseOptions::new(dialect, PointTime::from_nanos(946_815_194_123_456_789));
        let mut parser = Parser::new(body.as_bytes(), options);
        let mut told = Vec::new();
        loop {
            if exact {
                match parser.step() {
                    None => break,
                    Some(None) => {}
                    Some(Some(Ok(time))) => told.push(format!("{:?}", parser.parts.point(time))),
                    Some(Some(Err(error))) => told.push(error.to_string()),
                }
            } else {
                match parser.next_point() {
                    None => break,
                    Some(Ok(point)) => told.push(format!("{point:?}")),
                    Some(Err(error)) => told.push(error.to_string()),
                }
            }
        }
        told
    }

    proptest! {
        #![proptest_config(bodies::cases(4_000))]

        #[test]
        fn the_fast_way_reads_what_the_exact_way_reads(body in bodies::body()) {
            for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
                let [fast, exact] = [false, true].map(|exact| told(&body, dialect, exact));
                prop_assert_eq!(fast, exact, "{:?} {:?}", dialect, body);
            }
        }
    }

    #[test]
    fn the_fast_way_is_taken() {
        for line in [
            "cpu,core=0 temp=25.3 5\n",
            "m,a\\ b=c\\,d e=1i,f=2u,g=t,h=\"x\\\"y\"",
            "é,é=é é=\"é\" -1  \n",
            "m v=1e5",
        ] {
            for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
                let options = ParseOptions::new(dialect, PointTime::from_nanos(0));
                let read = ordinary::read(line.as_bytes(), 0, &options, &mut Parts::new());
                assert_eq!(read.map(|read| read.next), Some(line.len()), "{dialect:?} {line}");
            }
        }
    }

    #[test]
    fn errors_know_their_line() {
        let body = b"\n# c\nm v=1\nm v=\"a\nb\" x\n\nm v=\nm v=2\n";
        let mut parser = Parser::new(body, ParseOptions::new(Dialect::V2Server, PointTime::from_nanos(0)));
        assert!(parser.next_point().unwrap().is_ok());
        let error = parser.next_point().unwrap().unwrap_err();
        assert_eq!((error.index(), error.line(), error.offset(), error.range()), (1, 5, 21, 11..22));
        assert_eq!(error.text(), "m v=\"a\nb\" x");
        let error = parser.next_point().unwrap().unwrap_err();
        assert_eq!((error.index(), error.line(), error.offset()), (2, 7, 27));
        assert!(parser.next_point().unwrap().is_ok());
        assert!(parser.next_point().is_none());
    }
}
