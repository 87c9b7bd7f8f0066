//! Partition keys.

use std::fmt;
use std::sync::Arc;

use super::hash_key::HashKey;

/// The most characters that a partition key may have.
const MAX_CHARACTERS: usize = 256;

/// A partition key that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a partition key of {characters} characters: it must have 1 to {MAX_CHARACTERS}{}",
    if *characters > MAX_CHARACTERS { "; for a longer one, put its digest" } else { "" }
)]
pub struct PartitionKeyError {
    /// How many Unicode characters (not bytes) it has.
    pub characters: usize,
}

/// Checks a key: 1 to 256 Unicode characters, whatever bytes they take.
pub(crate) fn validate(key: &str) -> Result<(), PartitionKeyError> {
    // No key of so few bytes has more characters.
    if (1..=MAX_CHARACTERS).contains(&key.len()) {
        return Ok(());
    }
    match key.chars().count() {
        1..=MAX_CHARACTERS => Ok(()),
        characters => Err(PartitionKeyError { characters }),
    }
}

/// A partition key that has been checked and hashed once, to put many records under. Cheap to clone.
///
/// A thread remembers the hash keys of the texts that it has put under last, up to 256 of at most 47 bytes; this is for more keys than
/// that, for longer ones, and for several threads.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// # let clicks = store.create_stream("clicks", riverbed::StreamOptions::new())?;
/// use riverbed::PartitionKey;
///
/// let key = PartitionKey::new("user-42")?;
/// clicks.put(&key, b"one")?;
/// clicks.put(&key, b"two")?; // hashed no second time
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    text: Arc<str>,
    hash_key: HashKey,
}

impl PartitionKey {
    /// Checks and hashes a key.
    ///
    /// # Errors
    ///
    /// [`PartitionKeyError`] unless it has 1 to 256 Unicode characters.
    pub fn new(key: &str) -> Result<Self, PartitionKeyError> {
        validate(key)?;
        Ok(Self { text: key.into(), hash_key: HashKey::of(key) })
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The hash key that picks the shard.
    pub fn hash_key(&self) -> HashKey {
        self.hash_key
    }
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_is_too_long_is_told_to_be_put_as_its_digest() {
        let told = |characters| PartitionKeyError { characters }.to_string().contains("digest");
        assert!(told(257) && !told(0));
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(validate(""), Err(PartitionKeyError { characters: 0 }));
        for character in ["a", "\u{e9}", "\u{1f30a}"] {
            assert_eq!(validate(character), Ok(()));
            assert_eq!(validate(&character.repeat(256)), Ok(()));
            assert_eq!(validate(&character.repeat(257)), Err(PartitionKeyError { characters: 257 }));
        }
    }
}
