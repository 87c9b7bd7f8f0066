//! Where a line ends, for the v2 server and v3, which look for that before they read the line.

/// The end of the line that starts at `start`: the next line feed that is neither quoted nor escaped, or the
/// end of the input.
///
/// A double quote counts as one only after the first space, and where more `=` than `,` have gone by: in a
/// field's value. The last `plain` bytes of the input cannot start an escape sequence.
pub(super) fn line_end(input: &[u8], start: usize, plain: usize) -> usize {
    let mut at = start;
    let mut in_fields = false;
    let mut quoted = false;
    let mut equals = 0_usize;
    let mut commas = 0_usize;
    while let Some(&byte) = input.get(at) {
        match byte {
            b'\\' if at + plain < input.len() => at += 1,
            b' ' => in_fields = true,
            b'=' if in_fields && !quoted => equals += 1,
            b',' if in_fields && !quoted => commas += 1,
            b'"' if in_fields && equals > commas => quoted = !quoted,
            b'\n' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    at.min(input.len())
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
