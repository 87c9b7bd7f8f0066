//! Whatever bytes stand in a segment, decoding them neither panics nor reaches outside.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (offset, bytes) = input;
    riverbed::internals::decode_log(bytes, usize::from(offset) * 8);
});
