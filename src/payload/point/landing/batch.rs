//! Points on their way into a stream.

use std::borrow::Cow;
use std::ops::Range;

use super::error::PutPointError;
use super::options::PointOptions;
use super::tagged::Tagged;
use crate::log::frame::MAX_RECORD_LEN;
use crate::payload::line_protocol::{LineWriter, Row};
use crate::payload::partition_key::partition_key;
use crate::payload::point::PointTime;
use crate::stream::error::PutError;
use crate::stream::put::PutRecord;

/// Points as records: all lines in one buffer, the start of each line its partition key.
pub(super) struct PointBatch<'o> {
    options: &'o PointOptions,
    writer: LineWriter,
    clock: PointTime,
    lines: Vec<u8>,
    points: Vec<Place>,
    /// The partition keys of series whose own key cannot be one.
    made_keys: String,
}

/// Where a point is.
struct Place {
    line: Range<usize>,
    series_key_length: usize,
    /// It is of the same series as the point before.
    repeats: bool,
    made_key: Option<Range<usize>>,
}

impl<'o> PointBatch<'o> {
    /// A batch without points. Those without a time happened at `clock`.
    pub(super) fn new(options: &'o PointOptions, clock: PointTime) -> Self {
        let writer = LineWriter::new().non_finite(options.non_finite);
        Self { options, writer, clock, lines: Vec::new(), points: Vec::new(), made_keys: String::new() }
    }

    /// A batch for what is read from a body of this length.
    pub(super) fn for_body(options: &'o PointOptions, clock: PointTime, length: usize) -> Self {
        // Most lines stay as they are, and few are shorter than 64 bytes. Where lines grow, by default tags or a
        // timestamp, so do the buffers.
        let mut batch = Self::new(options, clock);
        batch.lines.reserve(length);
        batch.points.reserve(length / 64);
        batch
    }

    /// Adds a point, unless it cannot be written or is too long for a record: that can be known before anything is put.
    pub(super) fn push(&mut self, row: &impl Row) -> Result<(), PutPointError> {
        let start = self.lines.len();
        let row = Tagged { row, options: self.options, clock: self.clock };
        let series_key_length = self.writer.write_row(&row, &mut self.lines)?.key_length;
        let line = start..self.lines.len();
        let key = series_key(&self.lines, &line, series_key_length);
        // The points of a series often follow each other.
        let repeats = self.points.last().is_some_and(|last| self.series_key(last) == key);
        // Of a record's key and data the key is at most as long as the series key, or 1 KiB where one is made for it.
        let length = line.len() + key.len();
        if length > MAX_RECORD_LEN {
            self.lines.truncate(start);
            return Err(PutError::RecordTooLarge { len: length, max: MAX_RECORD_LEN }.into());
        }
        let made_key = if repeats { Cow::Borrowed("") } else { partition_key(key) };
        let made_key = match made_key {
            Cow::Borrowed(_) => None,
            Cow::Owned(made) => {
                let start = self.made_keys.len();
                self.made_keys.push_str(&made);
                Some(start..self.made_keys.len())
            }
        };
        self.points.push(Place { line, series_key_length, repeats, made_key });
        Ok(())
    }

    fn series_key(&self, place: &Place) -> &[u8] {
        series_key(&self.lines, &place.line, place.series_key_length)
    }

    /// The records to put, one for each point, in order.
    pub(super) fn records(&self) -> Vec<PutRecord<'_>> {
        let mut key = "";
        let record = |place: &'_ Place| {
            if !place.repeats {
                key = self.partition_key(place);
            }
            let record = PutRecord::new(key, self.lines.get(place.line.clone()).unwrap_or_default());
            self.options.durability.map_or(record, |durability| record.durability(durability))
        };
        self.points.iter().map(record).collect()
    }

    fn partition_key(&self, place: &Place) -> &str {
        match &place.made_key {
            Some(range) => self.made_keys.get(range.clone()).unwrap_or_default(),
            // A key that is not UTF-8 has one made for it.
            None => std::str::from_utf8(self.series_key(place)).unwrap_or_default(),
        }
    }
}

fn series_key<'l>(lines: &'l [u8], line: &Range<usize>, length: usize) -> &'l [u8] {
    lines.get(line.start..line.start + length).unwrap_or_default()
}
