//! Which shard each record of a batch goes to.

use crate::sys::md5::{Digester, Level};

use super::owners::Owners;
use super::put::PutRecord;
use super::shard_map::{Shard, ShardMap};

/// A record that a shard may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) index: usize,
    /// Of its body; computed before any lock is taken.
    pub(crate) checksum: u32,
    /// Nothing is asked for it in particular.
    pub(crate) plain: bool,
}

/// Records of a batch, by the shard that they go to.
#[derive(Debug)]
pub(crate) struct Routes {
    /// Group after group, those of one shard in the order given.
    items: Vec<Item>,
    groups: Vec<Group>,
}

/// The records that go to one shard. Most batches touch few shards of many.
#[derive(Debug)]
struct Group {
    /// The shard's place among the open ones.
    shard: usize,
    /// Where its records end.
    end: usize,
}

impl Routes {
    /// Where these records go. Their keys have been checked.
    pub(crate) fn new(owners: &Owners, records: &[PutRecord<'_>], items: Vec<Item>) -> Self {
        if owners.len() == 1 {
            return Self { groups: vec![Group { shard: 0, end: items.len() }], items };
        }
        let mut shards = shards(owners, records, &items);
        // First how many records a shard has, then where the next of them goes.
        let mut places = vec![0; owners.len()];
        let mut groups = Vec::new();
        let mut before = 0;
        for shard in &mut shards {
            if *shard == SAME {
                *shard = before;
            }
            before = *shard;
            if let Some(count) = places.get_mut(before) {
                if *count == 0 {
                    groups.push(Group { shard: before, end: 0 });
                }
                *count += 1;
            }
        }
        let mut end = 0;
        for group in &mut groups {
            if let Some(place) = places.get_mut(group.shard) {
                end += std::mem::replace(place, end);
                group.end = end;
            }
        }
        let mut sorted = items.clone();
        for (item, shard) in items.iter().zip(shards) {
            if let Some(place) = places.get_mut(shard)
                && let Some(to) = sorted.get_mut(*place)
            {
                *to = *item;
                *place += 1;
            }
        }
        Self { items: sorted, groups }
    }

    /// The shards that any record goes to, each with its records in the order given.
    pub(crate) fn groups<'s>(&'s self, map: &'s ShardMap) -> impl Iterator<Item = (&'s Shard, &'s [Item])> {
        self.slices().filter_map(|(shard, items)| Some((&**map.open().get(shard)?, items)))
    }

    fn slices(&self) -> impl Iterator<Item = (usize, &[Item])> {
        let mut start = 0;
        self.groups.iter().filter_map(move |group| {
            let items = self.items.get(start..group.end)?;
            start = group.end;
            Some((group.shard, items))
        })
    }
}

/// The shard of the record before: records of one key often follow each other, and its hash key is computed for the first of
/// them.
const SAME: usize = usize::MAX;

/// For each of these records the place of its shard among the open ones, or [`SAME`].
fn shards(owners: &Owners, records: &[PutRecord<'_>], items: &[Item]) -> Vec<usize> {
    // By itself a key gains nothing from the vectors, and may be remembered.
    if let [item] = items
        && let Some(record) = records.get(item.index)
    {
        return vec![owners.place_of(record.hash_key())];
    }
    let mut shards = vec![SAME; items.len()];
    let mut note = |place: usize, hash_key: u128| {
        if let Some(shard) = shards.get_mut(place) {
            *shard = owners.place_of(hash_key.into());
        }
    };
    let mut digester = Digester::new(Level::best());
    let mut before = None;
    for (place, item) in items.iter().enumerate() {
        let Some(record) = records.get(item.index) else { continue };
        if let Some(known) = record.known_hash_key() {
            before = None;
            note(place, known.as_u128());
            continue;
        }
        let key = record.key.as_str();
        if !before.is_some_and(|before| is_same(before, key)) {
            digester.add(place, key.as_bytes(), &mut note);
        }
        before = Some(key);
    }
    digester.finish(note);
    shards
}

/// Whether two keys are the same. Different ones that follow each other often have the same length and begin alike, so the end is
/// looked at first.
#[inline]
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.as_bytes().last() == other.as_bytes().last() && one == other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::hash_key::HashKey;
    use crate::stream::partition_key::PartitionKey;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_record_goes_where_it_would_go_by_itself_and_stays_behind_those_before_it(
            ends in prop::collection::btree_set(any::<u128>(), 0..6),
            kinds in prop::collection::vec((0_usize..4, 0_usize..5), 0..100),
        ) {
            let long = "x".repeat(200);
            let texts = ["a", "b", "z", &long];
            let hashed = texts.map(|text| PartitionKey::new(text).unwrap());
            let records: Vec<_> = kinds
                .iter()
                .map(|&(text, kind)| match kind {
                    0 => PutRecord::new(&hashed[text], b""),
                    1 => PutRecord::new(texts[text], b"").explicit_hash_key(HashKey::from(7)),
                    _ => PutRecord::new(texts[text], b""),
                })
                .collect();
            // Not all records are left, and those have not the places that they had.
            let left = (0..records.len()).filter(|index| index % 7 != 3);
            let items: Vec<_> = left.map(|index| Item { index, checksum: 0, plain: true }).collect();
            let owners = Owners::new(ends.into_iter().chain([u128::MAX]).map(HashKey::from).collect());

            let routes = Routes::new(&owners, &records, items.clone());
            let mut placed = 0;
            for (place, found) in routes.slices() {
                let expected = items.iter().filter(|item| {
                    owners.place_of(records[item.index].hash_key()) == place
                });
                let found: Vec<_> = found.iter().map(|item| item.index).collect();
                prop_assert_eq!(&found, &expected.map(|item| item.index).collect::<Vec<_>>());
                placed += found.len();
            }
            prop_assert_eq!(placed, items.len());
        }
    }
}
