//! The points of a body of line protocol.

use super::batch::PointBatch;
use crate::payload::line_protocol::{ParseError, ParseOptions, Parser};

/// Adds the points of a body's lines to a batch. Returns the bad lines, with their places among all: those that are no
/// point, and those whose point cannot be stored.
pub(super) fn read(
    body: &[u8],
    options: ParseOptions,
    batch: &mut PointBatch<'_>,
) -> Vec<(usize, ParseError)> {
    let mut parser = Parser::new(body, options);
    let mut bad = Vec::new();
    let mut index = 0;
    while let Some(point) = parser.next_sorted_point() {
        let pushed = match point {
            Ok(point) => batch.push(&point).map_err(|error| parser.unstorable(&error)),
            Err(error) => Err(error),
        };
        bad.extend(pushed.err().map(|error| (index, error)));
        index += 1;
    }
    bad
}
