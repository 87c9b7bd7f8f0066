//! MD5, of one key or of many keys at once.
//!
//! Hashing a short partition key takes longer than all the rest of a put, and a processor's vectors have room for many
//! keys side by side: a key in each lane. [`digest_each`] fills the lanes with keys of the same number of blocks,
//! wherever they are among the others, and [`Level`] knows which vectors there are.
//!
//! The operations on vectors are written out. What the compiler made of loops over arrays (one vector after the other,
//! some lanes scalar) took 1.8 times as long with AVX-512, 1.5 times with AVX2 and 2.6 times with SSE2.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, unused_variables, reason = "other processors hash key by key, without lanes")
)]

mod constants;
mod level;
mod padding;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod kernel;
#[cfg(target_arch = "x86_64")]
mod sse2;

use ::md5::{Digest as _, Md5};

pub(crate) use level::Level;
use padding::{BLOCK_LEN, Block, block_count};

/// Lanes of the widest level.
const MAX_LANES: usize = 32;

/// One block for each lane.
#[repr(align(64))]
struct Rows([Block; MAX_LANES]);

/// One digest for each lane, as big-endian numbers.
type Digests = [u128; MAX_LANES];

/// Keys of so many blocks or more are hashed one by one, so that numbers of blocks fit into 64 bits. No partition key
/// that is allowed has more than 17.
const LONG: usize = 63;

/// A key, and the place of its item.
#[derive(Clone, Copy, Default)]
struct Slot<'k> {
    key: &'k [u8],
    place: usize,
}

/// The MD5 of a key, read as a big-endian number.
pub(crate) fn digest(key: &[u8]) -> u128 {
    u128::from_be_bytes(Md5::digest(key).into())
}

/// Calls `found` with the place of each key and its MD5, read as a big-endian number; in any order.
pub(crate) fn digest_each<'k>(
    level: Level,
    keys: impl Iterator<Item = (usize, &'k [u8])> + Clone,
    mut found: impl FnMut(usize, u128),
) {
    let mut slots = [Slot::default(); MAX_LANES];
    let mut rows = Rows([[0; BLOCK_LEN]; MAX_LANES]);
    let mut digests = [0; MAX_LANES];
    // Numbers of blocks, as bits. Nearly always all keys have one block, and are gone through once.
    let (mut seen, mut done) = (1_u64 << 1, 0_u64);
    while seen != done {
        let count = (seen & !done).trailing_zeros() as usize;
        done |= 1 << count;
        let lanes = if count == LONG { 1 } else { level.lanes() };
        let mut of_this_count = keys.clone().map(|(place, key)| Slot { key, place }).filter(|slot| {
            let blocks = block_count(slot.key.len()).min(LONG);
            seen |= 1 << blocks;
            blocks == count
        });
        loop {
            let waiting = slots.iter_mut().take(lanes).zip(&mut of_this_count);
            let filled = waiting.map(|(slot, next)| *slot = next).count();
            let slots = slots.get(..filled).unwrap_or_default();
            level.hash(slots, &mut rows, &mut digests);
            for (slot, digest) in slots.iter().zip(&digests) {
                found(slot.place, *digest);
            }
            if filled < lanes {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests;
