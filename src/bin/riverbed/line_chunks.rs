//! Bodies of line protocol out of a long input.

use std::io::{self, BufRead, BufReader, Read};

use riverbed::line_protocol::{Dialect, LineEnds};

/// Bytes after which a body ends.
const ENOUGH: usize = 1 << 20;
/// Bytes of lines that have to be together, at the most.
const LONGEST: usize = 16 << 20;

/// Reads lines until there is a body's worth, or no whole line at hand; empty at the end. A body ends where a line of the
/// dialect does.
pub(crate) fn next(input: &mut BufReader<impl Read>, dialect: Dialect, body: &mut Vec<u8>) -> io::Result<()> {
    body.clear();
    let mut ends = LineEnds::new(dialect);
    loop {
        let start = body.len();
        let room = (LONGEST - start.min(LONGEST)) as u64;
        if input.by_ref().take(room).read_until(b'\n', body)? == 0 {
            return if room > 0 { Ok(()) } else { Err(too_long()) };
        }
        // There is no line feed before its end.
        let is_whole = ends.next(body.get(start..).unwrap_or_default()).is_some();
        if is_whole && (body.len() >= ENOUGH || !input.buffer().contains(&b'\n')) {
            return Ok(());
        }
    }
}

fn too_long() -> io::Error {
    let text = "a line, or what is in quotes, is longer than 16 MiB: is it line protocol, and is every quote closed?";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bodies of an input that never has a second line at hand.
    fn bodies(input: &[u8]) -> Vec<String> {
        let mut input = BufReader::with_capacity(1, input);
        let mut bodies = Vec::new();
        let mut body = Vec::new();
        loop {
            next(&mut input, Dialect::V2Server, &mut body).unwrap_or_else(|error| panic!("{error}"));
            if body.is_empty() {
                return bodies;
            }
            bodies.push(String::from_utf8_lossy(&body).into_owned());
        }
    }

    #[test]
    fn bodies_end_with_lines_but_not_in_quotes() {
        assert_eq!(bodies(b"a f=1\nb f=2\n"), ["a f=1\n", "b f=2\n"]);
        assert_eq!(bodies(b"a f=\"x\ny\"\nb f=2"), ["a f=\"x\ny\"\n", "b f=2"]);
        assert_eq!(bodies(b"a f=\"x\\\"\ny\"\nb f=2"), ["a f=\"x\\\"\ny\"\n", "b f=2"]);
        // Outside the value of a field it is a letter.
        assert_eq!(bodies(b"a,t=5\" f=1\nb f=2"), ["a,t=5\" f=1\n", "b f=2"]);
        assert_eq!(bodies(b"a,t=5\" f=\"x\ny\"\nb f=2"), ["a,t=5\" f=\"x\ny\"\n", "b f=2"]);
        assert_eq!(bodies(b"# it's 5\" long\na f=1\n"), ["# it's 5\" long\n", "a f=1\n"]);
    }

    #[test]
    fn quotes_that_are_never_closed_are_an_error() {
        let mut input = b"a f=1\n".repeat(3_000_000);
        input.splice(0..0, *b"a f=\"x\n");
        let error = next(&mut BufReader::new(&*input), Dialect::V2Server, &mut Vec::new())
            .map_err(|error| error.kind());
        assert_eq!(error, Err(io::ErrorKind::InvalidData));
    }

    #[test]
    fn a_body_is_long_where_there_is_more_at_hand() {
        let input = b"a f=1\n".repeat(400_000);
        let mut body = Vec::new();
        next(&mut BufReader::with_capacity(4 << 20, &input[..]), Dialect::V2Server, &mut body)
            .unwrap_or_else(|error| panic!("{error}"));
        assert!((ENOUGH..ENOUGH + 10).contains(&body.len()), "{}", body.len());
    }
}
