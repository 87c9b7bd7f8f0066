//! The ways to compute many MD5s, for the benchmark that compares them.

use crate::stream::hash_key::HashKey;
use crate::sys::md5::{Digester, Level};

/// A way to compute many MD5s that this processor can go.
#[derive(Debug, Clone, Copy)]
pub struct Md5Level(Level);

impl Md5Level {
    /// All there are, from slow to fast.
    pub fn all() -> impl Iterator<Item = Self> {
        Level::all().into_iter().map(Self)
    }

    /// The name of the instruction set.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Replaces what `hash_keys` has by the hash key of each partition key, in their order.
    pub fn hash_each(self, partition_keys: &[&str], hash_keys: &mut Vec<HashKey>) {
        hash_keys.resize(partition_keys.len(), HashKey::MIN);
        let mut found = |place, digest| {
            if let Some(hash_key) = hash_keys.get_mut(place) {
                *hash_key = HashKey::from(digest);
            }
        };
        let mut digester = Digester::new(self.0);
        for (place, key) in partition_keys.iter().enumerate() {
            digester.add(place, key.as_bytes(), &mut found);
        }
        digester.finish(found);
    }
}
