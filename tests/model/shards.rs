//! Shards in the model: how they come of one another, and what may be taken from them.

use std::num::NonZeroU32;

use proptest::prelude::*;
use riverbed::{
    HashKey, HashKeyRange, ReshardError, ReshardPlanError, SequenceNumber, ShardFilter, ShardId, ShardInfo,
    Stream, Timestamp,
};

use crate::Stored;

/// A shard, as it should be.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShardModel {
    /// Those that are kept.
    pub(crate) records: Vec<Stored>,
    /// Those that were removed.
    pub(crate) removed: Vec<Stored>,
    /// The last number of its own, or of its parents.
    pub(crate) above: Option<SequenceNumber>,
    /// No record that comes is older.
    pub(crate) newest: Timestamp,
    pub(crate) parents: Vec<u32>,
    pub(crate) created: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    /// Retention has taken all of it.
    pub(crate) is_gone: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Reshard {
    /// One of the open shards, in its middle.
    Split {
        shard: u8,
    },
    /// One of the open shards and the next one.
    Merge {
        shard: u8,
    },
    Update {
        target: u8,
    },
}

pub(crate) fn reshard() -> impl Strategy<Value = Reshard> {
    prop_oneof![
        2 => any::<u8>().prop_map(|shard| Reshard::Split { shard }),
        2 => any::<u8>().prop_map(|shard| Reshard::Merge { shard }),
        1 => (0..10_u8).prop_map(|target| Reshard::Update { target }),
    ]
}

/// No stream gets more shards than this, so that checking stays cheap.
const MOST: usize = 60;

/// Reshards the stream and its model.
pub(crate) fn apply(stream: &Stream, shards: &mut Vec<ShardModel>, how: &Reshard) {
    if shards.len() > MOST {
        return;
    }
    let open = stream.shards();
    match how {
        Reshard::Split { shard } => {
            let parent = open[usize::from(*shard) % open.len()];
            let middle = parent.range.start.as_u128().midpoint(parent.range.end.as_u128());
            let children = stream.split_shard(parent.id, HashKey::from(middle)).unwrap();
            assert_eq!(children.map(|id| id.as_u32() as usize), [shards.len(), shards.len() + 1]);
        }
        Reshard::Merge { shard } => {
            let first = usize::from(*shard) % open.len();
            let Some(second) = open.get(first + 1) else { return };
            let child = stream.merge_shards(second.id, open[first].id).unwrap();
            assert_eq!(child.as_u32() as usize, shards.len());
        }
        Reshard::Update { target } => {
            let target = u32::from(*target);
            let allowed = is_near(&open, target);
            match stream.update_shard_count(target) {
                Ok(()) => assert!(allowed && stream.shards().len() == target as usize),
                Err(ReshardError::Plan(ReshardPlanError::ShardCount { .. })) => assert!(!allowed),
                Err(error) => panic!("{error}"),
            }
        }
    }
    take_in(shards, &stream.list_shards(ShardFilter::All));
}

/// Whether a stream may go to `target` shards: to half of its open ones, but for those that begin where one of the target's will,
/// and to twice as many.
fn is_near(open: &[ShardInfo], target: u32) -> bool {
    let Some(count) = NonZeroU32::new(target) else { return false };
    let even = HashKeyRange::uniform(count);
    let begins = |shard: &&ShardInfo| {
        even.iter().any(|even| even.start.as_u128().abs_diff(shard.range.start.as_u128()) <= 1 << 32)
    };
    let counted = open.len() - open.iter().skip(1).filter(begins).count();
    (counted.div_ceil(2)..=open.len() * 2).contains(&(target as usize))
}

/// Takes in the shards that have come, and what became of their parents.
fn take_in(shards: &mut Vec<ShardModel>, listed: &[ShardInfo]) {
    for info in
        listed.iter().filter(|info| info.id.as_u32() as usize >= shards.len()).copied().collect::<Vec<_>>()
    {
        assert_eq!(info.id.as_u32() as usize, shards.len(), "ids are given in order");
        let parents: Vec<_> =
            [info.parent_shard_id, info.adjacent_parent_shard_id].into_iter().flatten().collect();
        let mut child = ShardModel {
            parents: parents.iter().map(|id| id.as_u32()).collect(),
            created: info.created,
            newest: info.created,
            ..ShardModel::default()
        };
        for parent in parents {
            let parent = &mut shards[parent.as_u32() as usize];
            assert!(parent.ended.is_none_or(|ended| ended == info.created) && parent.newest <= info.created);
            parent.ended = Some(info.created);
            child.above = child.above.max(parent.above);
        }
        shards.push(child);
    }
}

/// Compares every listing with what the model says.
pub(crate) fn check_listed(
    shards: &[ShardModel],
    list: &dyn Fn(ShardFilter) -> Vec<ShardInfo>,
    now: Timestamp,
) {
    let kept: Vec<_> = (0..).zip(shards).filter(|(_, shard)| !shard.is_gone).collect();
    for (info, (id, shard)) in list(ShardFilter::All).iter().zip(&kept) {
        let parents = [info.parent_shard_id, info.adjacent_parent_shard_id];
        let parents: Vec<_> = parents.into_iter().flatten().map(ShardId::as_u32).collect();
        assert_eq!((info.id.as_u32(), parents, info.closed), (*id, shard.parents.clone(), shard.ended));
    }
    let check = |filter, admits: &dyn Fn(u32, &ShardModel) -> bool| {
        let expected: Vec<u32> =
            kept.iter().filter(|(id, shard)| admits(*id, shard)).map(|(id, _)| *id).collect();
        let listed: Vec<_> = list(filter).iter().map(|info| info.id.as_u32()).collect();
        assert_eq!(listed, expected, "{filter:?}");
    };
    check(ShardFilter::All, &|_, _| true);
    check(ShardFilter::FromTrimHorizon, &|_, _| true);
    check(ShardFilter::AtLatest, &|_, shard| shard.ended.is_none());
    check(ShardFilter::AtTrimHorizon, &|_, shard| {
        shard.parents.iter().all(|parent| shards[*parent as usize].is_gone)
    });
    let middle = kept[kept.len() / 2];
    check(ShardFilter::AfterShardId(ShardId::new(middle.0)), &|id, _| id > middle.0);
    for time in [middle.1.created, now] {
        let ended_before = |shard: &ShardModel| shard.ended.is_some_and(|ended| ended < time);
        check(ShardFilter::AtTimestamp(time), &|_, shard| shard.created <= time && !ended_before(shard));
        check(ShardFilter::FromTimestamp(time), &|_, shard| !ended_before(shard));
    }
}

/// Trims a shard by hand, and the model.
pub(crate) fn trim(stream: &Stream, shards: &mut [ShardModel], shard: usize, at: usize) {
    let shard = shard % shards.len();
    let records = &shards[shard].records;
    if records.is_empty() || shards[shard].is_gone {
        return;
    }
    let number = records[at % records.len()].number;
    stream.trim_to(number).unwrap();
    forget(shards, stream, &|_, record| record.number < number);
}

/// Takes note of what is not kept any more, having checked that it may go: from the front, and closed shards as a whole, parents
/// first.
pub(crate) fn forget(
    shards: &mut [ShardModel],
    stream: &Stream,
    may_go: &dyn Fn(&ShardModel, &Stored) -> bool,
) {
    let stats = stream.stats().shards;
    for id in 0..shards.len() {
        let shard = &shards[id];
        if shard.is_gone {
            continue;
        }
        let kept = match stats.iter().find(|stats| stats.shard_id.as_u32() as usize == id) {
            Some(stats) => usize::try_from(stats.records).unwrap(),
            None => {
                assert!(shard.ended.is_some(), "an open shard is gone");
                let parents_gone = shard.parents.iter().all(|parent| shards[*parent as usize].is_gone);
                assert!(parents_gone, "{id} went before its parents {:?}", shard.parents);
                shards[id].is_gone = true;
                0
            }
        };
        let shard = &shards[id];
        let gone = shard.records.len().checked_sub(kept).unwrap();
        assert!(shard.records[..gone].iter().all(|record| may_go(shard, record)), "too much is gone of {id}");
        let shard = &mut shards[id];
        shard.removed.extend(shard.records.drain(..gone));
    }
}
