//! Sequence numbers.

use std::fmt;
use std::str::FromStr;

use super::shard_id::ShardId;

/// The number of a record: unique in its stream, strictly increasing in its shard, never given twice.
///
/// A shard counts its records; the number is that counter above the shard's id, so that numbers of different
/// shards never meet, and it is printed in decimal. Numbers of one shard may leave gaps (after a crash the engine
/// goes on above every number that it may have handed out), and a child shard's are above its parents'.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use riverbed::SequenceNumber;
///
/// let number: SequenceNumber = "4294967298".parse()?;
/// assert_eq!((number.counter(), number.shard_id().as_u32()), (1, 2));
/// assert_eq!(number.to_string(), "4294967298");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber {
    counter: u64,
    shard: u32,
}

/// Text or a number that is not a sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{found}' is not a sequence number: expected a decimal number below 2^96 without sign or leading zeros, as \
     a put returns it"
)]
pub struct ParseSequenceNumberError {
    found: String,
}

impl SequenceNumber {
    pub(crate) const fn new(counter: u64, shard: ShardId) -> Self {
        Self { counter, shard: shard.as_u32() }
    }

    /// The number as one integer: below 2^96.
    pub const fn as_u128(self) -> u128 {
        (self.counter as u128) << 32 | self.shard as u128
    }

    /// The shard's own count, the upper part of the number.
    pub const fn counter(self) -> u64 {
        self.counter
    }

    /// The shard that gave the number.
    pub const fn shard_id(self) -> ShardId {
        ShardId::new(self.shard)
    }
}

impl TryFrom<u128> for SequenceNumber {
    type Error = ParseSequenceNumberError;

    fn try_from(number: u128) -> Result<Self, Self::Error> {
        let counter = u64::try_from(number >> 32);
        let shard = u32::try_from(number & u128::from(u32::MAX));
        match (counter, shard) {
            (Ok(counter), Ok(shard)) => Ok(Self { counter, shard }),
            _ => Err(ParseSequenceNumberError { found: number.to_string() }),
        }
    }
}

impl From<SequenceNumber> for u128 {
    fn from(number: SequenceNumber) -> Self {
        number.as_u128()
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_u128(), f)
    }
}

impl FromStr for SequenceNumber {
    type Err = ParseSequenceNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text == "0" || !text.starts_with(['0', '+']);
        match text.parse::<u128>() {
            Ok(number) if plain => Self::try_from(number),
            _ => Err(ParseSequenceNumberError { found: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_order_by_counter_first() {
        let number = SequenceNumber::new(u64::MAX, ShardId::new(u32::MAX));
        assert_eq!(number.as_u128(), (1 << 96) - 1);
        assert_eq!(number.to_string().parse(), Ok(number));
        assert!(SequenceNumber::new(1, ShardId::new(9)) < SequenceNumber::new(2, ShardId::new(0)));
    }

    #[test]
    fn what_no_put_returns_is_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "01",
            "1.0",
            " 1",
            "0x1",
            "79228162514264337593543950336",
            "9".repeat(40).as_str(),
        ] {
            assert!(text.parse::<SequenceNumber>().is_err(), "{text}");
        }
    }
}
