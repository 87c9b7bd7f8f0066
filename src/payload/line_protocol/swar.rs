//! Eight bytes at a time, in an ordinary register.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// How many bytes of a word `text` starts with: bytes beyond ASCII and printable ones but for space, `!`,
/// `"`, `,`, `=` and `\`.
pub(super) fn word_length(text: &[u8]) -> usize {
    let (chunks, last) = text.as_chunks::<8>();
    let mut length = 0;
    for chunk in chunks {
        let ends = word_ends(u64::from_le_bytes(*chunk));
        if ends != 0 {
            return length + first_byte(ends);
        }
        length += 8;
    }
    // Spaces end words, so that a short rest can be filled up with them.
    let mut chunk = [b' '; 8];
    chunk.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
    length + first_byte(word_ends(u64::from_le_bytes(chunk)))
}

/// The place of the first byte with its high bit set.
const fn first_byte(bits: u64) -> usize {
    (bits.trailing_zeros() / 8) as usize
}

/// A word with a high bit set in the first byte that ends a word, and perhaps in bytes after it.
const fn word_ends(bytes: u64) -> u64 {
    below(bytes, b'"' + 1)
        | equal(bytes, b',')
        | equal(bytes, b'=')
        | equal(bytes, b'\\')
        | equal(bytes, 0x7f)
}

/// High bits of bytes below `limit`, which is at most 128: exact up to and including the first such byte.
const fn below(bytes: u64, limit: u8) -> u64 {
    bytes.wrapping_sub(ONES * limit as u64) & !bytes & HIGH_BITS
}

/// High bits of bytes equal to `byte`: exact up to and including the first such byte.
const fn equal(bytes: u64, byte: u8) -> u64 {
    let zeros = bytes ^ (ONES * byte as u64);
    zeros.wrapping_sub(ONES) & !zeros & HIGH_BITS
}

/// The number that the first digits of `text` are, and how many they are. The number wraps after nineteen
/// digits.
pub(super) fn digits(text: &[u8]) -> (u64, usize) {
    let mut value: u64 = 0;
    let mut count = 0;
    let mut rest = text;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let Some(eight) = eight_digits(u64::from_le_bytes(*chunk)) else { break };
        value = value.wrapping_mul(100_000_000).wrapping_add(eight);
        count += 8;
        rest = after;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (value, count)
}

/// The number that eight bytes are, if they are all digits; the first byte is the lowest one.
const fn eight_digits(bytes: u64) -> Option<u64> {
    let tens = bytes & 0xf0f0_f0f0_f0f0_f0f0;
    let tens_after_six = bytes.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if tens != ONES * 0x30 || tens_after_six != ONES * 0x30 {
        return None;
    }
    // Neighbours are joined into pairs, pairs into fours, fours into eight.
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let digits = bytes - ONES * 0x30;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & PAIRS).wrapping_mul(1 + (10_000 << 32));
    Some(high.wrapping_add(low) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_where_the_first_other_byte_stands() {
        for byte in 0..=u8::MAX {
            let ends = byte <= b'"' || matches!(byte, b',' | b'=' | b'\\' | 0x7f);
            for at in 0..20 {
                let mut text = [b'\xff'; 20];
                text[at] = byte;
                assert_eq!(word_length(&text), if ends { at } else { 20 }, "{byte} at {at}");
                // What stands behind the first end does not matter.
                text[at + 1..].fill(b',');
                assert_eq!(word_length(&text), if ends { at } else { (at + 1).min(20) }, "{byte} at {at}");
            }
        }
        assert_eq!(word_length(b""), 0);
    }

    #[test]
    fn digits_are_read_up_to_the_first_other_byte() {
        assert_eq!(digits(b""), (0, 0));
        assert_eq!(digits(b"x"), (0, 0));
        assert_eq!(digits(b"0042 "), (42, 4));
        assert_eq!(digits(b"12345678"), (12_345_678, 8));
        assert_eq!(digits(b"1657729063123456789\n"), (1_657_729_063_123_456_789, 19));
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
            for at in 0..16 {
                let mut text = *b"9876543210987654";
                text[at] = byte;
                assert_eq!(digits(&text).1, at, "{byte}");
            }
        }
    }
}
