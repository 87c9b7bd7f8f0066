//! Splitting and merging shards: what takes whose place.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::hash_key::HashKey;
use super::hash_range::HashKeyRange;
use super::shard_id::ShardId;
use super::shard_map::{Shard, ShardMap};

/// One step: one or two open shards that end, and what takes their place. Together they own the same hash keys.
#[derive(Debug)]
pub(crate) struct Step {
    /// In a merge, the second is the adjacent one.
    pub(crate) parents: Vec<Arc<Shard>>,
    pub(crate) children: Vec<HashKeyRange>,
}

/// Why shards cannot be split or merged like that.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReshardPlanError {
    /// The stream has no such shard.
    #[error("the stream has no shard {shard_id}: see Stream::shards for those it has")]
    NoSuchShard {
        /// The id given.
        shard_id: ShardId,
    },
    /// The shard has been split or merged already.
    #[error("{shard_id} has been split or merged already: see Stream::shards for the open ones")]
    NotOpen {
        /// The id given.
        shard_id: ShardId,
    },
    /// A shard cannot be split there.
    #[error(
        "{shard_id} cannot be split at {new_starting_hash_key}: choose a hash key above {} and below {}",
        u128::from(range.start).saturating_add(1), range.end
    )]
    SplitPoint {
        /// The shard to be split.
        shard_id: ShardId,
        /// Its hash keys.
        range: HashKeyRange,
        /// The hash key given, with which the second child would have begun.
        new_starting_hash_key: HashKey,
    },
    /// Two shards are not neighbours.
    #[error(
        "{shard_id} and {adjacent_shard_id} cannot be merged: choose two shards of which one's hash keys begin where \
         the other's end"
    )]
    NotAdjacent {
        /// The first shard given.
        shard_id: ShardId,
        /// The second shard given.
        adjacent_shard_id: ShardId,
    },
    /// The number of shards is too far from the present one.
    #[error("a stream with {open} open shards cannot go to {target} at once: choose {min} to {max}")]
    ShardCount {
        /// What was asked for.
        target: u32,
        /// Open shards now.
        open: u32,
        /// The least that can be asked for: half of the open ones.
        min: u32,
        /// The most that can be asked for: twice as many as are open.
        max: u32,
    },
}

fn open_shard(map: &ShardMap, shard_id: ShardId) -> Result<&Arc<Shard>, ReshardPlanError> {
    let shard = map.by_id(shard_id).ok_or(ReshardPlanError::NoSuchShard { shard_id })?;
    if shard.is_open() { Ok(shard) } else { Err(ReshardPlanError::NotOpen { shard_id }) }
}

/// Splits a shard in two, of which the second begins with this hash key.
pub(crate) fn split(
    map: &ShardMap,
    shard_id: ShardId,
    new_starting_hash_key: HashKey,
) -> Result<Step, ReshardPlanError> {
    let shard = open_shard(map, shard_id)?;
    let range = shard.range;
    let Some((low, high)) = range.split_at(new_starting_hash_key) else {
        return Err(ReshardPlanError::SplitPoint { shard_id, range, new_starting_hash_key });
    };
    Ok(Step { parents: vec![Arc::clone(shard)], children: vec![low, high] })
}

/// Makes one shard of two neighbours.
pub(crate) fn merge(
    map: &ShardMap,
    shard_id: ShardId,
    adjacent_shard_id: ShardId,
) -> Result<Step, ReshardPlanError> {
    let (shard, adjacent) = (open_shard(map, shard_id)?, open_shard(map, adjacent_shard_id)?);
    if !shard.range.is_adjacent_to(&adjacent.range) {
        return Err(ReshardPlanError::NotAdjacent { shard_id, adjacent_shard_id });
    }
    let range = HashKeyRange {
        start: shard.range.start.min(adjacent.range.start),
        end: shard.range.end.max(adjacent.range.end),
    };
    Ok(Step { parents: vec![Arc::clone(shard), Arc::clone(adjacent)], children: vec![range] })
}

/// Checks that a stream may go from its number of open shards to `target`, by the rule of `UpdateShardCount`. It does not
/// count beginnings that the target shares: an update that was interrupted has made some, and must be let go on. Between two
/// numbers of even shards that changes nothing.
pub(crate) fn check_count(map: &ShardMap, target: u32) -> Result<NonZeroU32, ReshardPlanError> {
    let open = u32::try_from(map.open().len()).unwrap_or(u32::MAX);
    let (min, max) = (open.div_ceil(2), open.saturating_mul(2));
    let is_near = |target: &NonZeroU32| {
        target.get() >= min || {
            let shared = Beginnings::find(map, *target).present.len();
            map.open().len().saturating_add(1).saturating_sub(shared).div_ceil(2) <= target.get() as usize
        }
    };
    let allowed = NonZeroU32::new(target).filter(|target| target.get() <= max).filter(is_near);
    allowed.ok_or(ReshardPlanError::ShardCount { target, open, min, max })
}

/// Hash keys by which a boundary may miss its place: even ranges of one count, split or merged, miss those of another by
/// some keys of 2^128, and are not worth a shard each.
const TOLERANCE: u128 = 1 << 32;

/// Where shards that share the hash keys evenly begin, seen from the open ones. These are given by their places among them.
struct Beginnings {
    /// The open shards that begin there.
    present: Vec<usize>,
    /// The others, by the open shard that has to be cut.
    missing: BTreeMap<usize, Vec<HashKey>>,
}

impl Beginnings {
    fn find(map: &ShardMap, count: NonZeroU32) -> Self {
        let open = map.open();
        let mut found = Self { present: Vec::new(), missing: BTreeMap::new() };
        for range in HashKeyRange::uniform(count) {
            let start = range.start.as_u128();
            let near =
                open.partition_point(|shard| shard.range.start.as_u128().saturating_add(TOLERANCE) < start);
            match open.get(near) {
                Some(shard) if shard.range.start.as_u128().abs_diff(start) <= TOLERANCE => {
                    found.present.push(near);
                }
                _ => found.missing.entry(map.index_of(range.start)).or_default().push(range.start),
            }
        }
        found
    }
}

/// The next steps on the way to `target` shards that share the hash keys evenly, all of which can be made at once; none
/// when the stream is there. Splits come first, then merges.
pub(crate) fn towards_count(map: &ShardMap, target: NonZeroU32) -> Result<Vec<Step>, ReshardPlanError> {
    let Beginnings { present, missing } = Beginnings::find(map, target);
    if missing.is_empty() {
        return merges_between(map, &present);
    }
    // The middle one of each shard, so that few rounds are needed.
    let middles =
        missing.iter().filter_map(|(index, cuts)| Some((map.open().get(*index)?, cuts.get(cuts.len() / 2)?)));
    middles.map(|(shard, cut)| split(map, shard.id, *cut)).collect()
}

/// Merges neighbours, two by two, between those of the open shards that are to begin a range.
fn merges_between(map: &ShardMap, starts: &[usize]) -> Result<Vec<Step>, ReshardPlanError> {
    let ends = starts.iter().skip(1).copied().chain([map.open().len()]);
    let pieces = starts.iter().zip(ends).filter_map(|(start, end)| map.open().get(*start..end));
    let pairs = pieces.flat_map(|pieces| pieces.as_chunks::<2>().0);
    pairs.map(|[one, other]| merge(map, one.id, other.id)).collect()
}
