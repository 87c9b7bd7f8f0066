//! Which of several ranges that cover all hash keys has a hash key.

use super::hash_key::HashKey;

/// Ranges that cover all hash keys. Looking a key up takes one comparison as long as they are about as large as each other, and
/// no branch that depends on the key, as each step of a search does.
#[derive(Debug)]
pub(crate) struct Owners {
    /// The last hash key of each range but the last one, which has the rest.
    ends: Vec<HashKey>,
    /// For each of equal parts of all hash keys, as many as there are ranges or up to twice as many, the first and the last range that have
    /// any of it.
    parts: Vec<(usize, usize)>,
    /// The number of a key's part is the upper half of its bits, moved down by so many.
    shift: u32,
}

impl Owners {
    /// Of ranges that have these last hash keys.
    pub(crate) fn new(mut ends: Vec<HashKey>) -> Self {
        let parts = ends.len().max(2).next_power_of_two();
        ends.pop();
        let shift = u64::BITS - parts.trailing_zeros();
        let len_of_part = 1 << (u64::BITS + shift);
        let owner_of = |key| owner(&ends, HashKey::from(key));
        let parts = (0..parts as u128)
            .map(|part| part * len_of_part)
            .map(|first_key| (owner_of(first_key), owner_of(first_key + (len_of_part - 1))))
            .collect();
        Self { ends, parts, shift }
    }

    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len() + 1
    }

    /// The place of the range that has this hash key.
    #[inline]
    pub(crate) fn place_of(&self, hash_key: HashKey) -> usize {
        let upper = u64::try_from(hash_key.as_u128() >> u64::BITS).unwrap_or(u64::MAX);
        let part = usize::try_from(upper >> self.shift).unwrap_or(usize::MAX);
        match self.parts.get(part) {
            Some(&(first, last)) if last - first <= 1 => {
                first + usize::from(self.ends.get(first).is_some_and(|end| *end < hash_key))
            }
            _ => owner(&self.ends, hash_key),
        }
    }
}

fn owner(ends: &[HashKey], hash_key: HashKey) -> usize {
    ends.partition_point(|end| *end < hash_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_owner_is_the_first_range_that_does_not_end_before_the_key(
            // Of all sizes: many of them share a part, or have several.
            ends in prop::collection::btree_set((any::<u128>(), 0_u32..128).prop_map(|(end, down)| end >> down), 0..40),
            even in 1_u128..40,
            keys in prop::collection::vec(any::<u128>(), 0..20),
        ) {
            let even = (1..even).map(|place| u128::MAX / even * place).collect();
            for ends in [ends, even] {
                let ends: Vec<_> = ends.into_iter().chain([u128::MAX]).map(HashKey::from).collect();
                let owners = Owners::new(ends.clone());
                let around = ends.iter().map(|end| end.as_u128()).flat_map(|end| {
                    [end.saturating_sub(1), end, end.saturating_add(1)]
                });
                for key in around.chain(keys.iter().copied()).map(HashKey::from) {
                    prop_assert_eq!(Some(owners.place_of(key)), ends.iter().position(|end| *end >= key));
                }
            }
        }
    }
}
