//! Remembering which columns of a mapping were validated, so that Arrow need not validate them at every read.
//!
//! # The argument for safety
//!
//! Arrow's arrays are only sound over valid bytes: offsets in bounds, text in UTF-8. Bytes of a region that were
//! published never change (see [`region`](super::region)), so what was valid once stays so for as long as the mapping lives.
//! A frame gets its mark in one of two places: when it was written from valid arrays through this very mapping, or when
//! everything in it was decoded from this mapping with validation. The marks go with the mapping: what is mapped again is
//! validated again.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_data::UnsafeFlag;

/// One mark for this many bytes: no two columnar frames start in the same.
const GRAIN: usize = 64;

/// The offsets of the frames of one mapping that hold valid columns.
#[derive(Debug)]
pub(crate) struct Validated {
    /// Bytes of the mapping.
    len: usize,
    /// Made with the first mark: most segments have no columns.
    marks: OnceLock<Box<[AtomicU64]>>,
}

impl Validated {
    pub(super) fn new(len: usize) -> Self {
        Self { len, marks: OnceLock::new() }
    }

    /// Notes that the columnar frame at `offset` is valid.
    pub(crate) fn add(&self, offset: usize) {
        let words = self.len.div_ceil(GRAIN * 64);
        let marks = self.marks.get_or_init(|| (0..words).map(|_| AtomicU64::new(0)).collect());
        let (word, bit) = place(offset);
        if let Some(word) = marks.get(word) {
            word.fetch_or(bit, Ordering::Release);
        }
    }

    /// Whether the columnar frame at `offset` is known to be valid.
    pub(crate) fn contains(&self, offset: usize) -> bool {
        let (word, bit) = place(offset);
        let word = self.marks.get().and_then(|marks| marks.get(word));
        word.is_some_and(|word| word.load(Ordering::Acquire) & bit != 0)
    }

    /// Tells Arrow whether to validate the columns of the frame at `offset`.
    pub(crate) fn skip_validation(&self, offset: usize) -> UnsafeFlag {
        let mut skip = UnsafeFlag::new();
        let valid = self.contains(offset);
        // SAFETY: the flag is set for columns only that are valid: see the argument at the top of this module.
        unsafe { skip.set(valid) };
        skip
    }
}

/// The word of marks, and the bit in it, for a frame at `offset`.
fn place(offset: usize) -> (usize, u64) {
    let mark = offset / GRAIN;
    (mark / 64, 1 << (mark % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_of_their_own_frame_alone_and_outside_there_are_none() {
        let validated = Validated::new(10_000);
        assert!(!validated.contains(64) && !validated.skip_validation(64).get());
        validated.add(128);
        validated.add(9_984);
        validated.add(usize::MAX);
        let marked: Vec<_> = (0..200).map(|n| n * 64).filter(|&offset| validated.contains(offset)).collect();
        assert_eq!(marked, [128, 9_984]);
        assert!(validated.skip_validation(128).get());
        assert!(!validated.contains(usize::MAX));
    }
}
