//! Putting the records of an input, a batch at a time.

use std::io::BufReader;
use std::ops::Range;

use riverbed::{Durability, HashKey, PutError, PutRecord, Stream};

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
        let item = match item {
            Ok(item) => item,
            Err(problem) => {
                // What came before it goes in first.
                self.flush()?;
                return self.leave_out(CliError::Input { index: self.taken, problem });
            }
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
                let mut record = PutRecord::new(key, bytes(&place.data)).metadata(bytes(&place.metadata));
                if let Some(hash_key) = place.hash_key {
                    record = record.explicit_hash_key(hash_key);
                }
                match self.options.durability {
                    Some(durability) => record.durability(durability),
                    None => record,
                }
            })
            .collect();
        let results = self.stream.put_records_in_order(&records).into_results();
        let places = std::mem::take(&mut self.places);
        self.bodies.clear();
        let mut failed: Vec<(u64, PutError)> = Vec::new();
        for (place, result) in places.iter().zip(results) {
            match result {
                Ok(_) => self.put += 1,
                Err(error) => failed.push((place.index, error)),
            }
        }
        let (wrong, refused): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|(_, error)| is_about_the_record(error));
        if let Some((index, source)) = refused.into_iter().next() {
            return Err(CliError::NotPut { index, source });
        }
        for (index, error) in wrong {
            self.leave_out(CliError::Input { index, problem: error.to_string() })?;
        }
        Ok(())
    }

    /// Puts what is left and makes everything durable. Call it after an error, too, for the count in its message.
    pub(crate) fn finish(&mut self, so_far: Result<(), CliError>) -> Result<(), CliError> {
        // What came before an error goes in all the same.
        let flushed = self.flush();
        let outcome = so_far.and(flushed).and_then(|()| Ok(self.stream.sync()?));
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

/// Whether it is the record that cannot be put, and others can.
pub(crate) fn is_about_the_record(error: &PutError) -> bool {
    matches!(
        error,
        PutError::PartitionKey(_) | PutError::RecordTooLarge { .. } | PutError::MetadataTooLarge { .. }
    )
}
