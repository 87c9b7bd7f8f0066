//! Numbers in as few bytes as they need: seven bits in each, the lowest first, the high bit on all but the last.

/// The most bytes that a number takes.
const MAX_LEN: usize = 10;

pub(super) fn write(mut number: u64, out: &mut Vec<u8>) {
    while let (low, rest @ 1..) = (number & 0x7f, number >> 7) {
        out.push(low.to_le_bytes().first().copied().unwrap_or(0) | 0x80);
        number = rest;
    }
    out.push(number.to_le_bytes().first().copied().unwrap_or(0));
}

/// Reads a number, and what is behind it. `None` when it is cut off, too large, or longer than it need be.
pub(super) fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (place, byte) in bytes.iter().take(MAX_LEN).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * u32::try_from(place).ok()?;
        let shifted = bits << shift;
        if shifted >> shift != bits {
            return None;
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            let shortest = place == 0 || *byte != 0;
            return shortest.then(|| (number, bytes.get(place + 1..).unwrap_or_default()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_have_one_form() {
        for number in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            write(number, &mut bytes);
            assert!(bytes.len() <= MAX_LEN);
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), None, "{number} cut off after {end} bytes");
            }
            bytes.push(7);
            assert_eq!(read(&bytes), Some((number, &[7][..])));
        }
        assert_eq!(read(&[0x80, 0]), None, "zero in two bytes");
        assert_eq!(read(&[0xff; 9].iter().copied().chain([2]).collect::<Vec<_>>()), None, "2^64 and more");
    }
}
