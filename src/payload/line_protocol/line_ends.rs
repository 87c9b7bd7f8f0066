//! Where lines end in a body that comes in pieces.

use super::dialect::Dialect;
use super::split::Search;

/// Finds where lines end in a body of line protocol that comes in pieces, so that a long one can be read in parts: a line
/// feed within a string ends no line.
///
/// The lines are those that a [`Parser`](super::Parser) of the dialect reads. The grammar of [`Dialect::V2Library`] alone
/// says where its lines end; here they end as those of the others, comments aside, which is the same unless a line has a
/// fault or a key with two backslashes in a row.
///
/// ```
/// use riverbed::line_protocol::{Dialect, LineEnds};
///
/// let mut ends = LineEnds::new(Dialect::V2Server);
/// assert_eq!(ends.next(b"log text=\"two\n"), None);
/// assert_eq!(ends.next(b"lines\" 1\nlog text="), Some(9));
/// ```
#[derive(Debug, Clone)]
pub struct LineEnds {
    dialect: Dialect,
    search: Search,
    /// What has been seen of the line is blank.
    blank: bool,
    /// It is a comment of the library, where quotes and backslashes are nothing but letters.
    comment: bool,
}

impl LineEnds {
    /// Begins at the start of a line.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, search: Search::default(), blank: true, comment: false }
    }

    /// How many bytes of the next piece belong to the line that was begun, its line feed included; `None` when all of them
    /// do and the line goes on. Give what is behind the line feed as the next piece.
    pub fn next(&mut self, piece: &[u8]) -> Option<usize> {
        let end = piece.iter().position(|byte| self.ends_with(*byte))?;
        *self = Self::new(self.dialect);
        Some(end + 1)
    }

    fn ends_with(&mut self, byte: u8) -> bool {
        if self.dialect == Dialect::V2Library {
            self.comment |= self.blank && byte == b'#';
            self.blank &= byte == b' ';
            if self.comment {
                return byte == b'\n';
            }
        }
        self.search.ends_with(byte, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::line_protocol::parser::bodies;
    use crate::payload::line_protocol::{ParseOptions, Parser};
    use crate::payload::point::PointTime;
    use proptest::prelude::*;

    /// The lines of a body, found in pieces of this length.
    fn lines(body: &[u8], dialect: Dialect, length: usize) -> Vec<Vec<u8>> {
        let mut ends = LineEnds::new(dialect);
        let mut lines = vec![Vec::new()];
        for mut piece in body.chunks(length) {
            while let Some(end) = ends.next(piece) {
                lines.last_mut().unwrap().extend_from_slice(&piece[..end]);
                lines.push(Vec::new());
                piece = &piece[end..];
            }
            lines.last_mut().unwrap().extend_from_slice(piece);
        }
        lines
    }

    /// The points that a parser reads, and the texts of the lines that it cannot read.
    fn told(body: &[u8], dialect: Dialect) -> Vec<String> {
        let mut parser = Parser::new(body, ParseOptions::new(dialect, PointTime::from_nanos(5)));
        let mut told = Vec::new();
        while let Some(point) = parser.next_point() {
            told.push(match point {
                Ok(point) => format!("{point:?}"),
                Err(error) => error.text().to_owned(),
            });
        }
        told
    }

    proptest! {
        #![proptest_config(bodies::cases(2_000))]

        #[test]
        fn lines_one_by_one_say_what_the_body_says(body in bodies::body(), length in 1_usize..40) {
            for dialect in [Dialect::V2Server, Dialect::V3] {
                let lines = lines(body.as_bytes(), dialect, length);
                prop_assert_eq!(lines.concat(), body.as_bytes());
                let one_by_one: Vec<_> = lines.iter().flat_map(|line| told(line, dialect)).collect();
                prop_assert_eq!(one_by_one, told(body.as_bytes(), dialect), "{:?} {:?}", dialect, body);
            }
        }
    }

    #[test]
    fn a_quote_is_one_in_the_value_of_a_field_alone() {
        let cases: [(&str, &[&str]); 5] = [
            ("m,t=5\" f=1\nn f=1\n", &["m,t=5\" f=1\n", "n f=1\n", ""]),
            ("m,t=5\" f=\"x\ny\"\nn f=1", &["m,t=5\" f=\"x\ny\"\n", "n f=1"]),
            ("m f\"=1\nn f=1", &["m f\"=1\n", "n f=1"]),
            ("m f=\"x\\\"\ny\"\nn f=1", &["m f=\"x\\\"\ny\"\n", "n f=1"]),
            ("# 5\" long\nn f=1", &["# 5\" long\n", "n f=1"]),
        ];
        for (body, expected) in cases {
            for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
                for length in [1, 5, 100] {
                    let found = lines(body.as_bytes(), dialect, length);
                    assert_eq!(
                        found,
                        expected.iter().map(|line| line.as_bytes()).collect::<Vec<_>>(),
                        "{body}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_libraries_comments_have_no_quotes() {
        let comment = "# f=\"\nn f=1\n";
        assert_eq!(lines(comment.as_bytes(), Dialect::V2Library, 3).len(), 3);
        // The server finds the end of a line before it looks whether that is a comment.
        assert_eq!(lines(comment.as_bytes(), Dialect::V2Server, 3).len(), 1);
    }
}
