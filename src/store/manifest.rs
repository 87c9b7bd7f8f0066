//! The store's and the streams' manifests: JSON with a checksum, replaced whole.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::log::durability::Durability;
use crate::stream::hash_key::HashKey;
use crate::stream::hash_range::HashKeyRange;
use crate::stream::lineage::{Ending, Lineage};
use crate::stream::retention::Retention;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;

/// The format of the manifests that this version reads and writes.
pub(crate) const FORMAT: u32 = 1;
/// The most shards that one stream may be created with.
pub(crate) const MAX_SHARDS: u32 = 100_000;

/// Why bytes are not a manifest.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ManifestFault {
    #[error("written by a newer format, version {found}; this version reads up to {FORMAT}")]
    NewerFormat { found: u32 },
    #[error("checksum: expected {expected}, found {found}")]
    Checksum { expected: String, found: String },
    #[error("not a manifest: {0}")]
    Syntax(String),
    #[error("the shards' hash-key ranges do not cover all hash keys exactly once")]
    Ranges,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    format: u32,
    crc32: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// As the bytes of a file.
pub(crate) fn encode<T: Serialize>(body: &T) -> Result<Vec<u8>, ManifestFault> {
    let body = serde_json::to_string(body).map_err(syntax)?;
    let crc32 = checksum(FORMAT, &body);
    Ok(format!("{{\"format\":{FORMAT},\"crc32\":\"{crc32}\",\"body\":{body}}}\n").into_bytes())
}

/// From the bytes of a file, whatever they are.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ManifestFault> {
    let text = std::str::from_utf8(bytes).map_err(syntax)?;
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(syntax)?;
    let expected = checksum(envelope.format, envelope.body.get());
    if expected != envelope.crc32 {
        return Err(ManifestFault::Checksum { expected, found: envelope.crc32 });
    }
    // Only now: a flipped bit does not pass for a newer format.
    if envelope.format > FORMAT {
        return Err(ManifestFault::NewerFormat { found: envelope.format });
    }
    serde_json::from_str(envelope.body.get()).map_err(syntax)
}

/// Covers the format, a space and the body.
fn checksum(format: u32, body: &str) -> String {
    format!("{:08x}", crc32fast::hash(format!("{format} {body}").as_bytes()))
}

fn syntax(error: impl std::error::Error) -> ManifestFault {
    ManifestFault::Syntax(error.to_string())
}

/// What the store's manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreManifest {
    /// When the store was created, in nanoseconds since the epoch.
    pub(crate) created: u64,
}

/// What a stream's manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamManifest {
    /// When the stream was created, in nanoseconds since the epoch.
    pub(crate) created: u64,
    pub(crate) durability: Option<DurabilityManifest>,
    #[serde(default)]
    pub(crate) retention: RetentionManifest,
    pub(crate) shards: Vec<ShardManifest>,
}

/// What a stream's manifest says of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardManifest {
    pub(crate) id: u32,
    /// The hash keys that the shard owns, both ends included, in decimal: JSON numbers are not that large.
    #[serde(with = "decimal")]
    pub(crate) start: u128,
    #[serde(with = "decimal")]
    pub(crate) end: u128,
    /// The sequence counter of its first record.
    pub(crate) first: u64,
    /// The shard that it was split from, or the two that it was merged from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parents: Vec<u32>,
    /// When it was split off or merged, in nanoseconds since the epoch; 0 if the stream was created with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) created: u64,
    /// Set once it has been split or merged itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<EndingManifest>,
}

/// What a stream's manifest says of the end of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndingManifest {
    /// The sequence counter after that of its last record.
    pub(crate) next: u64,
    /// When it ended, in nanoseconds since the epoch.
    pub(crate) at: u64,
}

impl ShardManifest {
    pub(crate) fn range(&self) -> HashKeyRange {
        HashKeyRange { start: HashKey::from(self.start), end: HashKey::from(self.end) }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DurabilityManifest {
    Buffered,
    PeriodicNanos(u64),
    Immediate,
}

/// How long a stream keeps its records; without either limit, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct RetentionManifest {
    pub(crate) age_nanos: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

impl From<Retention> for RetentionManifest {
    fn from(retention: Retention) -> Self {
        let age_nanos = retention.age().map(|age| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
        Self { age_nanos, bytes: retention.bytes() }
    }
}

impl From<RetentionManifest> for Retention {
    fn from(manifest: RetentionManifest) -> Self {
        let retention = match manifest.age_nanos {
            Some(nanos) => Self::of_age(Duration::from_nanos(nanos)),
            None => Self::FOREVER,
        };
        match manifest.bytes {
            Some(bytes) => retention.and_bytes(bytes),
            None => retention,
        }
    }
}

impl StreamManifest {
    /// Where a shard of this stream comes from, and whether it has ended.
    pub(crate) fn lineage(&self, shard: &ShardManifest) -> Lineage {
        let mut parents = shard.parents.iter().copied().map(ShardId::new);
        let created = if shard.created == 0 { self.created } else { shard.created };
        Lineage {
            parent: parents.next(),
            adjacent_parent: parents.next(),
            first: shard.first,
            created: Timestamp::from_nanos(created),
            ended: shard.ended.map(|ended| Ending { next: ended.next, at: Timestamp::from_nanos(ended.at) }),
        }
    }

    /// Whether every hash key belongs to exactly one open shard.
    pub(crate) fn covers_all_keys(&self) -> bool {
        let open = self.shards.iter().filter(|shard| shard.ended.is_none());
        let mut ranges: Vec<_> = open.map(ShardManifest::range).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        HashKeyRange::cover_all(ranges.into_iter())
    }

    /// A new stream of `count` shards that share the hash keys evenly.
    pub(crate) fn uniform(
        created: u64,
        durability: Option<Durability>,
        retention: Retention,
        count: NonZeroU32,
    ) -> Self {
        let shards = HashKeyRange::uniform(count)
            .iter()
            .zip(0..)
            .map(|(range, id)| ShardManifest {
                id,
                start: range.start.as_u128(),
                end: range.end.as_u128(),
                first: 0,
                parents: Vec::new(),
                created: 0,
                ended: None,
            })
            .collect();
        Self {
            created,
            durability: durability.map(DurabilityManifest::from),
            retention: retention.into(),
            shards,
        }
    }
}

impl From<Durability> for DurabilityManifest {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Buffered => Self::Buffered,
            Durability::Periodic(within) => {
                Self::PeriodicNanos(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX))
            }
            Durability::Immediate => Self::Immediate,
        }
    }
}

impl From<DurabilityManifest> for Durability {
    fn from(durability: DurabilityManifest) -> Self {
        match durability {
            DurabilityManifest::Buffered => Self::Buffered,
            DurabilityManifest::PeriodicNanos(nanos) => Self::Periodic(Duration::from_nanos(nanos)),
            DurabilityManifest::Immediate => Self::Immediate,
        }
    }
}

mod decimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let manifest =
            StreamManifest::uniform(7, Some(Durability::Immediate), Retention::FOREVER, NonZeroU32::MIN);
        let bytes = encode(&manifest).unwrap();
        assert_eq!(decode::<StreamManifest>(&bytes).unwrap(), manifest);
        for index in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[index / 8] ^= 1 << (index % 8);
            if let Ok(decoded) = decode::<StreamManifest>(&flipped) {
                assert_eq!(decoded, manifest, "bit {index}");
            }
        }
    }
}
