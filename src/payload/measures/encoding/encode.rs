//! Writing measures as bytes.

use crate::payload::measures::measure::{Measure, Value};
use crate::payload::measures::record::Dimension;
use crate::stream::sequence_number::SequenceNumber;
use crate::sys::clock::Timestamp;

use super::{FORMAT, tag, varint};

/// What is written before series and value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) time: Timestamp,
    pub(crate) version: i64,
    /// The record with the version that this one replaces.
    pub(crate) previous: Option<SequenceNumber>,
}

impl Head {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        out.extend_from_slice(&self.time.as_nanos().to_le_bytes());
        varint::write(self.version.unsigned_abs(), out);
        match self.previous {
            None => varint::write(0, out),
            Some(number) => {
                varint::write(u64::from(number.shard_id().as_u32()) + 1, out);
                varint::write(number.counter(), out);
            }
        }
    }
}

/// A measure's series and value as bytes: equal bytes are equal values.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    series_len: usize,
}

impl Encoded {
    /// Dimensions and measure name.
    pub(crate) fn series(&self) -> &[u8] {
        self.bytes.get(..self.series_len).unwrap_or_default()
    }

    /// Type and value.
    pub(crate) fn value(&self) -> &[u8] {
        self.bytes.get(self.series_len..).unwrap_or_default()
    }

    /// The whole record.
    pub(crate) fn write(&self, head: &Head, out: &mut Vec<u8>) {
        head.write(out);
        out.extend_from_slice(&self.bytes);
    }
}

pub(crate) fn encode(measure: &Measure<'_>) -> Encoded {
    let mut bytes = Vec::with_capacity(128);
    write_series(&measure.dimensions, measure.measure_name, &mut bytes);
    let series_len = bytes.len();
    write_value(&measure.value, &mut bytes);
    Encoded { bytes, series_len }
}

/// The bytes of a series, whose dimensions are sorted by name.
pub(crate) fn series_bytes(dimensions: &[Dimension<'_>], measure_name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    write_series(dimensions, measure_name, &mut bytes);
    bytes
}

fn write_series(dimensions: &[Dimension<'_>], measure_name: &str, out: &mut Vec<u8>) {
    write_len(dimensions.len(), out);
    for dimension in dimensions {
        write_text(dimension.name, out);
        write_text(dimension.value, out);
    }
    write_text(measure_name, out);
}

fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Double(number) => write_fixed(tag::DOUBLE, number.to_bits().to_le_bytes(), out),
        Value::BigInt(number) => write_fixed(tag::BIGINT, number.to_le_bytes(), out),
        Value::Varchar(text) => {
            out.push(tag::VARCHAR);
            write_text(text, out);
        }
        Value::Boolean(truth) => write_fixed(tag::BOOLEAN, [u8::from(*truth)], out),
        Value::Timestamp(time) => write_fixed(tag::TIMESTAMP, time.as_nanos().to_le_bytes(), out),
        Value::Multi(values) => {
            out.push(tag::MULTI);
            write_len(values.len(), out);
            for (name, value) in values {
                write_text(name, out);
                write_value(value, out);
            }
        }
    }
}

fn write_fixed<const N: usize>(tag: u8, bytes: [u8; N], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&bytes);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_len(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn write_len(len: usize, out: &mut Vec<u8>) {
    // No length that fits in memory is larger than 64 bits.
    varint::write(u64::try_from(len).unwrap_or(u64::MAX), out);
}
