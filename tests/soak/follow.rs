//! A reader in another process: follows all shards, parents before their children, while they come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use riverbed::{Position, ReadError, ReadOnlyStream, Reader, SequenceNumber, ShardFilter, ShardId, Store};

use crate::child;
use crate::record::{self, KEYS, Place};
use crate::usage::Usage;

/// Tells followers that nothing more will be put.
pub const DONE: &str = "done";

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    last: Option<(Place, u128)>,
    /// How many gaps there had been when it was seen.
    gaps: u64,
}

struct Follower {
    stream: ReadOnlyStream,
    /// Readers, and the number that comes next for those that have read nothing yet.
    readers: BTreeMap<ShardId, (Reader, Option<SequenceNumber>)>,
    /// Shards that were read to their ends.
    finished: BTreeSet<ShardId>,
    keys: Vec<Seen>,
    records: u64,
    /// How often retention had taken something before it was read.
    gaps: u64,
}

/// Follows the store until it is done, or this process is killed.
pub fn follow(directory: &Path) {
    child::report("\nfollowing\n");
    let store = directory.join("store");
    let stream = loop {
        match Store::open_read_only(&store).ok().and_then(|store| store.open_stream("s").ok()) {
            Some(stream) => break stream,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut follower = Follower {
        stream,
        readers: BTreeMap::new(),
        finished: BTreeSet::new(),
        keys: vec![Seen::default(); KEYS],
        records: 0,
        gaps: 0,
    };
    let mut reported = Instant::now();
    loop {
        // Looked at before the shards are: then they are read to their ends.
        let done = directory.join(DONE).exists();
        let read = follower.look();
        if done && read == 0 {
            break;
        }
        if read == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        if reported.elapsed() > Duration::from_millis(250) {
            reported = Instant::now();
            child::report(&Usage::now().line());
        }
    }
    let Follower { records, gaps, keys, .. } = follower;
    let mut lines = String::new();
    for (key, seen) in keys.iter().enumerate() {
        let (place, _) = seen.last.expect("every key was put to");
        lines.push_str(&format!("last {key} {} {}\n", place.run, place.index));
    }
    child::report(&lines);
    child::report(&format!(
        "counts follower: {records} records, overtaken by retention {gaps} times\nended\n"
    ));
}

impl Follower {
    /// Reads what there is in all shards. Returns how many records there were.
    fn look(&mut self) -> u64 {
        let shards = self.stream.list_shards(ShardFilter::All).expect("a list of shards");
        let known: BTreeSet<_> = shards.iter().map(|shard| shard.id).collect();
        let mut count = 0;
        for shard in &shards {
            if self.finished.contains(&shard.id) {
                continue;
            }
            let parents = [shard.parent_shard_id, shard.adjacent_parent_shard_id].into_iter().flatten();
            if !self.readers.contains_key(&shard.id) {
                let waits = |parent: &ShardId| !self.finished.contains(parent) && known.contains(parent);
                if parents.clone().any(|parent| waits(&parent)) {
                    continue;
                }
                if parents.clone().any(|parent| !self.finished.contains(&parent)) {
                    // It was never listed while this process was looking, or retention took it.
                    self.gaps += 1;
                }
                match self.stream.reader(shard.id, Position::TrimHorizon) {
                    Ok(reader) => {
                        let first = Some(shard.starting_sequence_number);
                        self.readers.insert(shard.id, (reader, first));
                    }
                    Err(ReadError::NoSuchShard { .. }) => continue,
                    Err(error) => panic!("{}: {error}", shard.id),
                }
            }
            count += self.read(shard.id);
        }
        let gone: Vec<_> = self.readers.keys().copied().filter(|id| !known.contains(id)).collect();
        for id in gone {
            count += self.read(id);
            if self.readers.remove(&id).is_some() {
                self.gaps += 1;
                self.finished.insert(id);
            }
        }
        count
    }

    /// Reads one shard as far as it goes now.
    fn read(&mut self, id: ShardId) -> u64 {
        let Some((mut reader, mut first)) = self.readers.remove(&id) else { return 0 };
        let mut count = 0;
        loop {
            match reader.next() {
                Ok(Some(record)) => {
                    if first.take().is_some_and(|first| first < record.sequence_number()) {
                        // Retention had begun with the shard before it was first looked at, or a kill has cost numbers.
                        self.gaps += 1;
                    }
                    let (key, place) = record::checked(record.partition_key().unwrap(), record.data());
                    self.see(key, place, record.sequence_number().as_u128());
                    count += 1;
                }
                Ok(None) => break,
                Err(ReadError::Trimmed { .. }) => self.gaps += 1,
                Err(error) => panic!("{id}: {error}"),
            }
        }
        if reader.is_at_end() {
            self.finished.insert(id);
        } else {
            self.readers.insert(id, (reader, first));
        }
        count
    }

    fn see(&mut self, key: usize, place: Place, number: u128) {
        let seen = &mut self.keys[key];
        if let Some((last, last_number)) = seen.last {
            assert!(number > last_number, "{number} of key {key} follows {last_number}");
            let next = place == last.next() || place.run > last.run && place.index == 0;
            let told_of_gap = seen.gaps < self.gaps && place > last;
            assert!(next || told_of_gap, "{place:?} of key {key} follows {last:?}");
        }
        *seen = Seen { last: Some((place, number)), gaps: self.gaps };
        self.records += 1;
    }
}
