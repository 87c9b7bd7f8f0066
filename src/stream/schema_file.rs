//! The files in which a stream keeps the schemas of its rows: each written once, never changed.
//!
//! ```text
//!  0           8        12       16        20       24             64
//!  +-----------+--------+--------+---------+--------+--------------+---------------- - -
//!  | RBSCHEMA  | format | id     | length  | crc32  | zeros        | schema message
//!  +-----------+--------+--------+---------+--------+--------------+---------------- - -
//! ```
//!
//! The message starts on a 64-byte boundary, as messages in segments do, so that it can be read in place as well. The checksum
//! covers bytes 0 to 19 and the message.

/// The directory of a stream that holds these files.
pub(crate) const DIRECTORY: &str = "schemas";
/// The file format that this version reads and writes.
const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"RBSCHEMA";
const CRC: usize = 20;
const MESSAGE: usize = 64;

/// Why bytes are not a schema file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SchemaFileFault {
    #[error("not a schema: wrong magic bytes")]
    Magic,
    #[error("written by a newer format, version {found}; this version reads up to {FORMAT}")]
    NewerFormat { found: u32 },
    #[error("checksum: expected {expected:#010x}, found {found:#010x}")]
    Checksum { expected: u32, found: u32 },
    #[error("it says that it is schema {found}, its name says {expected}")]
    OtherId { expected: u32, found: u32 },
    #[error("it ends too early, or too late")]
    Length,
}

/// The name of the file of a schema.
#[cfg(feature = "arrow")]
pub(crate) fn name_of(id: u32) -> String {
    format!("{id:010}.schema")
}

/// The schema whose file has this name.
pub(crate) fn id_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".schema")?;
    (digits.len() == 10).then(|| digits.parse().ok()).flatten()
}

/// The bytes of the file; `None` for a message that is too long.
#[cfg(feature = "arrow")]
pub(crate) fn encode(id: u32, message: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(message.len()).ok()?;
    let mut bytes = Vec::with_capacity(MESSAGE + message.len());
    bytes.extend_from_slice(&MAGIC);
    for field in [FORMAT, id, len] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    let crc = checksum(&bytes, message);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.resize(MESSAGE, 0);
    bytes.extend_from_slice(message);
    Some(bytes)
}

/// The message in the file of schema `id`, which has these bytes.
pub(crate) fn decode(id: u32, bytes: &[u8]) -> Result<&[u8], SchemaFileFault> {
    let (head, message) = bytes.split_at_checked(MESSAGE).ok_or(SchemaFileFault::Length)?;
    let covered = head.get(..CRC).unwrap_or_default();
    let rest = covered.strip_prefix(&MAGIC).ok_or(SchemaFileFault::Magic)?;
    let field = |offset: usize| {
        let bytes = rest.get(offset..).and_then(|rest| rest.first_chunk::<4>());
        bytes.copied().map_or(0, u32::from_le_bytes)
    };
    let (format, found_id, len) = (field(0), field(4), field(8));
    let found = head.get(CRC..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u32::from_le_bytes);
    let expected = checksum(covered, message);
    if expected != found {
        return Err(SchemaFileFault::Checksum { expected, found });
    }
    // Only now: a flipped bit does not pass for a newer format.
    if format > FORMAT {
        return Err(SchemaFileFault::NewerFormat { found: format });
    }
    if found_id != id {
        return Err(SchemaFileFault::OtherId { expected: id, found: found_id });
    }
    if len as usize != message.len() {
        return Err(SchemaFileFault::Length);
    }
    Ok(message)
}

fn checksum(head: &[u8], message: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(head);
    crc.update(message);
    crc.finalize()
}

#[cfg(all(test, feature = "arrow"))]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = encode(7, b"a message").unwrap();
        assert_eq!(decode(7, &bytes), Ok(&b"a message"[..]));
        assert_eq!(decode(8, &bytes), Err(SchemaFileFault::OtherId { expected: 8, found: 7 }));
        for index in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[index / 8] ^= 1 << (index % 8);
            // The zeros before the message mean nothing.
            let spare = (CRC + 4..MESSAGE).contains(&(index / 8));
            assert_eq!(decode(7, &flipped).is_ok(), spare, "bit {index}");
        }
        for len in 0..bytes.len() {
            assert!(decode(7, &bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn names_and_ids_are_one_to_one() {
        assert_eq!(name_of(7), "0000000007.schema");
        assert_eq!(id_of(&name_of(u32::MAX)), Some(u32::MAX));
        for name in ["7.schema", "0000000007", "0000000007.schema.tmp", "99999999999.schema"] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }
}
