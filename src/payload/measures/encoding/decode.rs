//! Reading bytes as a measure, all checks made.

use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;

use super::measure_ref::{Layout, ValueRef, Values};
use super::{FORMAT, tag, varint};

/// A record that is no measure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeMeasureError {
    /// The first byte names a format that this version does not know.
    #[error(
        "the record's format is {found:?}, not {FORMAT}: it is no measure, or one of a newer version of riverbed, which \
         can read it"
    )]
    Format {
        /// The first byte, if there is one.
        found: Option<u8>,
    },
    /// The bytes are not what writing a measure makes.
    #[error(
        "the record is no measure: {what} at byte {offset} is cut off, out of range or not in its one form"
    )]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// Where it begins.
        offset: usize,
    },
}

/// The part of a record that is yet to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Rest<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, len: bytes.len() }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn offset(&self) -> usize {
        self.len - self.bytes.len()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let (number, rest) = varint::read(self.bytes)?;
        self.bytes = rest;
        Some(number)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.varint()?).ok()?;
        let (text, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        std::str::from_utf8(text).ok()
    }

    fn time(&mut self) -> Option<Timestamp> {
        let nanos = u64::from_le_bytes(self.array()?);
        i64::try_from(nanos).is_ok().then_some(Timestamp::from_nanos(nanos))
    }

    /// A value; one of type `MULTI` only where it may be, and its values unread.
    pub(super) fn value(&mut self, multi: bool) -> Option<ValueRef<'a>> {
        Some(match self.byte()? {
            tag::DOUBLE => {
                let number = f64::from_bits(u64::from_le_bytes(self.array()?));
                ValueRef::Double(number.is_finite().then_some(number)?)
            }
            tag::BIGINT => ValueRef::BigInt(i64::from_le_bytes(self.array()?)),
            tag::VARCHAR => ValueRef::Varchar(self.text()?),
            tag::BOOLEAN => ValueRef::Boolean(match self.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            }),
            tag::TIMESTAMP => ValueRef::Timestamp(self.time()?),
            tag::MULTI if multi => {
                let count = self.varint()?;
                let values = Values::new(count, self.bytes);
                self.bytes = &[];
                ValueRef::Multi(values)
            }
            _ => return None,
        })
    }

    /// Reads a part, or says which it was and where.
    fn part<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, DecodeMeasureError> {
        let offset = self.offset();
        read(self).ok_or(DecodeMeasureError::Malformed { what, offset })
    }
}

/// Checks every byte of a record.
pub(super) fn decode(bytes: &[u8]) -> Result<Layout, DecodeMeasureError> {
    let mut rest = Rest::new(bytes);
    match rest.byte() {
        Some(FORMAT) => {}
        found => return Err(DecodeMeasureError::Format { found }),
    }
    let time = rest.part("the time", Rest::time)?;
    let version = rest.part("the version", |rest| {
        let version = i64::try_from(rest.varint()?).ok()?;
        (version >= 1).then_some(version)
    })?;
    let previous = rest.part("the number of the version before", previous)?;
    let series = rest.offset();
    let dimensions = rest.part("the number of dimensions", Rest::varint)?;
    rest.part("the dimensions", |rest| sorted(rest, dimensions, |rest| rest.text().map(drop)))?;
    let measure_name = rest.offset();
    rest.part("the measure name", Rest::text)?;
    let value = rest.offset();
    if let ValueRef::Multi(values) = rest.part("the value", |rest| rest.value(true))? {
        rest.bytes = values.bytes();
        rest.part("the values", |rest| {
            sorted(rest, values.count_left(), |rest| rest.value(false).map(drop))
        })?;
    }
    rest.part("what is behind the value", |rest| rest.bytes.is_empty().then_some(()))?;
    Ok(Layout { time, version, previous, series, measure_name, value })
}

fn previous(rest: &mut Rest<'_>) -> Option<Option<SequenceNumber>> {
    let Some(shard) = rest.varint()?.checked_sub(1) else {
        return Some(None);
    };
    let shard = ShardId::new(u32::try_from(shard).ok()?);
    Some(Some(SequenceNumber::new(rest.varint()?, shard)))
}

/// Reads `count` names, each above the one before, with what follows each.
fn sorted<'a>(rest: &mut Rest<'a>, count: u64, follows: impl Fn(&mut Rest<'a>) -> Option<()>) -> Option<()> {
    let mut last = None;
    for _ in 0..count {
        let name = rest.text()?;
        if last.is_some_and(|last| last >= name) {
            return None;
        }
        last = Some(name);
        follows(rest)?;
    }
    Some(())
}
