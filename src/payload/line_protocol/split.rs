//! Where a line ends, for the v2 server and v3, which look for that before they read the line.

/// The end of the line that starts at `start`: the next line feed that is neither quoted nor escaped, or the
/// end of the input. The last `plain` bytes of the input cannot start an escape sequence.
pub(super) fn line_end(input: &[u8], start: usize, plain: usize) -> usize {
    let mut search = Search::default();
    let mut rest = input.iter().enumerate().skip(start);
    let found = rest.find(|(at, byte)| search.ends_with(**byte, at + plain < input.len()));
    found.map_or(input.len(), |(at, _)| at)
}

/// Looks for the end of a line, a byte at a time.
///
/// A double quote counts as one only after the first space, and where more `=` than `,` have gone by: in a
/// field's value.
#[derive(Debug, Clone, Default)]
pub(super) struct Search {
    in_fields: bool,
    quoted: bool,
    escaped: bool,
    equals: usize,
    commas: usize,
}

impl Search {
    /// Whether the line ends with its next byte, which may start an escape sequence or not.
    #[inline]
    pub(super) fn ends_with(&mut self, byte: u8, may_escape: bool) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        match byte {
            b'\\' if may_escape => self.escaped = true,
            b' ' => self.in_fields = true,
            b'=' if self.in_fields && !self.quoted => self.equals += 1,
            b',' if self.in_fields && !self.quoted => self.commas += 1,
            b'"' if self.in_fields && self.equals > self.commas => self.quoted = !self.quoted,
            b'\n' => return !self.quoted,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_feeds_in_quotes_and_after_backslashes_do_not_count() {
        for plain in [0, 2] {
            assert_eq!(line_end(b"m a=1\nn", 0, plain), 5);
            assert_eq!(line_end(b"m a=\"x\ny\"\nn", 0, plain), 9);
            assert_eq!(line_end(b"m a=\"x\\\"\ny\"\nn", 0, plain), 11);
            assert_eq!(line_end(b"m\\\nn a=1\nn", 0, plain), 8);
            // Before the first space a quote is a letter.
            assert_eq!(line_end(b"m\"\nn", 0, plain), 2);
        }
    }

    #[test]
    fn near_the_end_of_the_input_a_backslash_may_be_a_letter() {
        assert_eq!(line_end(b"m\\\n", 0, 2), 2);
        assert_eq!(line_end(b"m\\\n", 0, 0), 3);
        assert_eq!(line_end(b"m\\", 0, 0), 2);
    }
}
