//! The measurement and the tags.

use super::super::escapes::Escapes;
use super::super::limits::RESERVED_TAG_KEYS;
use super::super::parts::{Fault, Parts};
use super::super::point_ref::TagRef;
use super::super::reason::Reason;
use super::super::text::Text;

/// Reads measurement and tags from the start of `line`, and returns their length.
pub(super) fn read<'a>(line: &'a [u8], parts: &mut Parts<'a>) -> Result<usize, Fault> {
    let measurement = measurement_length(line)?;
    parts.measurement = Text::new(line.get(..measurement).unwrap_or_default(), Escapes::Measurement);
    let mut end = measurement;
    while line.get(end) == Some(&b',') {
        let key = end + 1;
        let equals = tag_key_end(line, key)?;
        end = tag_value_end(line, equals + 1)?;
        let text = |from: usize, to: usize| Text::new(line.get(from..to).unwrap_or_default(), Escapes::Key);
        parts.tags.push(TagRef { key: text(key, equals), value: text(equals + 1, end) });
    }
    for tag in &parts.tags {
        let key = tag.key.raw();
        if RESERVED_TAG_KEYS.contains(&key) {
            let key = key.escape_ascii().to_string();
            return Err(Fault::new(end, Reason::ReservedTagKey { key }));
        }
    }
    if parts.sort_tags() { Ok(end) } else { Err(Fault::new(end, Reason::DuplicateTags)) }
}

/// Whether the byte at `at` follows a backslash, even one that itself follows a backslash.
fn is_escaped(line: &[u8], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| line.get(before)) == Some(&b'\\')
}

fn measurement_length(line: &[u8]) -> Result<usize, Fault> {
    if matches!(line.first(), None | Some(b',')) {
        return Err(Fault::new(0, Reason::MissingMeasurement));
    }
    let mut at = 1;
    loop {
        match line.get(at) {
            None => return Err(Fault::new(at, Reason::MissingFields)),
            Some(b',' | b' ') if !is_escaped(line, at) => return Ok(at),
            Some(_) => at += 1,
        }
    }
}

/// The place of the `=` after the key that starts at `start`.
fn tag_key_end(line: &[u8], start: usize) -> Result<usize, Fault> {
    if matches!(line.get(start), None | Some(b' ' | b',' | b'=')) {
        return Err(Fault::new(start, Reason::MissingTagKey));
    }
    let mut at = start + 1;
    loop {
        match line.get(at) {
            None => return Err(Fault::new(at, Reason::MissingTagValue)),
            Some(_) if is_escaped(line, at) => at += 1,
            Some(b' ' | b',') => return Err(Fault::new(at, Reason::MissingTagValue)),
            Some(b'=') => return Ok(at),
            Some(_) => at += 1,
        }
    }
}

/// The place of the comma or space after the value that starts at `start`. Its first byte may be an `=`.
fn tag_value_end(line: &[u8], start: usize) -> Result<usize, Fault> {
    if matches!(line.get(start), None | Some(b' ' | b',')) {
        return Err(Fault::new(start, Reason::MissingTagValue));
    }
    let mut at = start + 1;
    loop {
        match line.get(at) {
            None => return Err(Fault::new(at, Reason::MissingFields)),
            Some(_) if is_escaped(line, at) => at += 1,
            Some(b'=') => return Err(Fault::new(at, Reason::InvalidTagFormat)),
            Some(b' ' | b',') => return Ok(at),
            Some(_) => at += 1,
        }
    }
}
