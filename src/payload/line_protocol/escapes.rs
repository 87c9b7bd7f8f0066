//! What a backslash means, in each place of a line and each dialect.

/// The escape sequences of one place in a line. A backslash before any other byte stands for itself.
///
/// As wide as a register: were it a byte, each copy of a `Text` would load eight bytes where one was just
/// stored, and wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Escapes {
    /// No backslash sequence in this text: what stands there is what it means.
    None,
    /// Measurements: `\,` and `\ `.
    Measurement,
    /// Tag keys, tag values and field keys: `\,`, `\=` and `\ `.
    Key,
    /// Field keys of the v2 server, which also takes `\"`.
    ServerFieldKey,
    /// Quoted values: `\"` and `\\`.
    Quoted,
    /// Quoted values of the v2 library: also `\n`, `\r` and `\t`.
    LibraryQuoted,
    /// Measurements of v3, which also takes `\\`.
    V3Measurement,
    /// Tag keys, tag values and field keys of v3, which also takes `\\`.
    V3Key,
}

impl Escapes {
    /// What a backslash and `byte` stand for together, where they form an escape sequence.
    pub(crate) const fn meaning(self, byte: u8) -> Option<u8> {
        match (self, byte) {
            (Self::None, _) => None,
            (Self::Quoted, b'"' | b'\\') => Some(byte),
            (Self::LibraryQuoted, b'"' | b'\\') => Some(byte),
            (Self::LibraryQuoted, b'n') => Some(b'\n'),
            (Self::LibraryQuoted, b'r') => Some(b'\r'),
            (Self::LibraryQuoted, b't') => Some(b'\t'),
            (Self::Quoted | Self::LibraryQuoted, _) => None,
            (_, b',' | b' ') => Some(byte),
            (Self::Key | Self::ServerFieldKey | Self::V3Key, b'=') => Some(byte),
            (Self::ServerFieldKey, b'"') => Some(byte),
            (Self::V3Measurement | Self::V3Key, b'\\') => Some(byte),
            _ => None,
        }
    }

    /// The byte to put after a backslash so that `byte` survives in this place, where it needs one.
    pub(crate) const fn escape(self, byte: u8) -> Option<u8> {
        match (self, byte) {
            (Self::LibraryQuoted, b'\n') => Some(b'n'),
            (Self::LibraryQuoted, b'\r') => Some(b'r'),
            (Self::LibraryQuoted, b'\t') => Some(b't'),
            (Self::LibraryQuoted, b'n' | b'r' | b't') => None,
            // A quote needs no backslash in a key.
            (Self::ServerFieldKey, b'"') => None,
            _ => self.meaning(byte),
        }
    }

    /// Appends `value` to `out`, with the backslashes that it needs here.
    pub(crate) fn write(self, value: &[u8], out: &mut Vec<u8>) {
        let mut rest = value;
        while let Some(plain) = rest.iter().position(|&byte| self.escape(byte).is_some()) {
            let Some((before, after)) = rest.split_at_checked(plain) else { break };
            let Some((&special, after)) = after.split_first() else { break };
            out.extend_from_slice(before);
            out.extend([b'\\', self.escape(special).unwrap_or(special)]);
            rest = after;
        }
        out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(escapes: Escapes, value: &str) -> String {
        let mut out = Vec::new();
        escapes.write(value.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_place_escapes_its_own_bytes() {
        assert_eq!(written(Escapes::Measurement, r#"a,b c=d"e\f"#), r#"a\,b\ c=d"e\f"#);
        assert_eq!(written(Escapes::Key, r#"a,b c=d"e\f"#), r#"a\,b\ c\=d"e\f"#);
        assert_eq!(written(Escapes::ServerFieldKey, r#"a"b"#), r#"a"b"#);
        assert_eq!(written(Escapes::V3Key, r"a\b"), r"a\\b");
        assert_eq!(written(Escapes::Quoted, "a\"b\\c\nd"), "a\\\"b\\\\c\nd");
        assert_eq!(written(Escapes::LibraryQuoted, "a\nb\tc\rn"), r"a\nb\tc\rn");
    }
}
