//! Four lanes in a vector: SSE2, which every x86-64 processor has.
#![expect(clippy::indexing_slicing, reason = "all indexes are below the constant lengths of arrays")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_and_si128, _mm_andnot_si128, _mm_cvtsi32_si128, _mm_or_si128, _mm_set1_epi32,
    _mm_slli_epi32, _mm_srl_epi32, _mm_sub_epi32, _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32,
    _mm_unpacklo_epi64, _mm_xor_si128,
};
use std::hint::black_box;
use std::mem::transmute;

use super::constants::{CONSTANTS, INITIAL_STATE, word_of_step};
use super::kernel::kernel;
use super::padding::{Block, block_count, write_block};
use super::{Digests, Rows, Slot};

type Vector = __m128i;

/// 128-bit groups in a vector.
const GROUPS: usize = 1;

kernel!("sse2");

/// Four words of a block, `piece` of four.
#[target_feature(enable = "sse2")]
#[inline]
pub(super) fn load_piece(block: &Block, piece: usize) -> __m128i {
    let (pieces, _) = block.as_chunks::<16>();
    // SAFETY: both types are 16 bytes of which every pattern is a value.
    unsafe { transmute::<[u8; 16], __m128i>(pieces[piece]) }
}

#[target_feature(enable = "sse2")]
#[inline]
fn load([block]: &[Block; GROUPS], piece: usize) -> Vector {
    load_piece(block, piece)
}

#[target_feature(enable = "sse2")]
#[inline]
fn store(vector: Vector) -> [u128; GROUPS] {
    // SAFETY: both types are 16 bytes of which every pattern is a value.
    unsafe { transmute::<Vector, [u128; GROUPS]>(vector) }
}

#[target_feature(enable = "sse2")]
#[inline]
fn splat(word: u32) -> Vector {
    _mm_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "sse2")]
#[inline]
fn add(left: Vector, right: Vector) -> Vector {
    _mm_add_epi32(left, right)
}

#[target_feature(enable = "sse2")]
#[inline]
fn rotate_left<const LEFT: i32>(words: Vector) -> Vector {
    // The shift by a constant would want `32 - LEFT` as a generic argument; the compiler sees the constant anyway.
    let right = _mm_srl_epi32(words, _mm_cvtsi32_si128(32 - LEFT));
    _mm_or_si128(_mm_slli_epi32::<LEFT>(words), right)
}

/// Adds the round's function of `b`, `c` and `d`. `b` comes last, so as little as possible waits for it.
#[target_feature(enable = "sse2")]
#[inline]
fn mix<const ROUND: usize>(sum: Vector, b: Vector, c: Vector, d: Vector) -> Vector {
    match ROUND {
        // (b & c) | (!b & d)
        0 => add(sum, _mm_xor_si128(d, _mm_and_si128(b, _mm_xor_si128(c, d)))),
        // (b & d) | (c & !d): no bit is set on both sides, so they can be added one by one.
        1 => add(add(sum, _mm_andnot_si128(d, c)), _mm_and_si128(b, d)),
        2 => add(sum, _mm_xor_si128(b, _mm_xor_si128(c, d))),
        // c ^ (b | !d) is !(c ^ (!b & d)), and to add !x is to subtract x and 1.
        _ => {
            let sum = add(sum, splat(u32::MAX));
            _mm_sub_epi32(sum, _mm_xor_si128(c, _mm_andnot_si128(b, d)))
        }
    }
}

/// Makes four rows of four words columns, in each 128-bit group by itself.
#[target_feature(enable = "sse2")]
#[inline]
fn transpose([a, b, c, d]: [Vector; 4]) -> [Vector; 4] {
    let (ab_low, ab_high) = (_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
    [
        _mm_unpacklo_epi64(ab_low, cd_low),
        _mm_unpackhi_epi64(ab_low, cd_low),
        _mm_unpacklo_epi64(ab_high, cd_high),
        _mm_unpackhi_epi64(ab_high, cd_high),
    ]
}
