//! What is written: numbered records under keys that belong to one writer each.

/// Keys of each writer.
pub const KEYS_PER_WRITER: usize = 64;
pub const WRITERS: usize = 8;
pub const KEYS: usize = WRITERS * KEYS_PER_WRITER;

const HEAD: usize = 24;
const LONGEST: usize = 600;

/// Which record of its key it is: the life of the writing process, and the count within that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub run: u64,
    pub index: u64,
}

impl Place {
    /// The place behind this one, in the same life.
    pub fn next(self) -> Self {
        Self { index: self.index + 1, ..self }
    }
}

pub fn key_name(key: usize) -> String {
    format!("key-{key}")
}

/// The data of a record: who it is, and noise that follows from that.
pub fn data(key: usize, place: Place) -> Vec<u8> {
    let mut data = Vec::with_capacity(HEAD + LONGEST);
    for part in [key as u64, place.run, place.index] {
        data.extend(part.to_le_bytes());
    }
    let seed = place.run.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (key as u64) << 40 ^ place.index;
    let mut random = fastrand::Rng::with_seed(seed);
    data.resize(HEAD + random.usize(..LONGEST), 0);
    random.fill(&mut data[HEAD..]);
    data
}

/// Which record it is, having checked that it is what was written, byte for byte.
pub fn checked(partition_key: &str, found: &[u8]) -> (usize, Place) {
    let part = |at: usize| u64::from_le_bytes(found[at..at + 8].try_into().unwrap());
    let (key, place) = (usize::try_from(part(0)).unwrap(), Place { run: part(8), index: part(16) });
    assert!(key < KEYS && partition_key == key_name(key), "{partition_key} is not the key of {key}");
    assert!(found == data(key, place), "the data of {key} at {place:?} is not what was written");
    (key, place)
}
