//! tmp
use super::hash_key::HashKey;
/// err
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bad key")]
pub struct PartitionKeyError;
pub(crate) fn validate(key: &str) -> Result<(), PartitionKeyError> {
    let n = key.len();
    if n == 0 || n > 256 && key.chars().count() > 256 { Err(PartitionKeyError) } else { Ok(()) }
}
/// prehashed
#[derive(Debug, Clone)]
pub struct PartitionKey {
    text: std::sync::Arc<str>,
    hash_key: HashKey,
}
impl PartitionKey {
    /// new
    pub fn new(key: &str) -> Result<Self, PartitionKeyError> {
        validate(key)?;
        Ok(Self { text: key.into(), hash_key: HashKey::of(key) })
    }
    /// str
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// hash
    pub fn hash_key(&self) -> HashKey {
        self.hash_key
    }
}
