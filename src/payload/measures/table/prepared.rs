//! A record on its way into the stream.

use crate::payload::measures::encoding::{Encoded, encode};
use crate::payload::measures::index::NameUse;
use crate::payload::measures::measure::{Measure, Value};
use crate::payload::measures::record::Dimension;
use crate::payload::partition_key::partition_key;
use crate::stream::partition_key::{PartitionKey, PartitionKeyError};

use super::window::Tier;

/// A record that is fit to be stored: everything that can be done before it is known what is stored.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) measure: Measure<'a>,
    pub(super) encoded: Encoded,
    pub(super) key: PartitionKey,
    pub(super) tier: Tier,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(measure: Measure<'a>, tier: Tier, key: PartitionKey) -> Self {
        Self { encoded: encode(&measure), measure, key, tier }
    }

    /// The names that the record uses in its table.
    pub(super) fn names(&self) -> impl Iterator<Item = (&'a str, NameUse)> {
        let dimensions = self.measure.dimensions.iter().map(|dimension| (dimension.name, NameUse::Dimension));
        let values: &[_] = match &self.measure.value {
            Value::Multi(values) => values,
            _ => &[],
        };
        let values = values.iter().map(|(name, _)| (*name, NameUse::Value));
        dimensions.chain([(self.measure.measure_name, NameUse::Measure)]).chain(values)
    }
}

/// The partition key of a set of dimensions, which are sorted: `host=a,region=eu`, with a backslash before commas, equals
/// signs and backslashes. So a series stays in one shard, in order.
pub(super) fn key_of(dimensions: &[Dimension<'_>]) -> Result<PartitionKey, PartitionKeyError> {
    let mut text = String::with_capacity(64);
    for (place, dimension) in dimensions.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        escape(dimension.name, &mut text);
        text.push('=');
        escape(dimension.value, &mut text);
    }
    PartitionKey::new(&partition_key(text.as_bytes()))
}

fn escape(part: &str, out: &mut String) {
    for character in part.chars() {
        if matches!(character, ',' | '=' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
}
