//! Ranges of hash keys.

use std::fmt;
use std::num::NonZeroU32;

use super::hash_key::HashKey;

/// The hash keys from `start` to `end`, both included: what a shard owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashKeyRange {
    /// The first hash key.
    pub start: HashKey,
    /// The last hash key; not below `start`.
    pub end: HashKey,
}

impl HashKeyRange {
    /// Every hash key.
    pub const ALL: Self = Self { start: HashKey::MIN, end: HashKey::MAX };

    /// All hash keys in `count` ranges as Kinesis cuts them: each of floor(2^128 / `count`) keys, the last one with the
    /// rest.
    ///
    /// ```
    /// use riverbed::HashKeyRange;
    /// use std::num::NonZeroU32;
    ///
    /// let ranges = HashKeyRange::uniform(NonZeroU32::new(3).unwrap_or(NonZeroU32::MIN));
    /// assert_eq!(ranges[0].end.to_string(), "113427455640312821154458202477256070484");
    /// assert_eq!(ranges[2].end.to_string(), "340282366920938463463374607431768211455");
    /// ```
    pub fn uniform(count: NonZeroU32) -> Vec<Self> {
        let count = u128::from(count.get());
        // 2^128 itself does not fit: 2^128 / n is (2^128 - 1) / n, and one more where n divides 2^128.
        let (size, rest) = (u128::MAX / count, u128::MAX % count);
        let size = if rest == count - 1 { size.checked_add(1) } else { Some(size) };
        let Some(size) = size else {
            // Only one range has 2^128 keys.
            return vec![Self::ALL];
        };
        (0..count)
            .map(|index| Self {
                start: HashKey::from(index * size),
                end: if index == count - 1 { HashKey::MAX } else { HashKey::from((index + 1) * size - 1) },
            })
            .collect()
    }

    /// Whether the range has this hash key.
    pub fn contains(&self, hash_key: HashKey) -> bool {
        self.start <= hash_key && hash_key <= self.end
    }

    /// Whether these ranges, which are in the order of their starts, cover every hash key exactly once.
    pub(crate) fn cover_all(ranges: impl Iterator<Item = Self>) -> bool {
        let mut next = Some(0);
        for range in ranges {
            if next != Some(range.start.as_u128()) || range.end < range.start {
                return false;
            }
            next = range.end.as_u128().checked_add(1);
        }
        next.is_none()
    }

    /// Whether one range begins where the other ends, so that they can be merged; in either order. What Kinesis's
    /// `MergeShards` asks of two shards.
    pub fn is_adjacent_to(&self, other: &Self) -> bool {
        let ends_before =
            |first: &Self, second: &Self| first.end.as_u128().checked_add(1) == Some(second.start.as_u128());
        ends_before(self, other) || ends_before(other, self)
    }

    /// The range in two, of which the second begins with `new_start`. `None` unless `new_start` is above the hash key
    /// that follows `start`, and below `end`: what Kinesis's `SplitShard` asks of its `NewStartingHashKey`.
    ///
    /// ```
    /// use riverbed::{HashKey, HashKeyRange};
    ///
    /// let middle = HashKey::from(1 << 127);
    /// let halves = HashKeyRange::ALL.split_at(middle);
    /// assert!(halves.is_some_and(|(low, high)| high.start == middle && low.is_adjacent_to(&high)));
    /// ```
    pub fn split_at(&self, new_start: HashKey) -> Option<(Self, Self)> {
        let low_end = new_start.as_u128().checked_sub(1).map(HashKey::from)?;
        let allowed = self.start < low_end && new_start < self.end;
        allowed
            .then_some((Self { start: self.start, end: low_end }, Self { start: new_start, end: self.end }))
    }

    /// Which part of all hash keys the range has: 1 for all of them.
    #[expect(clippy::cast_precision_loss, reason = "a share is for people to read")]
    pub fn share(&self) -> f64 {
        (self.end.as_u128() - self.start.as_u128()) as f64 / u128::MAX as f64
    }
}

impl fmt::Display for HashKeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_ranges_cover_every_hash_key_once() {
        for count in [1, 2, 3, 4, 5, 7, 16, 100, 1000, 65_536, 100_000] {
            let ranges = HashKeyRange::uniform(NonZeroU32::new(count).unwrap());
            assert_eq!(ranges.len(), count as usize);
            assert_eq!(ranges[0].start, HashKey::MIN);
            assert_eq!(ranges[ranges.len() - 1].end, HashKey::MAX);
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].end.as_u128() + 1, pair[1].start.as_u128(), "{count}");
            }
        }
    }

    fn range(start: u128, end: u128) -> HashKeyRange {
        HashKeyRange { start: HashKey::from(start), end: HashKey::from(end) }
    }

    #[test]
    fn a_split_leaves_more_than_one_hash_key_on_both_sides() {
        let (start, end) = (100, 200);
        for new_start in [0, 99, 100, 101, 200, 201, u128::MAX] {
            assert_eq!(range(start, end).split_at(HashKey::from(new_start)), None, "{new_start}");
        }
        for new_start in 102..200 {
            let (low, high) = range(start, end).split_at(HashKey::from(new_start)).unwrap();
            assert_eq!((low, high), (range(start, new_start - 1), range(new_start, end)));
            assert!(low.is_adjacent_to(&high));
        }
        assert_eq!(range(0, 2).split_at(HashKey::from(1)), None);
        assert_eq!(range(u128::MAX - 1, u128::MAX).split_at(HashKey::MAX), None);
        assert_eq!(HashKeyRange::ALL.split_at(HashKey::MIN), None);
        assert_eq!(HashKeyRange::ALL.split_at(HashKey::MAX), None);
    }

    #[test]
    fn adjacent_ranges_have_nothing_between_them_and_nothing_in_common() {
        let ranges = HashKeyRange::uniform(NonZeroU32::new(3).unwrap());
        for (first, a) in ranges.iter().enumerate() {
            for (second, b) in ranges.iter().enumerate() {
                assert_eq!(a.is_adjacent_to(b), first.abs_diff(second) == 1, "{first} {second}");
            }
        }
        assert!(!range(0, 5).is_adjacent_to(&range(5, 9)));
        assert!(!range(0, 5).is_adjacent_to(&range(7, 9)));
        // The last hash key is not followed by the first one.
        assert!(!range(9, u128::MAX).is_adjacent_to(&range(0, 5)));
    }
}
