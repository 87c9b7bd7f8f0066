//! tmp
use md5::{Digest, Md5};
/// A hash key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKey(u128);
impl HashKey {
    /// of a key
    pub fn of(key: &str) -> Self {
        Self(u128::from_be_bytes(Md5::digest(key.as_bytes()).into()))
    }
    /// number
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}
impl From<u128> for HashKey {
    fn from(v: u128) -> Self {
        Self(v)
    }
}
