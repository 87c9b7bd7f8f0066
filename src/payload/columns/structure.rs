//! What Arrow takes for granted of messages even when it validates them, and what we therefore check before.

use std::slice::Iter;
use std::sync::Arc;

use arrow_ipc::{Buffer, FieldNode, MetadataVersion, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema, UnionMode};

/// Whether arrays of this schema can be made at all.
pub(super) fn check_schema(schema: &Schema) -> Result<(), String> {
    schema.fields().iter().try_for_each(|field| check_field(field, true))
}

/// `filled`: it has a value for each row, as it lies in nothing but structs.
fn check_field(field: &Field, filled: bool) -> Result<(), String> {
    let bad = |what: &str| Err(format!("field '{}' is {}: {what}", field.name(), field.data_type()));
    match field.data_type() {
        DataType::FixedSizeBinary(size) if *size < 0 => bad("a size below zero"),
        DataType::FixedSizeList(_, size) if *size < 0 => bad("a size below zero"),
        DataType::FixedSizeList(item, _)
        | DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => check_field(item, false),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => check_field(entries, false),
            _ => bad("its entries are no pairs"),
        },
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check_field(field, filled)),
        DataType::Union(fields, _) => fields.iter().try_for_each(|(_, field)| check_field(field, false)),
        DataType::RunEndEncoded(ends, values) => match ends.data_type() {
            // Arrow 60 counts the buffers of views in an empty slice of runs and then leaves them out.
            _ if !filled && has_views(values) => {
                bad("runs of views are supported as columns and in structs alone")
            }
            DataType::Int16 | DataType::Int32 | DataType::Int64 => check_field(values, filled),
            _ => bad("its runs end at no integers"),
        },
        DataType::Dictionary(key, values) => {
            if !key.is_dictionary_key_type() {
                return bad("its keys are no integers");
            }
            check_field(&Field::new(field.name(), (**values).clone(), true), false)
        }
        _ => Ok(()),
    }
}

fn has_views(field: &FieldRef) -> bool {
    let schema = Schema::new(vec![Arc::clone(field)]);
    schema
        .flattened_fields()
        .iter()
        .any(|field| matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView))
}

/// Checks the rows of one message: that every buffer lies in the body, that lengths are lengths, and that there are as many of
/// both as the fields need.
pub(super) fn check_rows<'f>(
    batch: &RecordBatch<'_>,
    version: MetadataVersion,
    body: &[u8],
    fields: impl Iterator<Item = &'f DataType>,
) -> Option<()> {
    let nodes: Vec<_> = batch.nodes()?.iter().copied().collect();
    let buffers: Vec<_> = batch.buffers()?.iter().copied().collect();
    let variadic: Vec<_> =
        batch.variadicBufferCounts().map(|counts| counts.iter().collect()).unwrap_or_default();
    let mut walk = Walk {
        nodes: nodes.iter(),
        buffers: buffers.iter(),
        variadic: variadic.iter(),
        version,
        body,
        compressed: batch.compression().is_some(),
    };
    length(batch.length())?;
    for kind in fields {
        walk.take(kind)?;
    }
    (walk.nodes.len() == 0 && walk.buffers.len() == 0 && walk.variadic.len() == 0).then_some(())
}

/// A length or an offset as Arrow has them here: none is longer than a message.
fn length(value: i64) -> Option<usize> {
    usize::try_from(value).ok().filter(|&length| length <= u32::MAX as usize)
}

/// Goes through the fields as Arrow does, taking what each needs.
struct Walk<'a> {
    nodes: Iter<'a, FieldNode>,
    buffers: Iter<'a, Buffer>,
    variadic: Iter<'a, i64>,
    version: MetadataVersion,
    body: &'a [u8],
    compressed: bool,
}

impl Walk<'_> {
    /// Takes a node; its number of rows.
    fn node(&mut self) -> Option<usize> {
        let node = self.nodes.next()?;
        let nulls = length(node.null_count())?;
        length(node.length()).filter(|&rows| nulls <= rows)
    }

    /// Takes a buffer; where it begins, and how long it is, decompressed.
    fn buffer(&mut self) -> Option<(usize, usize)> {
        let buffer = self.buffers.next()?;
        let (start, len) = (length(buffer.offset())?, length(buffer.length())?);
        let bytes = self.body.get(start..start.checked_add(len)?)?;
        if !self.compressed || bytes.is_empty() {
            return Some((start, len));
        }
        // Before the bytes stands how many there are decompressed; -1 where they are not compressed.
        let (decompressed, rest) = bytes.split_first_chunk()?;
        match i64::from_le_bytes(*decompressed) {
            -1 => Some((start, rest.len())),
            decompressed => Some((0, length(decompressed)?)),
        }
    }

    /// Takes a buffer of values of `width` bytes each, and no part of one; how many.
    fn values(&mut self, width: usize) -> Option<usize> {
        let (start, len) = self.buffer()?;
        (len.is_multiple_of(width) && start.is_multiple_of(width.min(8))).then_some(len / width)
    }

    fn take(&mut self, kind: &DataType) -> Option<()> {
        match kind {
            DataType::Null => {
                self.node()?;
            }
            DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 | DataType::LargeBinary => {
                let large = matches!(kind, DataType::LargeUtf8 | DataType::LargeBinary);
                self.node()?;
                self.take_buffers(1)?;
                self.values(if large { 8 } else { 4 })?;
                self.take_buffers(1)?;
            }
            DataType::Utf8View | DataType::BinaryView => {
                self.node()?;
                let data = length(*self.variadic.next()?)?;
                self.take_buffers(1)?;
                self.values(16)?;
                self.take_buffers(data)?;
            }
            DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
                self.node()?;
                self.take_buffers(1)?;
                self.values(if matches!(kind, DataType::LargeList(_)) { 8 } else { 4 })?;
                self.take(item.data_type())?;
            }
            DataType::ListView(item) | DataType::LargeListView(item) => {
                let width = if matches!(kind, DataType::LargeListView(_)) { 8 } else { 4 };
                self.node()?;
                self.take_buffers(1)?;
                self.values(width)?;
                self.values(width)?;
                self.take(item.data_type())?;
            }
            DataType::Dictionary(keys, _) => {
                self.node()?;
                self.take_buffers(1)?;
                self.values(keys.primitive_width()?)?;
            }
            DataType::FixedSizeList(item, size) => {
                let rows = self.node()?;
                length(i64::try_from(rows).ok()?.checked_mul(i64::from(*size))?)?;
                self.take_buffers(1)?;
                self.take(item.data_type())?;
            }
            DataType::Struct(fields) => {
                self.node()?;
                self.take_buffers(1)?;
                for field in fields {
                    self.take(field.data_type())?;
                }
            }
            DataType::RunEndEncoded(ends, values) => {
                self.node()?;
                self.take(ends.data_type())?;
                self.take(values.data_type())?;
            }
            DataType::Union(fields, mode) => {
                let rows = self.node()?;
                if self.version < MetadataVersion::V5 {
                    self.take_buffers(1)?;
                }
                let types = self.values(1)?;
                let offsets = if *mode == UnionMode::Dense { self.values(4)? } else { rows };
                (types >= rows && offsets >= rows).then_some(())?;
                for (_, field) in fields.iter() {
                    self.take(field.data_type())?;
                }
            }
            _ => {
                self.node()?;
                self.take_buffers(1)?;
                self.values(kind.primitive_width().unwrap_or(1))?;
            }
        }
        Some(())
    }

    fn take_buffers(&mut self, count: usize) -> Option<()> {
        (count <= self.buffers.len()).then_some(())?;
        for _ in 0..count {
            self.buffer()?;
        }
        Some(())
    }
}
