//! What several of these tests need.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of real data, from the folder that `RIVERBED_DATA` names or else `../shared/data`; `None`, said
/// loudly, without it.
pub(crate) fn data_file(name: &str, test: &str) -> Option<PathBuf> {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("RIVERBED_DATA").map_or_else(fallback, PathBuf::from).join(name);
    if path.is_file() {
        return Some(path);
    }
    // Written past the test harness, which keeps what a passing test prints to itself.
    let skipped =
        format!("SKIPPED {test}: there is no {}; name its folder in RIVERBED_DATA\n", path.display());
    std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    None
}

/// Bytes from base64 with padding, as the corpus writes text that is not UTF-8.
pub(crate) fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{text} is not base64"),
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(value).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits =
            group.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}

#[test]
fn base64_is_read() {
    assert_eq!(base64("bSBiYWT/PTE="), b"m bad\xff=1");
    assert_eq!(base64("YQ=="), b"a");
    assert_eq!(base64(""), b"");
}
