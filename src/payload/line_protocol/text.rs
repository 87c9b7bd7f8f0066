//! A piece of a line that may hold escape sequences.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::Utf8Error;

use super::escapes::Escapes;

/// A measurement, key, tag value or quoted field value, borrowed from the line that it was read from.
///
/// Its escape sequences are resolved only when asked for, and without a copy where there are none:
///
/// ```
/// use riverbed::line_protocol::{Dialect, Parser, ParseOptions};
/// use riverbed::point::PointTime;
/// use std::borrow::Cow;
///
/// let options = ParseOptions::new(Dialect::V2Server, PointTime::from_nanos(0));
/// let mut parser = Parser::new(br"my\ cpu,core=0 temp=25.3", options);
/// let point = parser.next_point().expect("a point")?;
///
/// assert_eq!(point.measurement().raw(), br"my\ cpu");
/// assert_eq!(point.measurement(), "my cpu");
/// assert!(matches!(point.tags()[0].value.to_bytes(), Cow::Borrowed(b"0")));
/// # Ok::<(), riverbed::line_protocol::ParseError>(())
/// ```
///
/// Two texts are equal, and ordered, by what they mean.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    raw: &'a [u8],
    escapes: Escapes,
}

impl<'a> Text<'a> {
    /// Text in which a backslash means what `escapes` says.
    pub(crate) fn new(raw: &'a [u8], escapes: Escapes) -> Self {
        if memchr::memchr(b'\\', raw).is_some() { Self::known(raw, escapes) } else { Self::plain(raw) }
    }

    /// Text that is known to hold backslashes, or for [`Escapes::None`] to hold none that matters.
    pub(crate) const fn known(raw: &'a [u8], escapes: Escapes) -> Self {
        Self { raw, escapes }
    }

    /// Text without escape sequences.
    pub(crate) const fn plain(raw: &'a [u8]) -> Self {
        Self { raw, escapes: Escapes::None }
    }

    /// The bytes as they stand in the line, escape sequences and all, without the quotes of a quoted value.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is no text.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// What the text means, as bytes: borrowed unless an escape sequence had to be resolved.
    #[must_use]
    pub fn to_bytes(&self) -> Cow<'a, [u8]> {
        match self.escapes {
            Escapes::None => Cow::Borrowed(self.raw),
            _ => Cow::Owned(self.unescaped().collect()),
        }
    }

    /// What the text means, as a string: borrowed unless an escape sequence had to be resolved.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] when it is not UTF-8. Only [`Dialect::V2Server`](super::Dialect::V2Server) lets such
    /// text through.
    pub fn to_str(&self) -> Result<Cow<'a, str>, Utf8Error> {
        match self.to_bytes() {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|error| error.utf8_error()),
        }
    }

    /// The bytes that the text means, one by one.
    fn unescaped(self) -> impl Iterator<Item = u8> {
        let mut rest = self.raw.iter();
        std::iter::from_fn(move || {
            let byte = *rest.next()?;
            if byte != b'\\' {
                return Some(byte);
            }
            let meaning = rest.as_slice().first().and_then(|&next| self.escapes.meaning(next));
            if meaning.is_some() {
                rest.next();
            }
            meaning.or(Some(byte))
        })
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.escapes, other.escapes) {
            (Escapes::None, Escapes::None) => self.raw.cmp(other.raw),
            _ => self.unescaped().cmp(other.unescaped()),
        }
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.cmp(&Text::plain(other.as_bytes())).is_eq()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for Text<'_> {
    /// What the text means; bytes that are not UTF-8 become U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.to_bytes()).fmt(f)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.to_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_sequences_are_resolved() {
        let text = Text::new(br"a\ b\c\\,d\", Escapes::Key);
        assert_eq!(text, r"a b\c\,d\");
        assert_eq!(Text::new(br"a\\b", Escapes::V3Key), r"a\b");
        assert_eq!(Text::new(br"a\\b", Escapes::Key), r"a\\b");
        assert_eq!(Text::new(br#"a\"b\n"#, Escapes::LibraryQuoted), "a\"b\n");
    }

    #[test]
    fn text_is_copied_only_where_a_backslash_is() {
        assert!(matches!(Text::new(b"plain", Escapes::Key).to_bytes(), Cow::Borrowed(_)));
        assert!(matches!(Text::new(br"es\,caped", Escapes::Key).to_str(), Ok(Cow::Owned(_))));
        assert!(Text::plain(b"\xff").to_str().is_err());
    }

    #[test]
    fn texts_compare_by_meaning() {
        let escaped = Text::new(br"a\,b", Escapes::Key);
        let plain = Text::plain(b"a,b");
        assert_eq!(escaped, plain);
        assert_eq!(escaped.cmp(&Text::plain(b"a-")), Ordering::Less);
        assert_eq!(format!("{escaped} {escaped:?}"), "a,b \"a,b\"");
    }
}
