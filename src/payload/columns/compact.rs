//! Arrays without what none of their rows refers to: Arrow IPC would write it with every slice.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    BinaryViewType, ByteViewType, Int16Type, Int32Type, Int64Type, RunEndIndexType, StringViewType,
};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericByteViewArray, GenericListArray, GenericListViewArray,
    MapArray, OffsetSizeTrait, PrimitiveArray, RecordBatch, RecordBatchOptions, RunArray, StructArray,
    UnionArray, make_array,
};
use arrow_buffer::{ArrowNativeType, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{ArrowError, DataType, UnionMode};

use super::used::Used;

/// Whether arrays of this type may hold what none of their rows refers to.
pub(super) fn is_loose(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8View
        | DataType::BinaryView
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Union(_, UnionMode::Dense) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _)
        | DataType::RunEndEncoded(_, item) => is_loose(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| is_loose(field.data_type())),
        DataType::Union(fields, UnionMode::Sparse) => {
            fields.iter().any(|(_, field)| is_loose(field.data_type()))
        }
        DataType::Dictionary(_, values) => is_loose(values),
        _ => false,
    }
}

/// How much that no row refers to may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slack {
    /// Up to half of an array: what is not copied costs less.
    Half,
    /// Nothing.
    None,
}

impl Slack {
    /// A batch without what its rows do not refer to. The dictionaries stay whole.
    pub(super) fn compact(self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = batch.columns().iter().map(|column| self.array(column)).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(batch.schema(), columns, &options)
    }

    /// Whether an array of which so much is used can stay as it is. It may be used more than once.
    fn suffices(self, used: usize, there: usize) -> bool {
        match self {
            Self::Half => used >= there / 2,
            Self::None => used >= there,
        }
    }

    fn array(self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        if !is_loose(array.data_type()) {
            return Ok(Arc::clone(array));
        }
        Ok(match array.data_type() {
            DataType::Utf8View => self.views::<StringViewType>(array.as_byte_view()),
            DataType::BinaryView => self.views::<BinaryViewType>(array.as_byte_view()),
            DataType::Struct(_) => Arc::new(self.structs(array.as_struct())?),
            DataType::List(_) => self.lists::<i32>(array.as_list())?,
            DataType::LargeList(_) => self.lists::<i64>(array.as_list())?,
            DataType::Map(..) => self.maps(array.as_map())?,
            DataType::FixedSizeList(..) => self.fixed_size_lists(array.as_fixed_size_list())?,
            DataType::ListView(_) => self.list_views::<i32>(array.as_list_view())?,
            DataType::LargeListView(_) => self.list_views::<i64>(array.as_list_view())?,
            DataType::Union(..) => self.unions(array.as_union())?,
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                dictionary.with_values(self.array(dictionary.values())?)
            }
            DataType::RunEndEncoded(ends, _) => match ends.data_type() {
                DataType::Int16 => self.runs::<Int16Type>(array.as_run())?,
                DataType::Int32 => self.runs::<Int32Type>(array.as_run())?,
                _ => self.runs::<Int64Type>(array.as_run())?,
            },
            _ => Arc::clone(array),
        })
    }

    fn views<T: ByteViewType>(self, array: &GenericByteViewArray<T>) -> ArrayRef {
        let there = array.data_buffers().iter().map(Buffer::len).sum();
        let stays = self.suffices(array.total_buffer_bytes_used(), there);
        Arc::new(if stays { array.clone() } else { array.gc() })
    }

    fn structs(self, array: &StructArray) -> Result<StructArray, ArrowError> {
        let len = array.len();
        let (fields, columns, nulls) = array.clone().into_parts();
        let columns = columns.iter().map(|column| self.array(column)).collect::<Result<_, _>>()?;
        StructArray::try_new_with_length(fields, columns, nulls, len)
    }

    fn lists<O: OffsetSizeTrait>(self, array: &GenericListArray<O>) -> Result<ArrayRef, ArrowError> {
        let (field, offsets, values, nulls) = array.clone().into_parts();
        let (offsets, values) = window(&offsets, &values);
        Ok(Arc::new(GenericListArray::try_new(field, offsets, self.array(&values)?, nulls)?))
    }

    fn maps(self, array: &MapArray) -> Result<ArrayRef, ArrowError> {
        let (field, offsets, entries, nulls, ordered) = array.clone().into_parts();
        let entries: ArrayRef = Arc::new(entries);
        let (offsets, entries) = window(&offsets, &entries);
        let entries = self.structs(entries.as_struct())?;
        Ok(Arc::new(MapArray::try_new(field, offsets, entries, nulls, ordered)?))
    }

    fn fixed_size_lists(self, array: &FixedSizeListArray) -> Result<ArrayRef, ArrowError> {
        let len = array.len();
        let (field, size, values, nulls) = array.clone().into_parts();
        let values = self.array(&values)?;
        Ok(Arc::new(FixedSizeListArray::try_new_with_length(field, size, values, nulls, len)?))
    }

    fn list_views<O: OffsetSizeTrait>(self, array: &GenericListViewArray<O>) -> Result<ArrayRef, ArrowError> {
        let (field, offsets, sizes, values, nulls) = array.clone().into_parts();
        let windows = offsets.iter().zip(&sizes).map(|(first, len)| (first.as_usize(), len.as_usize()));
        let used = Used::of(windows);
        if self.suffices(used.len(), values.len()) {
            let values = self.array(&values)?;
            return Ok(Arc::new(GenericListViewArray::try_new(field, offsets, sizes, values, nulls)?));
        }
        let offsets: ScalarBuffer<O> = offsets
            .iter()
            .zip(&sizes)
            .map(|(first, len)| if len.as_usize() == 0 { O::usize_as(0) } else { used.place(*first) })
            .collect();
        let values = self.array(&used.take(&values)?)?;
        Ok(Arc::new(GenericListViewArray::try_new(field, offsets, sizes, values, nulls)?))
    }

    fn unions(self, array: &UnionArray) -> Result<ArrayRef, ArrowError> {
        let (fields, types, offsets, children) = array.clone().into_parts();
        let Some(offsets) = offsets else {
            let children = children.iter().map(|child| self.array(child)).collect::<Result<_, _>>()?;
            return Ok(Arc::new(UnionArray::try_new(fields, types, None, children)?));
        };
        let mut used = BTreeMap::new();
        let mut kept = Vec::with_capacity(children.len());
        for ((id, _), child) in fields.iter().zip(&children) {
            let rows = types.iter().zip(&offsets).filter(|(row_type, _)| **row_type == id);
            let child_used = Used::of(rows.map(|(_, offset)| (offset.as_usize(), 1)));
            if self.suffices(child_used.len(), child.len()) {
                kept.push(self.array(child)?);
            } else {
                kept.push(self.array(&child_used.take(child)?)?);
                used.insert(id, child_used);
            }
        }
        let place = |(id, offset): (&i8, &i32)| used.get(id).map_or(*offset, |used| used.place(*offset));
        let offsets = types.iter().zip(&offsets).map(place).collect();
        Ok(Arc::new(UnionArray::try_new(fields, types, Some(offsets), kept)?))
    }

    fn runs<R: RunEndIndexType>(self, array: &RunArray<R>) -> Result<ArrayRef, ArrowError> {
        if array.is_empty() {
            return Ok(Arc::new(array.clone()));
        }
        let ends = array.run_ends();
        let first = ends.get_start_physical_index();
        let values = array.values().slice(first, ends.get_end_physical_index() + 1 - first);
        let ends = PrimitiveArray::<R>::from_iter_values(ends.sliced_values());
        let children = vec![ends.into_data(), self.array(&values)?.to_data()];
        // Not by its parts: that would give its fields other names.
        let data = ArrayData::builder(array.data_type().clone()).len(array.len()).child_data(children);
        Ok(make_array(data.build()?))
    }
}

/// The values that lists refer to, and where they lie among those.
fn window<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, values: &ArrayRef) -> (OffsetBuffer<O>, ArrayRef) {
    let first = offsets.first().as_usize();
    let end = offsets.last().as_usize();
    (OffsetBuffer::from_lengths(offsets.lengths()), values.slice(first, end - first))
}
