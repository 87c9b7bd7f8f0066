//! Putting the records of an input, a batch at a time.

use std::io::BufReader;
use std::ops::Range;

use riverbed::{Durability, HashKey, PutRecord, Stream};

use crate::error::CliError;
use crate::framing::Framing;
use crate::input::Input;
use crate::output;
use crate::units;

/// Records of a batch, at the most, and bytes after which one is full.
const BATCH_RECORDS: usize = 1000;
const BATCH_BYTES: usize = 4 << 20;

/// A record to put.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Item<'a> {
    pub(crate) key: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) metadata: &'a [u8],
    pub(crate) hash_key: Option<HashKey>,
}

/// How to put the records of an input.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FeedOptions {
    pub(crate) durability: Option<Durability>,
    /// Go on behind a record that cannot be put for what it is like.
    pub(crate) keep_going: bool,
}

/// Gathers records and puts them.
pub(crate) struct Feed<'s> {
    stream: &'s Stream,
    options: FeedOptions,
    bodies: Vec<u8>,
    places: Vec<Place>,
    /// Records of the input that were taken, those that are in, those that were left out.
    taken: u64,
    put: u64,
    left_out: u64,
}

/// Where a record lies in the bodies of a batch.
struct Place {
    index: u64,
    key: Range<usize>,
    metadata: Range<usize>,
    data: Range<usize>,
    hash_key: Option<HashKey>,
}

impl<'a> Item<'a> {
    fn record(&self) -> PutRecord<'a> {
        let record = PutRecord::new(self.key, self.data).metadata(self.metadata);
        match self.hash_key {
            Some(hash_key) => record.explicit_hash_key(hash_key),
            None => record,
        }
    }
}

impl<'s> Feed<'s> {
    pub(crate) fn new(stream: &'s Stream, options: FeedOptions) -> Self {
        Self { stream, options, bodies: Vec::new(), places: Vec::new(), taken: 0, put: 0, left_out: 0 }
    }

    /// Records that are in.
    pub(crate) fn put(&self) -> u64 {
        self.put
    }

    /// Records that were left out.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes the records of an input until its end, or until somebody interrupts it; `each` is to take what it makes of
    /// one.
    pub(crate) fn take_all(
        &mut self,
        input: &mut BufReader<Input>,
        framing: Framing,
        mut each: impl FnMut(&[u8], &mut Self) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut data = Vec::new();
        loop {
            // Before waiting for more, what is there goes in.
            if !framing.is_at_hand(input.buffer()) {
                self.flush()?;
            }
            match framing.read(input, &mut data) {
                Ok(true) => each(&data, self)?,
                Ok(false) => return Ok(()),
                Err(_) if input.get_ref().is_interrupted() => return Ok(()),
                Err(error) => return Err(CliError::io("read", input.get_ref().name())(error)),
            }
        }
    }

    /// Takes a record, or what keeps the input's record from being one.
    pub(crate) fn take(&mut self, item: Result<Item<'_>, String>) -> Result<(), CliError> {
        self.taken += 1;
        // Here and not by the put, which would go on with the records behind it.
        let checked = item.and_then(|item| match item.record().check() {
            Ok(()) => Ok(item),
            Err(error) => Err(error.to_string()),
        });
        let item = match checked {
            Ok(item) => item,
            Err(problem) => return self.leave_out(CliError::Input { index: self.taken, problem }),
        };
        let mut push = |bytes: &[u8]| {
            let start = self.bodies.len();
            self.bodies.extend_from_slice(bytes);
            start..self.bodies.len()
        };
        let (key, metadata, data) = (push(item.key.as_bytes()), push(item.metadata), push(item.data));
        self.places.push(Place { index: self.taken, key, metadata, data, hash_key: item.hash_key });
        if self.places.len() >= BATCH_RECORDS || self.bodies.len() >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Puts what has been gathered.
    pub(crate) fn flush(&mut self) -> Result<(), CliError> {
        if self.places.is_empty() {
            return Ok(());
        }
        let bytes = |range: &Range<usize>| self.bodies.get(range.clone()).unwrap_or_default();
        let records: Vec<_> = self
            .places
            .iter()
            .map(|place| {
                // It was text when it was taken.
                let key = std::str::from_utf8(bytes(&place.key)).unwrap_or_default();
                let (data, metadata) = (bytes(&place.data), bytes(&place.metadata));
                let record = Item { key, data, metadata, hash_key: place.hash_key }.record();
                match self.options.durability {
                    Some(durability) => record.durability(durability),
                    None => record,
                }
            })
            .collect();
        let results = self.stream.put_records_in_order(&records).into_results();
        let places = std::mem::take(&mut self.places);
        self.bodies.clear();
        let mut refused = None;
        let mut behind = 0;
        for (place, result) in places.iter().zip(results) {
            match result {
                Ok(_) => {
                    self.put += 1;
                    behind += u64::from(refused.is_some());
                }
                Err(error) => refused = refused.or(Some((place.index, error))),
            }
        }
        match refused {
            Some((index, source)) => Err(CliError::NotPut { index, behind, source }),
            None => Ok(()),
        }
    }

    /// Puts what is left and makes everything durable. Call it after an error, too, for the count in its message.
    pub(crate) fn finish(&mut self, so_far: Result<(), CliError>) -> Result<(), CliError> {
        // What came before an error goes in all the same. If it does not, that comes first.
        let outcome = self.flush().and(so_far);
        let outcome = sync_after(self.stream, outcome);
        if outcome.is_err() {
            output::note(&format!("{} put", units::counted(self.put, "record")));
        }
        outcome
    }

    fn leave_out(&mut self, error: CliError) -> Result<(), CliError> {
        if !self.options.keep_going {
            return Err(error);
        }
        self.left_out += 1;
        output::note(&format!("left out: {error}"));
        Ok(())
    }
}

/// Makes durable what was put, whether all of it was or not.
pub(crate) fn sync_after<T>(stream: &Stream, outcome: Result<T, CliError>) -> Result<T, CliError> {
    match (outcome, stream.sync()) {
        (outcome, Ok(())) => outcome,
        (Ok(_), Err(error)) => Err(error.into()),
        (Err(first), Err(error)) => {
            output::complain(&error);
            Err(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use riverbed::{Store, StreamOptions};

    fn options() -> FeedOptions {
        FeedOptions { durability: Some(Durability::Buffered), ..FeedOptions::default() }
    }

    fn unsynced(stream: &Stream) -> u64 {
        stream.stats().shards.iter().map(|shard| shard.unsynced).sum()
    }

    #[test]
    fn what_came_before_an_error_is_put_and_synced() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("data")).unwrap();
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        let mut feed = Feed::new(&stream, options());
        feed.take(Ok(Item { key: "k", ..Item::default() })).unwrap();
        feed.flush().unwrap();
        assert_eq!(unsynced(&stream), 1);
        feed.take(Ok(Item { key: "k", ..Item::default() })).unwrap();
        let wrong = feed.take(Err("it is wrong".to_owned()));
        let error = feed.finish(wrong).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("record 3 of the input (counted from 1): it is wrong"));
        assert_eq!((feed.put(), unsynced(&stream)), (2, 0));
    }

    #[cfg(feature = "limits")]
    #[test]
    fn a_record_that_a_shard_refuses_is_told_with_what_is_in_behind_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::options()
            .clock(riverbed::testing::ManualClock::default())
            .limits(riverbed::Limits::NONE.records_in(2))
            .open(directory.path().join("data"))
            .unwrap();
        let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
        let mut feed = Feed::new(&stream, options());
        // The third record is one too many for its shard, the fourth the first of the other.
        for hash_key in [HashKey::MIN, HashKey::MIN, HashKey::MIN, HashKey::MAX, HashKey::MIN] {
            feed.take(Ok(Item { key: "k", hash_key: Some(hash_key), ..Item::default() })).unwrap();
        }
        // What cannot be read is behind what was not put.
        let error = feed.finish(Err(CliError::usage("cut short"))).unwrap_err();
        assert!(matches!(error, CliError::NotPut { index: 3, behind: 1, .. }), "{error}");
        let text = "record 3 of the input (counted from 1) was not put, and of those behind it 1 was put";
        assert_eq!(error.to_string(), text);
        assert_eq!((feed.put(), unsynced(&stream)), (3, 0));
    }
}
