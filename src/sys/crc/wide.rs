//! Folding by blocks of 64 bytes: VPCLMULQDQ and AVX-512.
//!
//! Bytes are looked at from their end: the last block is whole, the first has zeros in front, which change nothing. A load with a mask
//! reads no byte that is masked out, so nothing behind the bytes is touched. Of two runs the first is folded by itself and moved
//! up by the length of the second, which a multiplication does. A product has 96 bits. So where everything is multiplied last, that also moves it up by half
//! a lane, and the first of the steps that reduce the 128 bits of a lane to a checksum has been made.
#![expect(clippy::indexing_slicing, reason = "the tables are filled while compiling, up to their lengths")]

use std::arch::x86_64::{
    __m128i, __m512i, _mm_clmulepi64_si128, _mm_maskz_expand_epi8, _mm_maskz_loadu_epi8, _mm_set_epi64x,
    _mm_xor_si128, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_xor_si256,
    _mm512_broadcast_i32x4, _mm512_castsi512_si256, _mm512_clmulepi64_epi128, _mm512_extracti64x4_epi64,
    _mm512_maskz_expand_epi8, _mm512_maskz_loadu_epi8, _mm512_set_epi64, _mm512_setzero_si512,
    _mm512_ternarylogic_epi64,
};
use std::mem::transmute;

use super::blocks::reduce_96;
use super::{LONGEST, any_length};

/// Bytes of a block, and of each of the four lanes that it has.
pub(super) const BLOCK: usize = 64;
const LANE: usize = 16;
/// What is moved up by so much has its 96 bits where [`reduce_96`] takes them.
pub(super) const HALF_LANE: usize = LANE / 2;

/// The polynomial, without its highest power, lowest power last.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// The polynomial that is 1.
pub(super) const ONE: u32 = 1 << 31;
/// The truth table of "odd".
const XOR: i32 = 0x96;

/// By what a lane's two halves are multiplied to be moved up by this many bytes.
pub(super) static UP: [[i64; 2]; LONGEST + HALF_LANE + 1] = {
    let mut table = [[0; 2]; LONGEST + HALF_LANE + 1];
    let mut len = 0;
    while len < table.len() {
        table[len] = up(len);
        len += 1;
    }
    table
};

/// What the ones with which a checksum begins, and those that are added at its end, come to behind this many bytes.
static ONES: [u32; 2 * LONGEST + 1] = {
    let mut table = [0; 2 * LONGEST + 1];
    let mut ones = u32::MAX;
    let mut len = 0;
    while len <= 2 * LONGEST {
        table[len] = ones;
        ones = times_x(ones, 8);
        len += 1;
    }
    table
};

/// `x^power` times this, modulo the polynomial.
const fn times_x(mut value: u32, power: usize) -> u32 {
    let mut done = 0;
    while done < power {
        value = (value >> 1) ^ if value & 1 == 1 { POLYNOMIAL } else { 0 };
        done += 1;
    }
    value
}

/// This divided by `x^32`, modulo the polynomial.
pub(super) const fn by_x_32(mut value: u32) -> u32 {
    let mut done = 0;
    while done < 32 {
        value = if value >> 31 == 1 { ((value ^ POLYNOMIAL) << 1) | 1 } else { value << 1 };
        done += 1;
    }
    value
}

/// As in [`UP`]: the halves are 64 bits apart, and a product of two numbers whose lowest power is last has it one bit too far up.
pub(super) const fn up(len: usize) -> [i64; 2] {
    let power = times_x(ONE, 8 * len);
    [(times_x(power, 32) as i64) << 1, (by_x_32(power) as i64) << 1]
}

/// Of up to [`LONGEST`] bytes, though any number will do.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi2,avx512vl,vpclmulqdq,pclmulqdq,sse4.1")]
pub(super) fn of(bytes: &[u8]) -> u32 {
    match ONES.get(bytes.len()) {
        Some(ones) => reduce_96(fold::<HALF_LANE>(bytes)) ^ ones,
        None => any_length(0, bytes),
    }
}

/// Of two runs of up to [`LONGEST`] bytes each, though any number will do.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi2,avx512vl,vpclmulqdq,pclmulqdq,sse4.1")]
pub(super) fn of_two(first: &[u8], second: &[u8]) -> u32 {
    let (Some(&[low, high]), Some(ones)) =
        (UP.get(second.len() + HALF_LANE), ONES.get(first.len() + second.len()))
    else {
        return any_length(any_length(0, first), second);
    };
    let up = _mm_set_epi64x(high, low);
    let folded = if first.len() <= LANE { load_lane(first) } else { fold::<0>(first) };
    let low = _mm_clmulepi64_si128::<0x00>(folded, up);
    let high = _mm_clmulepi64_si128::<0x11>(folded, up);
    let folded = _mm_xor_si128(_mm_xor_si128(low, high), fold::<HALF_LANE>(second));
    reduce_96(folded) ^ ones
}

/// All of the bytes folded into a lane, and moved up by so many.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi2,vpclmulqdq")]
#[inline]
fn fold<const BEHIND: usize>(bytes: &[u8]) -> __m128i {
    let (first, blocks) = bytes.as_rchunks::<BLOCK>();
    let up_a_block = factors(const { up(BLOCK) });
    let folded = load_first(first);
    merge::<BEHIND>(blocks.iter().fold(folded, |folded, block| add_product(load(block), folded, up_a_block)))
}

/// The four lanes of a block as one, moved up by so many bytes.
#[target_feature(enable = "avx512f,avx512dq,vpclmulqdq")]
#[inline]
pub(super) fn merge<const BEHIND: usize>(folded: __m512i) -> __m128i {
    // Each lane is moved up by those that follow it too.
    let [[a, b], [c, d], [e, f], [g, h]] =
        const { [up(3 * LANE + BEHIND), up(2 * LANE + BEHIND), up(LANE + BEHIND), up(BEHIND)] };
    let factors = _mm512_set_epi64(h, g, f, e, d, c, b, a);
    let lanes = add_product(_mm512_setzero_si512(), folded, factors);
    let pairs = _mm256_xor_si256(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64::<1>(lanes));
    _mm_xor_si128(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs))
}

/// By what each lane's two halves are multiplied.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn factors([low, high]: [i64; 2]) -> __m512i {
    _mm512_broadcast_i32x4(_mm_set_epi64x(high, low))
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load(block: &[u8; BLOCK]) -> __m512i {
    // SAFETY: both types are 64 bytes of which every pattern is a value.
    unsafe { transmute::<[u8; BLOCK], __m512i>(*block) }
}

/// `sum`, and the products of both halves of each lane.
#[target_feature(enable = "avx512f,vpclmulqdq")]
#[inline]
pub(super) fn add_product(sum: __m512i, lanes: __m512i, factors: __m512i) -> __m512i {
    let low = _mm512_clmulepi64_epi128::<0x00>(lanes, factors);
    let high = _mm512_clmulepi64_epi128::<0x11>(lanes, factors);
    _mm512_ternarylogic_epi64::<XOR>(low, high, sum)
}

/// Fewer bytes than a block, behind zeros. They are loaded from their first on and then moved: a load that began in front of them,
/// with a mask, would wait for whatever has just been stored there.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
#[inline]
pub(super) fn load_first(bytes: &[u8]) -> __m512i {
    let missing = BLOCK - bytes.len().min(BLOCK);
    let missing = u32::try_from(missing).unwrap_or(u64::BITS);
    // SAFETY: only bytes whose bit is set are read, and those are the first ones: `bytes`.
    let loaded = unsafe { _mm512_maskz_loadu_epi8(u64::MAX.unbounded_shr(missing), bytes.as_ptr().cast()) };
    _mm512_maskz_expand_epi8(u64::MAX.unbounded_shl(missing), loaded)
}

/// Up to as many bytes as a lane has, behind zeros.
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi2")]
#[inline]
fn load_lane(bytes: &[u8]) -> __m128i {
    let missing = LANE - bytes.len().min(LANE);
    let missing = u32::try_from(missing).unwrap_or(u16::BITS);
    // SAFETY: as above.
    let loaded = unsafe { _mm_maskz_loadu_epi8(u16::MAX.unbounded_shr(missing), bytes.as_ptr().cast()) };
    _mm_maskz_expand_epi8(u16::MAX.unbounded_shl(missing), loaded)
}
