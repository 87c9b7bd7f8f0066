//! The partition key of a series.

use std::borrow::Cow;

use crate::stream::partition_key;
use crate::sys::md5;

/// How much of a series key that cannot be a partition key is kept, in characters: with a `#` and the 32 hexadecimal
/// digits of its MD5 that makes 256, the most that a partition key may have.
const KEPT_CHARACTERS: usize = 223;

/// The partition key of the series with this key: the series key itself where that is possible.
pub(super) fn partition_key(series_key: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(series_key) {
        Ok(text) if partition_key::validate(text).is_ok() => Cow::Borrowed(text),
        _ => {
            let text = String::from_utf8_lossy(series_key);
            let start: String = text.chars().take(KEPT_CHARACTERS).collect();
            Cow::Owned(format!("{start}#{:032x}", md5::digest(series_key)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_too_long_are_cut_and_told_apart_by_their_digest() {
        for character in ["a", "é", "\u{1f30a}"] {
            let longest = character.repeat(256);
            assert_eq!(partition_key(longest.as_bytes()), longest);
            let [one, other] = ["1", "2"].map(|end| format!("{longest}{end}"));
            let [one, other] = [&one, &other].map(|key| partition_key(key.as_bytes()));
            assert_eq!(one.chars().count(), 256);
            assert_eq!(one.chars().take(223).collect::<String>(), character.repeat(223));
            assert_ne!(one, other);
            assert!(partition_key::validate(&one).is_ok());
        }
    }

    #[test]
    fn the_digest_is_the_md5_in_hexadecimal() {
        let key = partition_key(b"m\xff");
        assert_eq!(key, "m\u{fffd}#2584bc49cacd3857cd02154f7161debf");
    }
}
