//! Folding by blocks of 16 bytes: PCLMULQDQ and SSE4.1.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_clmulepi64_si128, _mm_cvtsi32_si128, _mm_extract_epi32, _mm_set_epi64x,
    _mm_shuffle_epi8, _mm_srli_si128, _mm_xor_si128,
};
use std::mem::transmute;

/// Less than a block is faster looked up.
pub(super) const SHORTEST: usize = BLOCK;
const BLOCK: usize = 16;
const K3: i64 = 0x1_7519_97d0;
const K4: i64 = 0x0_ccaa_009e;
const K5: i64 = 0x1_63cd_6124;
const P: i64 = 0x1_db71_0641;
const U: i64 = 0x1_f701_1641;
/// Four bytes that have no effect but that of the bits, all ones, with which a checksum begins, however many bytes follow.
const START: i64 = 0x9226_f562;

/// What a shuffle makes a zero of.
const Z: u8 = 0x80;
/// Read from `16 - n` on, moves the bytes of a block up by `n`; from `16 + n` on, down. Zeros follow.
static MOVES: [u8; 3 * BLOCK] = [
    Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, Z,
    Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z,
];
/// Read from `n` on, keeps the last `n` bytes of a block.
static LAST: [u8; 2 * BLOCK] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255,
];

/// Of as many bytes as [`SHORTEST`] to [`LONGEST`], though any number will do.
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
pub(super) fn update(crc: u32, bytes: &[u8]) -> u32 {
    let Some((first, rest)) = bytes.split_first_chunk::<BLOCK>() else {
        return super::any_length(crc, bytes);
    };
    let (blocks, tail) = rest.as_chunks::<BLOCK>();
    let folded = append_blocks(_mm_xor_si128(load(first), number(!crc)), blocks);
    reduce(append_tail(folded, tail, bytes.last_chunk()))
}

/// Of two runs of up to [`LONGEST`] bytes, though any number will do.
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
pub(super) fn of_two(first: &[u8], second: &[u8]) -> u32 {
    let folded = append(_mm_set_epi64x(START << 32, 0), first);
    reduce(append(folded, second))
}

/// What a block becomes with bytes behind it.
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
#[inline]
fn append(folded: __m128i, bytes: &[u8]) -> __m128i {
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    append_tail(append_blocks(folded, blocks), tail, bytes.last_chunk())
}

#[target_feature(enable = "pclmulqdq")]
#[inline]
fn append_blocks(folded: __m128i, blocks: &[[u8; BLOCK]]) -> __m128i {
    blocks.iter().fold(folded, |folded, block| _mm_xor_si128(fold(folded), load(block)))
}

/// What a block becomes with fewer bytes than a block behind it, which are the last ones of `last`, if there are as many.
#[target_feature(enable = "pclmulqdq,ssse3")]
#[inline]
fn append_tail(folded: __m128i, tail: &[u8], last: Option<&[u8; BLOCK]>) -> __m128i {
    if tail.is_empty() {
        return folded;
    }
    // The block followed by the tail, divided anew: what sticks out at the front, and a whole block.
    let front = _mm_shuffle_epi8(folded, window(&MOVES, tail.len()));
    let kept = _mm_shuffle_epi8(folded, window(&MOVES, BLOCK + tail.len()));
    let added = match last {
        Some(last) => _mm_and_si128(load(last), window(&LAST, tail.len())),
        None => load_short(tail),
    };
    _mm_xor_si128(fold(front), _mm_xor_si128(kept, added))
}

/// Fewer bytes than a block, behind zeros. Two loads that overlap, because whatever is before the first byte is not to be read.
#[target_feature(enable = "sse2")]
#[inline]
fn load_short(bytes: &[u8]) -> __m128i {
    let unused = u32::try_from(8 * BLOCK.saturating_sub(bytes.len())).unwrap_or(0);
    let (low, high) = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let first = u64::from_le_bytes(*first);
        (first.unbounded_shl(unused), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (
            0,
            u64::from(u32::from_le_bytes(*last)) << 32
                | u64::from(u32::from_le_bytes(*first)) << (unused % 64),
        )
    } else {
        (0, bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)) << (unused % 64))
    };
    _mm_set_epi64x(high.cast_signed(), low.cast_signed())
}

/// One by one, because an array would be handed over in memory, and the vectors would wait for its words to get
/// there: 15 ns instead of 5.
#[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
pub(super) fn of_words(one: u64, two: u64, three: u64, four: u64) -> u32 {
    let first = _mm_set_epi64x(two.cast_signed(), one.cast_signed());
    let second = _mm_set_epi64x(four.cast_signed(), three.cast_signed());
    reduce(_mm_xor_si128(fold(_mm_xor_si128(first, number(!0))), second))
}

#[target_feature(enable = "sse2")]
fn load(block: &[u8; BLOCK]) -> __m128i {
    // SAFETY: both types are 16 bytes of which every pattern is a value.
    unsafe { transmute::<[u8; BLOCK], __m128i>(*block) }
}

/// The 16 bytes of a table from `at` on.
#[target_feature(enable = "sse2")]
fn window(table: &[u8], at: usize) -> __m128i {
    load(table.get(at..).and_then(|rest| rest.first_chunk()).unwrap_or(&[0; BLOCK]))
}

/// A checksum where the first bytes are.
#[target_feature(enable = "sse2")]
fn number(crc: u32) -> __m128i {
    _mm_cvtsi32_si128(crc.cast_signed())
}

/// What a block becomes when another follows, to be added to that one.
#[target_feature(enable = "pclmulqdq")]
fn fold(block: __m128i) -> __m128i {
    let k3_k4 = _mm_set_epi64x(K4, K3);
    _mm_xor_si128(_mm_clmulepi64_si128::<0x00>(block, k3_k4), _mm_clmulepi64_si128::<0x11>(block, k3_k4))
}

/// The checksum that a block comes to.
#[target_feature(enable = "pclmulqdq,sse4.1")]
#[inline]
fn reduce(block: __m128i) -> u32 {
    // 128 bits to 96.
    let folded = _mm_clmulepi64_si128::<0x10>(block, _mm_set_epi64x(K4, K3));
    reduce_96(_mm_xor_si128(_mm_srli_si128::<8>(block), folded))
}

/// The checksum that the first 96 bits of a block come to, the last 32 of which are behind all that is to be checksummed.
#[target_feature(enable = "pclmulqdq,sse4.1")]
#[inline]
pub(super) fn reduce_96(block: __m128i) -> u32 {
    let low_32_bits = _mm_set_epi64x(0, 0xffff_ffff);
    // To 64, and by Barrett's method to 32.
    let folded = _mm_clmulepi64_si128::<0x00>(_mm_and_si128(block, low_32_bits), _mm_set_epi64x(0, K5));
    let block = _mm_xor_si128(_mm_srli_si128::<4>(block), folded);
    let p_u = _mm_set_epi64x(U, P);
    let quotient = _mm_clmulepi64_si128::<0x10>(_mm_and_si128(block, low_32_bits), p_u);
    let product = _mm_clmulepi64_si128::<0x00>(_mm_and_si128(quotient, low_32_bits), p_u);
    !_mm_extract_epi32::<1>(_mm_xor_si128(block, product)).cast_unsigned()
}
