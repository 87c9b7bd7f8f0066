//! Hash keys.

use std::fmt;
use std::str::FromStr;

use crate::sys::md5;

/// A place in the space of 2^128 hash keys that the shards of a stream share: the MD5 of a partition key's UTF-8, read
/// as a big-endian number, exactly as in Kinesis.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use riverbed::HashKey;
///
/// assert_eq!(HashKey::of("a").to_string(), "16955237001963240173058271559858726497");
/// let explicit: HashKey = "42".parse()?;
/// assert_eq!(explicit.as_u128(), 42);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKey(u128);

/// Text that is not a hash key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{found}' is not a hash key: expected a decimal number from 0 to {}, without sign or leading zeros; \
     for the hash key of a partition key use `HashKey::of`",
    u128::MAX
)]
pub struct ParseHashKeyError {
    found: String,
}

impl HashKey {
    /// The lowest hash key.
    pub const MIN: Self = Self(0);
    /// The highest hash key.
    pub const MAX: Self = Self(u128::MAX);

    /// The hash key of a partition key.
    pub fn of(partition_key: &str) -> Self {
        Self(md5::digest(partition_key.as_bytes()))
    }

    /// As a number.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl From<u128> for HashKey {
    fn from(number: u128) -> Self {
        Self(number)
    }
}

impl From<HashKey> for u128 {
    fn from(hash_key: HashKey) -> Self {
        hash_key.0
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for HashKey {
    type Err = ParseHashKeyError;

    /// Follows Kinesis's `ExplicitHashKey`: `0|[1-9]\d{0,38}`, below 2^128.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text == "0" || !text.starts_with(['0', '+']);
        match text.parse() {
            Ok(number) if plain => Ok(Self(number)),
            _ => Err(ParseHashKeyError { found: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_hash_keys_are_plain_decimals_below_2_to_the_128() {
        for text in ["0", "1", "340282366920938463463374607431768211455"] {
            assert_eq!(text.parse::<HashKey>().unwrap().to_string(), text);
        }
        let outside = "340282366920938463463374607431768211456";
        for text in ["", "-1", "+1", "00", "01", " 1", "1 ", "1e3", "0x1", "\u{661}", outside] {
            assert!(text.parse::<HashKey>().is_err(), "{text:?}");
        }
    }
}
