//! Eight lanes in a vector: AVX2.
#![expect(clippy::indexing_slicing, reason = "all indexes are below the constant lengths of arrays")]

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_or_si256,
    _mm256_set_m128i, _mm256_set1_epi32, _mm256_slli_epi32, _mm256_srl_epi32, _mm256_sub_epi32,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};
use std::hint::black_box;
use std::mem::transmute;

use super::constants::{CONSTANTS, INITIAL_STATE, word_of_step};
use super::kernel::kernel;
use super::padding::{Block, block_count, write_block};
use super::sse2::load_piece;
use super::{Digests, Rows, Slot};

type Vector = __m256i;

/// 128-bit groups in a vector.
const GROUPS: usize = 2;

kernel!("avx2");

#[target_feature(enable = "avx2")]
#[inline]
fn load([first, second]: &[Block; GROUPS], piece: usize) -> Vector {
    _mm256_set_m128i(load_piece(second, piece), load_piece(first, piece))
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(vector: Vector) -> [u128; GROUPS] {
    // SAFETY: both types are 32 bytes of which every pattern is a value.
    unsafe { transmute::<Vector, [u128; GROUPS]>(vector) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(word: u32) -> Vector {
    _mm256_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn add(left: Vector, right: Vector) -> Vector {
    _mm256_add_epi32(left, right)
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate_left<const LEFT: i32>(words: Vector) -> Vector {
    // The shift by a constant would want `32 - LEFT` as a generic argument; the compiler sees the constant anyway.
    let right = _mm256_srl_epi32(words, _mm_cvtsi32_si128(32 - LEFT));
    _mm256_or_si256(_mm256_slli_epi32::<LEFT>(words), right)
}

/// Adds the round's function of `b`, `c` and `d`. `b` comes last, so as little as possible waits for it.
#[target_feature(enable = "avx2")]
#[inline]
fn mix<const ROUND: usize>(sum: Vector, b: Vector, c: Vector, d: Vector) -> Vector {
    match ROUND {
        // (b & c) | (!b & d)
        0 => add(sum, _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)))),
        // (b & d) | (c & !d): no bit is set on both sides, so they can be added one by one.
        1 => add(add(sum, _mm256_andnot_si256(d, c)), _mm256_and_si256(b, d)),
        2 => add(sum, _mm256_xor_si256(b, _mm256_xor_si256(c, d))),
        // c ^ (b | !d) is !(c ^ (!b & d)), and to add !x is to subtract x and 1.
        _ => {
            let sum = add(sum, splat(u32::MAX));
            _mm256_sub_epi32(sum, _mm256_xor_si256(c, _mm256_andnot_si256(b, d)))
        }
    }
}

/// Makes four rows of four words columns, in each 128-bit group by itself.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose([a, b, c, d]: [Vector; 4]) -> [Vector; 4] {
    let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab_low, cd_low),
        _mm256_unpackhi_epi64(ab_low, cd_low),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}
