//! Where one record of an input ends and the next begins.

use std::io::{self, BufRead, Read};

use clap::ValueEnum;

/// The most bytes of a record that are read: what a record can have at the most, and one.
const LONGEST: u64 = (10 << 20) + 1;

/// How records follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Framing {
    /// Each ends with a line feed
    Lines,
    /// Each ends with a NUL, as `find -print0` writes them
    Nul,
    /// Each begins with its length in four bytes, big-endian
    LengthPrefixed,
}

impl Framing {
    /// Whether the next record is in these bytes as a whole.
    pub(crate) fn is_at_hand(self, buffered: &[u8]) -> bool {
        match self {
            Self::Lines => buffered.contains(&b'\n'),
            Self::Nul => buffered.contains(&0),
            Self::LengthPrefixed => buffered
                .split_first_chunk()
                .is_some_and(|(prefix, rest)| rest.len() as u64 >= u64::from(u32::from_be_bytes(*prefix))),
        }
    }

    /// Reads the next record into `into`, whatever was there. False when there is none.
    pub(crate) fn read(self, from: &mut impl BufRead, into: &mut Vec<u8>) -> io::Result<bool> {
        into.clear();
        match self {
            Self::Lines => read_until(b'\n', from, into),
            Self::Nul => read_until(0, from, into),
            Self::LengthPrefixed => {
                let mut prefix = [0; 4];
                if from.fill_buf()?.is_empty() {
                    return Ok(false);
                }
                from.read_exact(&mut prefix)?;
                let length = u64::from(u32::from_be_bytes(prefix));
                if length >= LONGEST {
                    return Err(too_long());
                }
                let read = from.take(length).read_to_end(into)?;
                if read as u64 == length { Ok(true) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            }
        }
    }
}

fn read_until(end: u8, from: &mut impl BufRead, into: &mut Vec<u8>) -> io::Result<bool> {
    let read = from.take(LONGEST).read_until(end, into)?;
    if into.last() == Some(&end) {
        into.pop();
    } else if read as u64 == LONGEST {
        return Err(too_long());
    }
    Ok(read > 0)
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "longer than the 10 MiB that a record may have: is the framing right?",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framing: Framing, mut input: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let mut record = Vec::new();
        let mut all = Vec::new();
        while framing.read(&mut input, &mut record)? {
            all.push(record.clone());
        }
        Ok(all)
    }

    #[test]
    fn records_end_where_the_framing_says() {
        let lines = all(Framing::Lines, b"a\n\nb\0c\r\nd").unwrap_or_default();
        assert_eq!(lines, [&b"a"[..], b"", b"b\0c\r", b"d"]);
        assert_eq!(all(Framing::Nul, b"a\nb\0\0").unwrap_or_default(), [&b"a\nb"[..], b""]);
        let prefixed = b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c";
        assert_eq!(all(Framing::LengthPrefixed, prefixed).unwrap_or_default(), [&b"ab"[..], b"", b"c"]);
        for framing in [Framing::Lines, Framing::Nul, Framing::LengthPrefixed] {
            assert_eq!(all(framing, b"").unwrap_or_default(), Vec::<Vec<u8>>::new());
        }
    }

    #[test]
    fn a_record_is_at_hand_when_all_of_it_is() {
        for (framing, whole) in [
            (Framing::Lines, &b"ab\n"[..]),
            (Framing::Nul, b"ab\0"),
            (Framing::LengthPrefixed, b"\0\0\0\x02ab"),
        ] {
            assert!(framing.is_at_hand(whole), "{framing:?}");
            for len in 0..whole.len() {
                assert!(!framing.is_at_hand(whole.get(..len).unwrap_or_default()), "{framing:?} {len}");
            }
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_an_error() {
        let kind = |framing, input: &[u8]| all(framing, input).map_err(|error| error.kind());
        for cut in [&b"\0\0"[..], b"\0\0\0\x02a"] {
            assert_eq!(kind(Framing::LengthPrefixed, cut), Err(io::ErrorKind::UnexpectedEof));
        }
        assert_eq!(kind(Framing::LengthPrefixed, b"hello"), Err(io::ErrorKind::InvalidData));
        assert_eq!(kind(Framing::Lines, &vec![b'x'; (10 << 20) + 1]), Err(io::ErrorKind::InvalidData));
    }
}
