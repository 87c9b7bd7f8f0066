//! tmp
use super::hash_key::HashKey;
use std::num::NonZeroU32;
/// range
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashKeyRange {
    /// s
    pub start: HashKey,
    /// e
    pub end: HashKey,
}
impl HashKeyRange {
    /// uniform
    pub fn uniform(n: NonZeroU32) -> Vec<Self> {
        let n = u128::from(n.get());
        let size = if n == 1 { 0 } else { u128::MAX / n + u128::from(u128::MAX % n == n - 1) };
        (0..n)
            .map(|i| Self {
                start: (i * size).into(),
                end: if i == n - 1 { u128::MAX.into() } else { ((i + 1) * size - 1).into() },
            })
            .collect()
    }
    /// contains
    pub fn contains(&self, k: HashKey) -> bool {
        self.start <= k && k <= self.end
    }
}
