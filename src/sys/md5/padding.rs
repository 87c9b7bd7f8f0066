//! A key as MD5's blocks: its bytes, a one bit, zeros, and its length in bits.

/// Bytes in a block.
pub(super) const BLOCK_LEN: usize = 64;

/// One block of a key.
pub(super) type Block = [u8; BLOCK_LEN];

/// How many blocks a key of this many bytes takes.
#[inline]
pub(super) const fn block_count(len: usize) -> usize {
    // A byte for the one bit, eight for the length.
    (len + 8) / BLOCK_LEN + 1
}

/// Writes the key's block of this index, which is below `count`, its number of blocks.
#[inline]
pub(super) fn write_block(key: &[u8], index: usize, count: usize, block: &mut Block) {
    let start = index * BLOCK_LEN;
    let rest = key.get(start..).unwrap_or_default();
    if let Some(whole) = rest.first_chunk() {
        *block = *whole;
        return;
    }
    *block = [0; BLOCK_LEN];
    copy_short(rest, block);
    // The key may end in the block before this one, and the one bit with it.
    if start <= key.len()
        && let Some(byte) = block.get_mut(rest.len())
    {
        *byte = 0x80;
    }
    if index + 1 == count
        && let Some(length) = block.last_chunk_mut()
    {
        *length = (key.len() as u64 * 8).to_le_bytes();
    }
}

/// Copies fewer bytes than a block has. Most keys are so short that a call of `memcpy` would take longer.
#[inline]
fn copy_short(bytes: &[u8], block: &mut Block) {
    let copied = copy_ends::<32>(bytes, block)
        || copy_ends::<16>(bytes, block)
        || copy_ends::<8>(bytes, block)
        || copy_ends::<4>(bytes, block)
        || copy_ends::<2>(bytes, block);
    if !copied && let ([byte], [to, ..]) = (bytes, block) {
        *to = *byte;
    }
}

/// Copies the first and the last `N` bytes, which are all there are if there are not more than twice as many. False if
/// there are fewer than `N`.
#[inline]
fn copy_ends<const N: usize>(bytes: &[u8], block: &mut Block) -> bool {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
        return false;
    };
    if let Some(to) = block.first_chunk_mut() {
        *to = *first;
    }
    if let Some(to) = block.get_mut(bytes.len() - N..).and_then(<[u8]>::first_chunk_mut) {
        *to = *last;
    }
    true
}
