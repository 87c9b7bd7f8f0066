//! Where a line ends.

/// The end of the line that starts at `start`: the next line feed that is neither quoted nor escaped, or the
/// end of the input.
///
/// As in the v2 server a double quote counts as one only after the first space, and where more `=` than `,`
/// have gone by. Unlike there, a backslash escapes up to the very end of the input.
pub(super) fn line_end(input: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut in_fields = false;
    let mut quoted = false;
    let mut equals = 0_usize;
    let mut commas = 0_usize;
    while let Some(&byte) = input.get(at) {
        match byte {
            b'\\' => at += 1,
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
        assert_eq!(line_end(b"m a=\"x\ny\"\nn", 0), 9);
        assert_eq!(line_end(b"m\\\nn a=1\nn", 0), 8);
        assert_eq!(line_end(b"m\\\n", 0), 3);
        assert_eq!(line_end(b"m\\", 0), 2);
    }
}
