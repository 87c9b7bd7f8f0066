//! The operating system, and every `unsafe` block of the crate.
//!
//! Everything above this module is safe Rust. What it needs from here: [`storage`] (files and directories
//! behind one small trait, so that tests can cut the power), [`region`] (a mapped file as an append-only
//! run of bytes with one writer and any number of readers), [`clock`], [`sync`] (atomics that `loom` can see),
//! [`md5`] (of many keys at once), [`crc`] (of short frames) and [`parallel`] (work shared by threads).

#![expect(
    unsafe_code,
    reason = "mapped memory is reached through raw pointers, and vectors need a processor that has them; this module \
              is where that is argued"
)]

pub(crate) mod clock;
pub(crate) mod crc;
#[cfg(all(test, loom))]
mod loom_models;
pub(crate) mod mapping;
pub(crate) mod md5;
#[cfg(feature = "testing")]
pub(crate) mod memory;
pub(crate) mod os;
pub(crate) mod parallel;
pub(crate) mod published;
pub(crate) mod region;
pub(crate) mod storage;
pub(crate) mod sync;
#[cfg(feature = "arrow")]
pub(crate) mod validated;

// Offsets in files are u64, offsets in mappings usize: on the platforms we support they are the same.
const _: () = assert!(usize::BITS == 64, "riverbed maps whole segments and needs a 64-bit address space");
