//! Shard ids.

use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "shardId-";

/// A shard's id: numbered from 0 in the order of creation, written `shardId-000000000000` as in Kinesis.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use riverbed::ShardId;
///
/// let id: ShardId = "shardId-000000000007".parse()?;
/// assert_eq!(id, ShardId::new(7));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(u32);

/// Text that is not a shard id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is not a shard id: expected 'shardId-' and twelve digits, not above shardId-004294967295")]
pub struct ParseShardIdError {
    found: String,
}

impl ShardId {
    /// The id with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The id's number.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Padded as a whole, so that tables line up.
        f.pad(&format!("{PREFIX}{:012}", self.0))
    }
}

impl FromStr for ShardId {
    type Err = ParseShardIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text
            .strip_prefix(PREFIX)
            .filter(|digits| digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.map(str::parse) {
            Some(Ok(number)) => Ok(Self(number)),
            _ => Err(ParseShardIdError { found: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_twelve_digits() {
        assert_eq!(ShardId::new(u32::MAX).to_string(), "shardId-004294967295");
        for text in [
            "",
            "shardId-",
            "shardId-7",
            "shard-000000000007",
            "shardId-00000000000+",
            "shardId-004294967296",
        ] {
            assert!(text.parse::<ShardId>().is_err(), "{text}");
        }
    }
}
