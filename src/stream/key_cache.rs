//! The hash keys of the partition keys that a thread has put under a moment ago.
//!
//! MD5 takes longer than the rest of a put, and those who put one record after the other mostly have few keys. Each thread
//! remembers some for itself: no lock, nothing on the heap, nothing to be dropped. A key has one place, and whoever comes
//! there next takes it, so keys that were chosen to share a place cost what keys cost that never come again.

use std::cell::RefCell;

use super::hash_key::HashKey;

const PLACE_BITS: u32 = 8;
/// Keys remembered by each thread.
const PLACES: usize = 1 << PLACE_BITS;
/// The longest key that is remembered, in bytes: an entry fills a line of the processor's cache.
const MAX_LEN: usize = 47;

const _: () = assert!(size_of::<Entry>() == 64);

thread_local! {
    static RECENT: RefCell<RecentKeys> = const { RefCell::new(RecentKeys::new()) };
}

/// The hash key of `key`: what [`HashKey::of`] returns, without hashing a key that this thread has asked for recently.
pub(crate) fn hash_key_of(key: &str) -> HashKey {
    let Some(place) = place_of(key.as_bytes()) else {
        return HashKey::of(key);
    };
    if let Some(hash_key) = RECENT.with_borrow(|recent| recent.get(place, key)) {
        return hash_key;
    }
    let hash_key = HashKey::of(key);
    RECENT.with_borrow_mut(|recent| recent.insert(place, key, hash_key));
    hash_key
}

struct RecentKeys([Entry; PLACES]);

#[repr(align(64))]
struct Entry {
    hash_key: HashKey,
    /// The key's bytes, and behind them whatever was there before.
    text: [u8; MAX_LEN],
    /// 0 where nothing has been entered yet.
    len: u8,
}

impl RecentKeys {
    const fn new() -> Self {
        Self([const { Entry { hash_key: HashKey::MIN, text: [0; MAX_LEN], len: 0 } }; PLACES])
    }

    #[inline]
    fn get(&self, place: usize, key: &str) -> Option<HashKey> {
        let entry = self.0.get(place)?;
        // All of the key is compared: another one of the same place mostly belongs to another shard.
        let is_same = entry.text.get(..usize::from(entry.len)) == Some(key.as_bytes());
        is_same.then_some(entry.hash_key)
    }

    #[inline]
    fn insert(&mut self, place: usize, key: &str, hash_key: HashKey) {
        let Some(entry) = self.0.get_mut(place) else { return };
        let (Some(text), Ok(len)) = (entry.text.get_mut(..key.len()), u8::try_from(key.len())) else {
            return;
        };
        text.copy_from_slice(key.as_bytes());
        entry.len = len;
        entry.hash_key = hash_key;
    }
}

/// Where a key is remembered; nowhere if it is too long, or empty as the entries of which nothing has been made yet are. Keys
/// that are counted up, wherever the digits are, shall not share few places; that is all this has to do.
#[inline]
fn place_of(key: &[u8]) -> Option<usize> {
    if !(1..=MAX_LEN).contains(&key.len()) {
        return None;
    }
    let (words, rest) = key.as_chunks::<8>();
    let add = |mixed: u64, word: u64| mixed.rotate_left(23) ^ word;
    let mut mixed = words.iter().fold(0, |mixed, word| add(mixed, u64::from_le_bytes(*word)));
    if !rest.is_empty() {
        let last = match key.last_chunk() {
            Some(last) => u64::from_le_bytes(*last),
            None => rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        mixed = add(mixed, last);
    }
    // The golden ratio's digits.
    let spread = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(spread >> (u64::BITS - PLACE_BITS)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Not what MD5 makes of any key here.
    const OTHER: HashKey = HashKey::MAX;

    #[test]
    fn a_key_is_found_in_its_place_and_no_other_key_is() {
        let mut recent = RecentKeys::new();
        for key in ["a", "ab", "abc", &"k".repeat(MAX_LEN)] {
            assert_eq!(recent.get(0, key), None, "{key}");
            recent.insert(0, key, OTHER);
            assert_eq!(recent.get(0, key), Some(OTHER), "{key}");
            assert_eq!(recent.get(1, key), None, "{key}");
        }
        // What a longer one has left behind is no part of it.
        recent.insert(0, "ab", OTHER);
        for key in ["a", "b", "ac", "abk", "abkk", &"k".repeat(MAX_LEN)] {
            assert_eq!(recent.get(0, key), None, "{key}");
        }
    }

    #[test]
    fn what_has_no_place_changes_nothing() {
        let mut recent = RecentKeys::new();
        recent.insert(PLACES, "a", OTHER);
        recent.insert(0, &"k".repeat(MAX_LEN + 1), OTHER);
        assert!(recent.0.iter().all(|entry| entry.len == 0));
    }

    #[test]
    fn a_key_of_any_length_is_hashed_as_md5_does_and_remembered_if_it_is_short() {
        for len in 0..=300 {
            let key = "k".repeat(len);
            for _ in 0..2 {
                assert_eq!(hash_key_of(&key), HashKey::of(&key), "{len}");
            }
            let place = place_of(key.as_bytes());
            assert_eq!(place.is_some(), (1..=MAX_LEN).contains(&len), "{len}");
            if let Some(place) = place {
                assert!(RECENT.with_borrow(|recent| recent.get(place, &key)).is_some(), "{len}");
            }
        }
    }

    #[test]
    fn keys_that_share_a_place_take_turns() {
        let first = "key-0".to_owned();
        let place = place_of(first.as_bytes()).unwrap();
        let mut others = (1..).map(|index| format!("key-{index}"));
        let other = others.find(|key| place_of(key.as_bytes()) == Some(place)).unwrap();
        for key in [&first, &other, &other, &first, &other] {
            assert_eq!(hash_key_of(key), HashKey::of(key));
            assert!(RECENT.with_borrow(|recent| recent.get(place, key)).is_some());
        }
    }

    #[test]
    fn a_thread_knows_nothing_of_what_others_remember() {
        let place = place_of(b"key").unwrap();
        RECENT.with_borrow_mut(|recent| recent.insert(place, "key", OTHER));
        assert_eq!(hash_key_of("key"), OTHER);
        let elsewhere = std::thread::spawn(|| hash_key_of("key")).join().unwrap();
        assert_eq!(elsewhere, HashKey::of("key"));
    }

    /// All that depends on it is how often a key is hashed; but that was worth the table.
    #[test]
    fn keys_that_are_counted_up_have_places_of_their_own() {
        let patterns: [fn(usize) -> String; 4] = [
            |index| format!("{index}"),
            |index| format!("sensor-{index:09}"),
            |index| format!("device/{index:04}/temperature"),
            |index| format!("host{}.region{}.example.com", index % 10, index / 10),
        ];
        for pattern in patterns {
            let places: std::collections::BTreeSet<_> =
                (0..100).map(|index| place_of(pattern(index).as_bytes())).collect();
            assert!(places.len() >= 80, "{}: {}", pattern(0), places.len());
        }
    }

    proptest! {
        #[test]
        fn hash_keys_are_md5s_in_whatever_order_keys_come(
            keys in prop::collection::vec("[ab\u{1f30a}]{0,14}", 0..300)
        ) {
            for key in &keys {
                prop_assert_eq!(hash_key_of(key), HashKey::of(key));
            }
        }
    }
}
