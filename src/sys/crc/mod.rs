//! CRC-32 (IEEE, as in zlib) of what a frame is made of: headers of 32 bytes, and bodies that are short more often than not.
//!
//! `crc32fast` is as fast as the memory for long input. For a header, or a key and a hundred bytes, most of its time goes
//! into finding out what the processor can do and into the last few bytes. Here both are cheaper: the processor is
//! asked once, and the last bytes are folded in by shifting instead of being looked up one by one.
//!
//! Folding follows Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ instruction" (Intel, 2009),
//! whose names the constants have.

#[cfg(target_arch = "x86_64")]
mod blocks;
#[cfg(target_arch = "x86_64")]
mod copy;
#[cfg(target_arch = "x86_64")]
mod level;
#[cfg(target_arch = "x86_64")]
mod wide;

#[cfg(target_arch = "x86_64")]
use level::Level;
use std::ptr::copy_nonoverlapping;

/// Up to here the folding of this module is faster. From here on four strands at a time, which `crc32fast` has, are.
#[cfg(target_arch = "x86_64")]
const LONGEST: usize = 191;
/// From here on checksum and copy take less time in one pass than in two, and no more than the copy alone.
#[cfg(target_arch = "x86_64")]
const ONE_PASS: usize = 256;

/// The checksum of some bytes followed by `bytes`, where that of the first is `crc`.
#[inline]
pub(crate) fn update(crc: u32, bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if (blocks::SHORTEST..=LONGEST).contains(&bytes.len()) && Level::of_processor() >= Level::Blocks {
        // SAFETY: the processor has what the function is compiled for: that is what the level says.
        return unsafe { blocks::update(crc, bytes) };
    }
    any_length(crc, bytes)
}

fn any_length(crc: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(crc);
    hasher.update(bytes);
    hasher.finalize()
}

/// The checksum of `bytes`.
#[inline]
pub(crate) fn of(bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() <= LONGEST && Level::of_processor() == Level::Wide {
        // SAFETY: as in `update`.
        return unsafe { wide::of(bytes) };
    }
    update(0, bytes)
}

/// The checksum of two runs of bytes, one behind the other: as fast as if they were one.
#[inline(always)]
pub(crate) fn of_two(first: &[u8], second: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if first.len().max(second.len()) <= LONGEST {
        match Level::of_processor() {
            // SAFETY: as in `update`.
            Level::Wide => return unsafe { wide::of_two(first, second) },
            // SAFETY: as in `update`.
            Level::Blocks => return unsafe { blocks::of_two(first, second) },
            Level::None => {}
        }
    }
    update(of(first), second)
}

/// Whether so many bytes are better checksummed while they are copied ([`copy`]), which takes about as long as to copy them.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn is_copied_in_one_pass(len: usize) -> bool {
    len >= ONE_PASS && Level::of_processor() == Level::Wide
}

/// The same, for processors for which there is no such copy.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn is_copied_in_one_pass(_len: usize) -> bool {
    false
}

/// Copies `bytes` to `target`, and returns the checksum of some bytes followed by them, where that of the first is `crc`.
///
/// # Safety
///
/// `bytes` may be copied to `target` as by [`copy_nonoverlapping`].
#[inline]
pub(crate) unsafe fn copy(crc: u32, bytes: &[u8], target: *mut u8) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if is_copied_in_one_pass(bytes.len()) {
        // SAFETY: as in `update`, and the caller's promise.
        return unsafe { copy::copy(crc, bytes, target) };
    }
    // SAFETY: the caller's promise.
    unsafe { copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    update(crc, bytes)
}

/// The checksum of 32 bytes, given as little-endian numbers.
#[inline]
pub(crate) fn of_words(words: [u64; 4]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if Level::of_processor() >= Level::Blocks {
        let [one, two, three, four] = words;
        // SAFETY: as in `update`.
        return unsafe { blocks::of_words(one, two, three, four) };
    }
    words.iter().fold(0, |crc, word| any_length(crc, &word.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_up_to_a_kilobyte_has_the_checksum_of_crc32fast() {
        let mut random = fastrand::Rng::with_seed(1);
        let bytes: Vec<u8> = (0..1100).map(|_| random.u8(..)).collect();
        for len in 0..1024 {
            for start in [0, 1, 7, 16, 61] {
                let bytes = bytes.get(start..start + len).unwrap_or_default();
                assert_eq!(of(bytes), crc32fast::hash(bytes), "{len} bytes from {start}");
                let earlier = random.u32(..);
                let mut expected = crc32fast::Hasher::new_with_initial(earlier);
                expected.update(bytes);
                assert_eq!(update(earlier, bytes), expected.finalize(), "{len} bytes behind {earlier:#x}");
            }
        }
    }

    #[test]
    fn two_runs_have_the_checksum_of_both_together() {
        let mut random = fastrand::Rng::with_seed(3);
        let bytes: Vec<u8> = (0..600).map(|_| random.u8(..)).collect();
        for middle in (0..=70).chain([190, 191, 192, 250]) {
            for end in middle..middle + 300 {
                let (first, second) = bytes[..end].split_at(middle);
                let expected = crc32fast::hash(&bytes[..end]);
                assert_eq!(of_two(first, second), expected, "{middle} of {end} bytes");
                // The levels below the processor's.
                #[cfg(target_arch = "x86_64")]
                if Level::of_processor() >= Level::Blocks {
                    // SAFETY: as in `update`.
                    assert_eq!(unsafe { blocks::of_two(first, second) }, expected, "{middle} of {end} bytes");
                }
                assert_eq!(any_length(any_length(0, first), second), expected, "{middle} of {end} bytes");
            }
        }
    }

    #[test]
    fn a_copy_in_one_pass_has_every_byte_and_no_other_and_its_checksum() {
        const SPARE: usize = 64;
        let mut random = fastrand::Rng::with_seed(4);
        let source: Vec<u8> = (0..70_000).map(|_| random.u8(..)).collect();
        let mut target = vec![0; SPARE + 70_000 + SPARE];
        let lengths = (0..1100).chain([4095, 4096, 4097, 16_383, 65_535, 65_536, 65_599]);
        for len in lengths {
            for (from, to) in [(0, 0), (1, 7), (33, 1), (63, 63), (64, 39)] {
                let bytes = &source[from..from + len];
                let earlier = random.u32(..);
                let mut expected = crc32fast::Hasher::new_with_initial(earlier);
                expected.update(bytes);
                let expected = expected.finalize();
                let mut check = |copy: unsafe fn(u32, &[u8], *mut u8) -> u32| {
                    let (before, rest) = target.split_at_mut(SPARE + to);
                    let (copied, after) = rest.split_at_mut(len);
                    let after = &mut after[..SPARE - to];
                    before.fill(0xa5);
                    copied.fill(!0);
                    after.fill(0xa5);
                    // SAFETY: they are as long as each other, and the processor has what the function is compiled for.
                    let found = unsafe { copy(earlier, bytes, copied.as_mut_ptr()) };
                    assert_eq!(found, expected, "{len} bytes from {from} behind {earlier:#x}");
                    assert!(copied == bytes, "{len} bytes from {from} to {to}");
                    let spared = before.iter().chain(&*after).all(|&byte| byte == 0xa5);
                    assert!(spared, "{len} bytes to {to}: others were written to");
                };
                check(copy);
                #[cfg(target_arch = "x86_64")]
                if Level::of_processor() == Level::Wide {
                    check(copy::copy);
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn memory_between_closed_pages(pages: usize) -> memmap2::MmapMut {
        let mut memory = memmap2::MmapMut::map_anon(3 * pages).unwrap();
        for closed in [0, 2 * pages] {
            let first = memory[closed..].as_mut_ptr().cast();
            // SAFETY: nothing refers to those pages.
            unsafe { rustix::mm::mprotect(first, pages, rustix::mm::MprotectFlags::empty()) }.unwrap();
        }
        memory
    }

    /// A load that is masked must not fail for what it does not read.
    #[test]
    #[cfg(target_os = "linux")]
    fn bytes_between_pages_that_may_not_be_read_have_a_checksum() {
        const PAGES: usize = 65536;
        let mut memory = memory_between_closed_pages(PAGES);
        memory[PAGES..2 * PAGES].fill(7);
        for len in 0..200 {
            for bytes in [&memory[PAGES..PAGES + len], &memory[2 * PAGES - len..2 * PAGES]] {
                assert_eq!(of(bytes), crc32fast::hash(&[7; 200][..len]));
                assert_eq!(of_two(bytes, bytes), crc32fast::hash(&[7; 400][..2 * len]));
            }
        }
        // Nor a store for what it does not write, at either end.
        let mut other = memory_between_closed_pages(PAGES);
        for len in 0..700 {
            for (from, to) in [(PAGES, 2 * PAGES - len), (2 * PAGES - len, PAGES)] {
                let (bytes, target) = (&memory[from..from + len], &mut other[to..to + len]);
                target.fill(0);
                // SAFETY: they are as long as each other.
                let found = unsafe { copy(0, bytes, target.as_mut_ptr()) };
                assert_eq!(found, crc32fast::hash(bytes));
                assert!(target == bytes);
            }
        }
    }

    #[test]
    fn words_have_the_checksum_of_their_bytes() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..1000 {
            let words = [(); 4].map(|()| random.u64(..));
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            assert_eq!(of_words(words), crc32fast::hash(&bytes));
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(of(b"123456789"), 0xcbf4_3926);
    }
}
