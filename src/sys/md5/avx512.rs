//! Sixteen lanes in a vector: AVX-512F.
#![expect(clippy::indexing_slicing, reason = "all indexes are below the constant lengths of arrays")]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_castsi128_si512, _mm512_inserti32x4, _mm512_rol_epi32,
    _mm512_set1_epi32, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::hint::black_box;
use std::mem::transmute;

use super::constants::{CONSTANTS, INITIAL_STATE, word_of_step};
use super::kernel::kernel;
use super::padding::{Block, block_count, write_block};
use super::sse2::load_piece;
use super::{Digests, Rows, Slot};

type Vector = __m512i;

/// 128-bit groups in a vector.
const GROUPS: usize = 4;

kernel!("avx512f");

#[target_feature(enable = "avx512f")]
#[inline]
fn load(blocks: &[Block; GROUPS], piece: usize) -> Vector {
    let [first, second, third, fourth] = blocks;
    let vector = _mm512_castsi128_si512(load_piece(first, piece));
    let vector = _mm512_inserti32x4::<1>(vector, load_piece(second, piece));
    let vector = _mm512_inserti32x4::<2>(vector, load_piece(third, piece));
    _mm512_inserti32x4::<3>(vector, load_piece(fourth, piece))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(vector: Vector) -> [u128; GROUPS] {
    // SAFETY: both types are 64 bytes of which every pattern is a value.
    unsafe { transmute::<Vector, [u128; GROUPS]>(vector) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(word: u32) -> Vector {
    _mm512_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add(left: Vector, right: Vector) -> Vector {
    _mm512_add_epi32(left, right)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn rotate_left<const LEFT: i32>(words: Vector) -> Vector {
    _mm512_rol_epi32::<LEFT>(words)
}

/// Adds the round's function of `b`, `c` and `d`: one instruction, which takes the function's truth table.
#[target_feature(enable = "avx512f")]
#[inline]
fn mix<const ROUND: usize>(sum: Vector, b: Vector, c: Vector, d: Vector) -> Vector {
    let mixed = match ROUND {
        0 => _mm512_ternarylogic_epi32::<0b1100_1010>(b, c, d),
        1 => _mm512_ternarylogic_epi32::<0b1110_0100>(b, c, d),
        2 => _mm512_ternarylogic_epi32::<0b1001_0110>(b, c, d),
        _ => _mm512_ternarylogic_epi32::<0b0011_1001>(b, c, d),
    };
    add(sum, mixed)
}

/// Makes four rows of four words columns, in each 128-bit group by itself.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose([a, b, c, d]: [Vector; 4]) -> [Vector; 4] {
    let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab_low, cd_low),
        _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}
