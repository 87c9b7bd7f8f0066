//! Copying and folding in one pass, by four strands of 64 bytes: VPCLMULQDQ and AVX-512.
//!
//! The blocks of a strand are 256 bytes apart, so that none of the four waits for what becomes of another.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_clmulepi64_si128, _mm_set_epi64x, _mm512_inserti32x4, _mm512_setzero_si512,
};
use std::ptr::copy_nonoverlapping;

use super::any_length;
use super::blocks::reduce_96;
use super::wide::{BLOCK, HALF_LANE, ONE, UP, add_product, by_x_32, factors, load, load_first, merge, up};

const STRANDS: usize = 4;
const STEP: usize = STRANDS * BLOCK;

/// Copies `bytes` to `target`, and returns the checksum of some bytes followed by them, where that of the first is `crc`. Meant for
/// a step and more, though any number will do.
///
/// # Safety
///
/// `bytes` may be copied to `target` as by [`copy_nonoverlapping`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi2,avx512vl,vpclmulqdq,pclmulqdq,sse4.1")]
pub(super) unsafe fn copy(crc: u32, bytes: &[u8], target: *mut u8) -> u32 {
    let (Some(last), Some(&up_tail)) = (bytes.last_chunk::<BLOCK>(), UP.get(bytes.len() % BLOCK)) else {
        // SAFETY: the caller's promise.
        unsafe { copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        return any_length(crc, bytes);
    };
    let mut next = target;
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let up_a_step = factors(const { up(STEP) });
    let none = _mm512_setzero_si512();
    let mut strands = [none, none, none, _mm512_inserti32x4::<3>(none, before(crc))];
    for step in steps {
        let (blocks, _) = step.as_chunks::<BLOCK>();
        for (strand, block) in strands.iter_mut().zip(blocks) {
            // SAFETY: before `next` there is what was copied of `bytes`, and this block comes next.
            *strand = add_product(unsafe { copy_block(block, next) }, *strand, up_a_step);
            next = next.wrapping_add(BLOCK);
        }
    }
    let (blocks, tail) = rest.as_chunks::<BLOCK>();
    let up_a_block = factors(const { up(BLOCK) });
    let [first, others @ ..] = strands;
    let mut folded = others.iter().fold(first, |folded, strand| add_product(*strand, folded, up_a_block));
    for block in blocks {
        // SAFETY: as above.
        folded = add_product(unsafe { copy_block(block, next) }, folded, up_a_block);
        next = next.wrapping_add(BLOCK);
    }
    // All but the tail is there already: to store a whole block is less than to find out how many of its bytes are not.
    // SAFETY: the last block ends where `bytes` does.
    unsafe { copy_block(last, target.wrapping_add(bytes.len() - BLOCK)) };
    reduce_96(merge::<HALF_LANE>(add_product(load_first(tail), folded, factors(up_tail))))
}

/// What stands for bytes of this checksum in front of others: what their bits come to, divided by the 32 powers of `x` that a checksum
/// is multiplied by at its end.
#[target_feature(enable = "pclmulqdq")]
#[inline]
fn before(crc: u32) -> __m128i {
    const DOWN: i64 = (by_x_32(by_x_32(ONE)) as i64) << 1;
    _mm_clmulepi64_si128::<0x01>(_mm_set_epi64x(i64::from(!crc) << 32, 0), _mm_set_epi64x(0, DOWN))
}

/// Copies a block, and returns it.
///
/// # Safety
///
/// As for [`copy`].
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn copy_block(block: &[u8; BLOCK], target: *mut u8) -> __m512i {
    let block = load(block);
    // SAFETY: the caller's promise; the type has as many bytes, and need not be aligned.
    unsafe { target.cast::<__m512i>().write_unaligned(block) };
    block
}
