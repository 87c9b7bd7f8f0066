//! Bodies of line protocol for property tests: lines that are nearly right, and heaps of the bytes that
//! matter.

use proptest::prelude::*;
use proptest::sample::select;

/// How often to run a property: as often as `PROPTEST_CASES` says, or else `usual` times.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

/// Pieces that mean something to some reader, in some place.
const PIECES: &[&str] = &[
    " ",
    "  ",
    ",",
    "=",
    "\"",
    "\\",
    "\n",
    "\t",
    "\0",
    "\r",
    "\r\n",
    "a",
    "b",
    "é",
    "1",
    "-",
    ".",
    "e",
    "E",
    "+",
    "i",
    "u",
    "t",
    "f",
    "#",
    "N",
    "nan",
    "inf",
    "\\ ",
    "\\,",
    "\\=",
    "\\\"",
    "\\\\",
    "\\n",
    "\x7f",
    "\x01",
    "true",
    "False",
    "1.5",
    ".5",
    "1.",
    "1e5",
    "1e400",
    "0x1p3",
    "1_0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "\"x\"",
    "\"a b\"",
    "\"a\\\"b\"",
    "\"a\nb\"",
    "time",
    "_field",
    "m",
    "cpu",
    " v=1",
    "\nm v=1\n",
    "k=v",
    ",k=v",
    " f=1i",
    " 1657729063",
];

const MEASUREMENTS: &[&str] =
    &["m", "cpu", "m\\ x", "m\\,x", "m=y", "m\"q", "m\\=y", " m", "\tm", "#m", "", "m\\\\", "é"];
const KEYS: &[&str] =
    &["a", "b", "ab", "a\\ b", "a\\,b", "a\\=b", "a\"b", "a\\\"b", "a\\b", "é", "time", "_x", "\x01", ""];
const TAG_VALUES: &[&str] = &["v", "w", "w x", "w\\ x", "v\\=", "v\\,", "v\"", "=", "é", "a\\\\b", "c\\", ""];
const FIELD_VALUES: &[&str] = &[
    "1",
    "0.132",
    "25.3",
    "1i",
    "2u",
    "-3",
    "1.5",
    "1e5",
    "-1.5e-3",
    "t",
    "false",
    "TRUE",
    "\"s\"",
    "\"a b\"",
    "\"a,b=c\"",
    "\"a\\\"b\"",
    "\"a\\\\\"",
    "\"a\nb\"",
    "\"é\"",
    "\"a\\nb\"",
    ".5",
    "1.",
    "\"\"",
    "1e",
    "--1",
    "1.1.1",
    "x",
    "9223372036854775808i",
    "18446744073709551616u",
    "1e400",
    "-1u",
    "\"x\"y",
    "123456789012345678901234567890",
    "",
];
const TIMES: &[&str] = &[
    "",
    " 1",
    " -1",
    " 1234567890123456789",
    " 9223372036854775807",
    " 9223372036854775806",
    " 9223372036854775808",
    " -9223372036854775808",
    "  5  ",
    " x",
    " 1 2",
    " -",
    " 1-",
    " ",
    " 1\t",
];
const ENDS: &[&str] = &["", "\n", "\n\n", "\r\n", "\n#c\n"];

fn line() -> impl Strategy<Value = String> {
    let tag = (select(KEYS), select(TAG_VALUES)).prop_map(|(key, value)| format!(",{key}={value}"));
    let field = (select(KEYS), select(FIELD_VALUES)).prop_map(|(key, value)| format!("{key}={value}"));
    let gaps = select(&[" ", " ", " ", "  ", "", "\t"][..]);
    (
        select(MEASUREMENTS),
        prop::collection::vec(tag, 0..4),
        gaps,
        prop::collection::vec(field, 0..4),
        select(TIMES),
        select(ENDS),
    )
        .prop_map(|(measurement, tags, gap, fields, time, end)| {
            format!("{measurement}{}{gap}{}{time}{end}", tags.concat(), fields.join(","))
        })
}

/// A body in which each part is common or odd, so that about every rule of every dialect is met.
pub(crate) fn body() -> impl Strategy<Value = String> {
    let pieces = || prop::collection::vec(select(PIECES), 1..12).prop_map(|pieces| pieces.concat());
    let start = select(&["m ", "m,a=b ", "m v=1,", "m v=\"", "m v=1 "][..]);
    prop_oneof![
        2 => pieces(),
        2 => (start, pieces()).prop_map(|(start, rest)| format!("{start}{rest}")),
        4 => prop::collection::vec(line(), 1..4).prop_map(|lines| lines.concat()),
        2 => (line(), pieces(), line()).prop_map(|(first, junk, second)| format!("{first}{junk}{second}")),
    ]
}
