//! MD5, of one key or of many keys at once.
//!
//! Hashing a short partition key takes longer than all the rest of a put, and a processor's vectors have room for many
//! keys side by side: a key in each lane. A [`Digester`] fills the lanes with keys of the same number of blocks,
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

use std::collections::BTreeMap;
use std::iter;

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

/// Computes the MD5 of many keys, each as soon as there are others of the same number of blocks for all lanes.
pub(crate) struct Digester<'k> {
    level: Level,
    /// How many keys it hashes at once.
    lanes: usize,
    rows: Rows,
    digests: Digests,
    /// Keys of one block. Nearly always all are.
    short: Lanes<'k>,
    /// The others, by their number of blocks.
    longer: BTreeMap<usize, Lanes<'k>>,
}

/// Keys of the same number of blocks.
#[derive(Default)]
struct Lanes<'k> {
    slots: [Slot<'k>; MAX_LANES],
    filled: usize,
}

impl<'k> Digester<'k> {
    pub(crate) fn new(level: Level) -> Self {
        Self {
            level,
            lanes: level.lanes(),
            rows: Rows([[0; BLOCK_LEN]; MAX_LANES]),
            digests: [0; MAX_LANES],
            short: Lanes::default(),
            longer: BTreeMap::new(),
        }
    }

    /// Takes a key. Once all lanes have one, calls `found` with the place of each and its MD5, read as a big-endian number.
    #[inline]
    pub(crate) fn add(&mut self, place: usize, key: &'k [u8], found: impl FnMut(usize, u128)) {
        let lanes = match block_count(key.len()) {
            1 => &mut self.short,
            blocks => self.longer.entry(blocks).or_default(),
        };
        if let Some(slot) = lanes.slots.get_mut(lanes.filled) {
            *slot = Slot { key, place };
            lanes.filled += 1;
        }
        if lanes.filled >= self.lanes {
            lanes.hash(self.level, &mut self.rows, &mut self.digests, found);
        }
    }

    /// Calls `found` with the places and digests of the keys that are left.
    pub(crate) fn finish(mut self, mut found: impl FnMut(usize, u128)) {
        for lanes in iter::once(&mut self.short).chain(self.longer.values_mut()) {
            lanes.hash(self.level, &mut self.rows, &mut self.digests, &mut found);
        }
    }
}

impl Lanes<'_> {
    #[inline(never)]
    fn hash(
        &mut self,
        level: Level,
        rows: &mut Rows,
        digests: &mut Digests,
        mut found: impl FnMut(usize, u128),
    ) {
        let slots = self.slots.get(..self.filled).unwrap_or_default();
        level.hash(slots, rows, digests);
        for (slot, digest) in slots.iter().zip(digests) {
            found(slot.place, *digest);
        }
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests;
