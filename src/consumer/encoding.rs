//! The bytes of a checkpoint file.
//!
//! ```text
//! 0        64                                                   len
//! +--------+-------+-------+-- .. --+-------+-- .. --+--- .. ---+
//! | header | entry | entry |        | entry |        | zeros    |
//! +--------+-------+-------+-- .. --+-------+-- .. --+--- .. ---+
//!          |<---- written with --->|<- added since ->|
//!                the header
//! ```

use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;

use super::checkpoint::Checkpoint;

pub(crate) const HEADER_LEN: usize = 64;
pub(crate) const ENTRY_LEN: usize = 32;

const MAGIC: [u8; 8] = *b"RBCHECKP";
pub(crate) const FORMAT: u32 = 1;

const FORMAT_AT: usize = 8;
const START_KIND_AT: usize = 12;
const ID_AT: usize = 16;
const START_VALUE_AT: usize = 32;
const COUNT_AT: usize = 40;
const CREATED_AT: usize = 48;
const HEADER_CHECKSUM_AT: usize = 60;

const SHARD_AT: usize = 4;
const KIND_AT: usize = 8;
const VALUE_AT: usize = 16;

// Entries do not straddle the sectors of a disk.
const _: () = assert!(HEADER_LEN.is_multiple_of(ENTRY_LEN) && 512_usize.is_multiple_of(ENTRY_LEN));

/// The beginning of a checkpoint file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Random, so that entries of another file never pass for this one's.
    pub(crate) id: [u8; 16],
    /// Where the consumer is in shards that have no entry.
    pub(crate) start: Checkpoint,
    /// How many entries were written with the header.
    pub(crate) count: u64,
    /// When the consumer was created.
    pub(crate) created: Timestamp,
}

/// Why bytes are not a checkpoint file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodingFault {
    #[error("written by a newer format, version {found}; this version reads up to {FORMAT}")]
    NewerFormat { found: u32 },
    #[error("it is {len} bytes long, at least {expected} were written at once")]
    TooShort { len: usize, expected: usize },
    #[error("the header's checksum: expected {expected:08x}, found {found:08x}")]
    HeaderChecksum { expected: u32, found: u32 },
    #[error("not the header of a checkpoint file")]
    Header,
    #[error("entry {index} is not what was written")]
    Entry { index: usize },
}

/// What a checkpoint file says.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) header: Header,
    /// The whole entries in their order: of each shard, the last one holds.
    pub(crate) entries: Vec<(ShardId, Checkpoint)>,
    /// Entries that were added since the file was written and are not whole.
    pub(crate) torn: usize,
    /// Whether anything was added since the file was written.
    pub(crate) grown: bool,
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(into) = bytes.get_mut(at..at + N) {
        into.copy_from_slice(&value);
    }
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or([0; N])
}

fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(get(bytes, at))
}

fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(get(bytes, at))
}

/// A checkpoint as a kind and a value.
fn encode_checkpoint(checkpoint: Checkpoint) -> (u32, u64) {
    match checkpoint {
        Checkpoint::TrimHorizon => (1, 0),
        Checkpoint::AtTimestamp(time) => (2, time.as_nanos()),
        Checkpoint::AtSequenceNumber(number) => (3, number.counter()),
        Checkpoint::AfterSequenceNumber(number) => (4, number.counter()),
        Checkpoint::ShardEnd => (5, 0),
    }
}

fn decode_checkpoint(kind: u32, value: u64, shard_id: ShardId) -> Option<Checkpoint> {
    match kind {
        1 if value == 0 => Some(Checkpoint::TrimHorizon),
        2 => Some(Checkpoint::AtTimestamp(Timestamp::from_nanos(value))),
        3 => Some(Checkpoint::AtSequenceNumber(SequenceNumber::new(value, shard_id))),
        4 => Some(Checkpoint::AfterSequenceNumber(SequenceNumber::new(value, shard_id))),
        5 if value == 0 => Some(Checkpoint::ShardEnd),
        _ => None,
    }
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let (start_kind, start_value) = encode_checkpoint(self.start);
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, FORMAT_AT, FORMAT.to_le_bytes());
        put(&mut bytes, START_KIND_AT, start_kind.to_le_bytes());
        put(&mut bytes, ID_AT, self.id);
        put(&mut bytes, START_VALUE_AT, start_value.to_le_bytes());
        put(&mut bytes, COUNT_AT, self.count.to_le_bytes());
        put(&mut bytes, CREATED_AT, self.created.as_nanos().to_le_bytes());
        let checksum = header_checksum(&bytes);
        put(&mut bytes, HEADER_CHECKSUM_AT, checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, EncodingFault> {
        let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(EncodingFault::TooShort { len: bytes.len(), expected: HEADER_LEN });
        };
        if get::<8>(bytes, 0) != MAGIC {
            return Err(EncodingFault::Header);
        }
        let (expected, found) = (header_checksum(bytes), get_u32(bytes, HEADER_CHECKSUM_AT));
        if expected != found {
            return Err(EncodingFault::HeaderChecksum { expected, found });
        }
        // Only now: a flipped bit does not pass for a newer format.
        let format = get_u32(bytes, FORMAT_AT);
        if format > FORMAT {
            return Err(EncodingFault::NewerFormat { found: format });
        }
        // No shard is meant: only positions that name none can be where all begin.
        let start =
            decode_checkpoint(get_u32(bytes, START_KIND_AT), get_u64(bytes, START_VALUE_AT), ShardId::new(0));
        let start = start
            .filter(|start| matches!(start, Checkpoint::TrimHorizon | Checkpoint::AtTimestamp(_)))
            .ok_or(EncodingFault::Header)?;
        Ok(Self {
            id: get(bytes, ID_AT),
            start,
            count: get_u64(bytes, COUNT_AT),
            created: Timestamp::from_nanos(get_u64(bytes, CREATED_AT)),
        })
    }

    pub(crate) fn signature(&self) -> u32 {
        crc32fast::hash(&self.id)
    }
}

fn header_checksum(bytes: &[u8; HEADER_LEN]) -> u32 {
    crc32fast::hash(bytes.get(..HEADER_CHECKSUM_AT).unwrap_or_default())
}

/// Covers the file's signature and the entry's place besides the entry.
fn entry_checksum(bytes: &[u8; ENTRY_LEN], signature: u32, index: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&signature.to_le_bytes());
    hasher.update(&index.to_le_bytes());
    hasher.update(bytes.get(SHARD_AT..).unwrap_or_default());
    hasher.finalize()
}

/// The entry at place `index` of a file.
pub(crate) fn encode_entry(
    signature: u32,
    index: u64,
    shard_id: ShardId,
    checkpoint: Checkpoint,
) -> [u8; ENTRY_LEN] {
    let mut bytes = [0; ENTRY_LEN];
    let (kind, value) = encode_checkpoint(checkpoint);
    put(&mut bytes, SHARD_AT, shard_id.as_u32().to_le_bytes());
    put(&mut bytes, KIND_AT, kind.to_le_bytes());
    put(&mut bytes, VALUE_AT, value.to_le_bytes());
    let checksum = entry_checksum(&bytes, signature, index);
    put(&mut bytes, 0, checksum.to_le_bytes());
    bytes
}

fn decode_entry(bytes: &[u8; ENTRY_LEN], signature: u32, index: u64) -> Option<(ShardId, Checkpoint)> {
    if entry_checksum(bytes, signature, index) != get_u32(bytes, 0) {
        return None;
    }
    let shard_id = ShardId::new(get_u32(bytes, SHARD_AT));
    let checkpoint = decode_checkpoint(get_u32(bytes, KIND_AT), get_u64(bytes, VALUE_AT), shard_id)?;
    Some((shard_id, checkpoint))
}

/// Where the entry at place `index` stands.
pub(crate) fn offset_of(index: u64) -> u64 {
    HEADER_LEN as u64 + index * ENTRY_LEN as u64
}

/// From the bytes of a file, whatever they are. An entry that was added after the file was written and is not whole
/// says nothing: the shard's entry before it holds.
pub(crate) fn decode(bytes: &[u8]) -> Result<Contents, EncodingFault> {
    let header = Header::decode(bytes)?;
    let signature = header.signature();
    let (entries, _) = bytes.get(HEADER_LEN..).unwrap_or_default().as_chunks::<ENTRY_LEN>();
    let count = usize::try_from(header.count).unwrap_or(usize::MAX);
    if entries.len() < count {
        let expected = count.saturating_mul(ENTRY_LEN).saturating_add(HEADER_LEN);
        return Err(EncodingFault::TooShort { len: bytes.len(), expected });
    }
    let mut contents = Contents { header, entries: Vec::new(), torn: 0, grown: false };
    for (index, entry) in entries.iter().enumerate() {
        let written_at_once = index < count;
        if !written_at_once && *entry == [0; ENTRY_LEN] {
            continue;
        }
        contents.grown |= !written_at_once;
        match decode_entry(entry, signature, index as u64) {
            Some(entry) => contents.entries.push(entry),
            None if written_at_once => return Err(EncodingFault::Entry { index }),
            None => contents.torn += 1,
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Progress = BTreeMap<ShardId, Checkpoint>;

    /// A file that was written with three shards' checkpoints, to which others were added.
    fn file(added: &[(ShardId, Checkpoint)]) -> (Vec<u8>, Progress) {
        let header = Header {
            id: [7; 16],
            start: Checkpoint::AtTimestamp(Timestamp::from_nanos(5)),
            count: 3,
            created: Timestamp::from_nanos(9),
        };
        let shard = ShardId::new;
        let mut entries = vec![
            (shard(0), Checkpoint::ShardEnd),
            (shard(1), Checkpoint::TrimHorizon),
            (shard(2), Checkpoint::AtSequenceNumber(SequenceNumber::new(10, shard(2)))),
        ];
        entries.extend(added);
        let mut bytes = header.encode().to_vec();
        for (index, (shard_id, checkpoint)) in entries.iter().enumerate() {
            bytes.extend(encode_entry(header.signature(), index as u64, *shard_id, *checkpoint));
        }
        bytes.extend([0; 3 * ENTRY_LEN]);
        (bytes, entries.into_iter().collect())
    }

    fn after(shard: u32, counter: u64) -> (ShardId, Checkpoint) {
        let id = ShardId::new(shard);
        (id, Checkpoint::AfterSequenceNumber(SequenceNumber::new(counter, id)))
    }

    fn progress(contents: &Contents) -> Progress {
        contents.entries.iter().copied().collect()
    }

    fn added() -> Vec<(ShardId, Checkpoint)> {
        (0..12).map(|index| after(1 + index % 2, 100 + u64::from(index))).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, expected) = file(&added());
        let contents = decode(&bytes).unwrap();
        assert_eq!(progress(&contents), expected);
        assert_eq!(contents.header.start, Checkpoint::AtTimestamp(Timestamp::from_nanos(5)));
        assert!(contents.grown && contents.torn == 0);
        let (bytes, expected) = file(&[]);
        let contents = decode(&bytes).unwrap();
        assert_eq!(progress(&contents), expected);
        assert!(!contents.grown);
    }

    #[test]
    fn of_any_torn_tail_the_whole_entries_before_it_hold() {
        let added = added();
        let (bytes, _) = file(&added);
        let at_once = HEADER_LEN + 3 * ENTRY_LEN;
        for len in 0..bytes.len() {
            let cut = decode(&bytes[..len]);
            if len < at_once {
                assert!(matches!(cut, Err(EncodingFault::TooShort { .. })), "{len}: {cut:?}");
                continue;
            }
            let whole = ((len - at_once) / ENTRY_LEN).min(added.len());
            assert_eq!(progress(&cut.unwrap()), file(&added[..whole]).1, "{len}");

            // The same with a file of full length, as it always is. An entry may end in zeros of its own.
            let mut torn = bytes.clone();
            torn[len..].fill(0);
            let is_whole = |index: &usize| {
                let entry = at_once + index * ENTRY_LEN..at_once + (index + 1) * ENTRY_LEN;
                torn[entry.clone()] == bytes[entry]
            };
            let whole = (0..added.len()).take_while(is_whole).count();
            assert_eq!(progress(&decode(&torn).unwrap()), file(&added[..whole]).1, "{len}");
        }
    }

    #[test]
    fn any_entry_that_was_added_may_be_lost_in_any_way() {
        let added = added();
        let (bytes, _) = file(&added);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let mut torn = bytes.clone();
            let mut kept = Vec::new();
            for (index, entry) in added.iter().enumerate() {
                let from = HEADER_LEN + (3 + index) * ENTRY_LEN;
                // Words of it may be there.
                let mut lost = false;
                for word in (from..from + ENTRY_LEN).step_by(8) {
                    if random.bool() && torn[word..word + 8] != [0; 8] {
                        torn[word..word + 8].fill(0);
                        lost = true;
                    }
                }
                if !lost {
                    kept.push(*entry);
                }
            }
            assert_eq!(progress(&decode(&torn).unwrap()), file(&kept).1);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_or_harmless() {
        let added = added();
        let (bytes, whole) = file(&added);
        let at_once = HEADER_LEN + 3 * ENTRY_LEN;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let decoded = decode(&flipped);
            if bit / 8 < at_once {
                assert!(decoded.is_err(), "bit {bit}: {decoded:?}");
                assert!(!matches!(decoded, Err(EncodingFault::NewerFormat { .. })), "bit {bit}");
                continue;
            }
            // Without that entry. Nothing goes forward by it: records are read again, none are skipped.
            let contents = decoded.unwrap();
            assert_eq!(contents.torn, 1);
            let found = progress(&contents);
            let index = (bit / 8 - at_once) / ENTRY_LEN;
            let mut kept = added.clone();
            if index < kept.len() {
                kept.remove(index);
            }
            assert_eq!(found, file(&kept).1);
            for (shard_id, checkpoint) in &found {
                assert!(checkpoint.next() <= whole[shard_id].next());
            }
        }
    }

    #[test]
    fn entries_of_other_files_and_places_do_not_pass() {
        let (mut bytes, _) = file(&[]);
        let expected = progress(&decode(&bytes).unwrap());
        let at = HEADER_LEN + 3 * ENTRY_LEN;
        let (shard_id, checkpoint) = after(1, 500);
        let signature = crc32fast::hash(&[7; 16]);
        for (signature, index) in [(signature ^ 1, 3), (signature, 4)] {
            bytes[at..at + ENTRY_LEN].copy_from_slice(&encode_entry(signature, index, shard_id, checkpoint));
            assert_eq!(progress(&decode(&bytes).unwrap()), expected);
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let (mut bytes, _) = file(&[]);
        bytes[FORMAT_AT] = 2;
        assert!(matches!(decode(&bytes), Err(EncodingFault::HeaderChecksum { .. })));
        let header: [u8; HEADER_LEN] = bytes[..HEADER_LEN].try_into().unwrap();
        bytes[HEADER_CHECKSUM_AT..HEADER_LEN].copy_from_slice(&header_checksum(&header).to_le_bytes());
        assert_eq!(decode(&bytes).unwrap_err(), EncodingFault::NewerFormat { found: 2 });
    }
}
