//! Measures as bytes in a stream. `docs/measures.md` draws them.

mod decode;
mod encode;
mod measure_ref;
mod varint;

pub use decode::DecodeMeasureError;
pub(crate) use encode::{Encoded, Head, encode, series_bytes};
pub(crate) use measure_ref::Layout;
pub use measure_ref::{Dimensions, MeasureRef, ValueRef, Values};

/// For fuzzing: what can be decoded is encoded as the same bytes.
#[cfg(any(test, fuzzing, feature = "internals"))]
pub(crate) fn check_one_form(bytes: &[u8]) {
    if let Ok(found) = MeasureRef::decode(bytes) {
        let measure = crate::payload::measures::Measure {
            dimensions: found.dimensions().collect(),
            measure_name: found.measure_name(),
            time: found.time(),
            version: found.version(),
            value: found.value().to_value(),
        };
        let head = Head { time: measure.time, version: measure.version, previous: found.previous() };
        let mut again = Vec::new();
        encode(&measure).write(&head, &mut again);
        assert_eq!(again, bytes);
        assert_eq!(encode(&measure).series(), found.series_bytes());
    }
}

/// The first byte of every record.
const FORMAT: u8 = 1;

/// The byte before a value that says its type.
mod tag {
    pub(super) const DOUBLE: u8 = 0;
    pub(super) const BIGINT: u8 = 1;
    pub(super) const VARCHAR: u8 = 2;
    pub(super) const BOOLEAN: u8 = 3;
    pub(super) const TIMESTAMP: u8 = 4;
    pub(super) const MULTI: u8 = 5;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::measures::{Dimension, Measure, Value};
    use crate::stream::sequence_number::SequenceNumber;
    use crate::stream::shard_id::ShardId;
    use crate::sys::clock::Timestamp;

    /// Guards the one form of every measure, which comparing values as bytes relies on: every record that differs from a good
    /// one in a byte is refused, or is the one form of another measure.
    #[test]
    fn every_measure_has_one_form() {
        let dimensions = ["host", "region"].map(|name| Dimension { name, value: "x" }).to_vec();
        let values = vec![
            ("a", Value::Double(0.5)),
            ("b", Value::BigInt(-1)),
            ("c", Value::Varchar("text")),
            ("d", Value::Boolean(true)),
            ("e", Value::Timestamp(Timestamp::from_nanos(1))),
        ];
        let measure = Measure {
            dimensions,
            measure_name: "m",
            time: Timestamp::from_nanos(3),
            version: 300,
            value: Value::Multi(values),
        };
        let head = Head {
            time: measure.time,
            version: measure.version,
            previous: Some(SequenceNumber::new(1 << 40, ShardId::new(3))),
        };
        let mut bytes = Vec::new();
        encode(&measure).write(&head, &mut bytes);
        let mut good = 0;
        for place in 0..bytes.len() {
            for byte in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[place] = byte;
                good += usize::from(MeasureRef::decode(&changed).is_ok());
                check_one_form(&changed);
            }
        }
        // Most bytes are of numbers and texts; not all of them make a measure.
        assert!((bytes.len()..bytes.len() * 256).contains(&good), "{good} of {}", bytes.len() * 256);
    }
}
