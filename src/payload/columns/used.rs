//! Which elements of an array are referred to.

use arrow_array::{Array, ArrayRef, make_array};
use arrow_buffer::ArrowNativeType;
use arrow_data::transform::MutableArrayData;
use arrow_schema::ArrowError;

/// The elements of an array that are referred to.
#[derive(Debug)]
pub(super) struct Used {
    /// In order, with a gap between each two.
    spans: Vec<Span>,
}

/// Elements without a gap.
#[derive(Debug)]
struct Span {
    first: usize,
    end: usize,
    /// Where the first of them is once the elements that are not referred to are gone.
    place: usize,
}

impl Span {
    fn len(&self) -> usize {
        self.end - self.first
    }
}

impl Used {
    /// The elements of these windows, each with its first element and its length. They may overlap.
    pub(super) fn of(windows: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut windows: Vec<_> = windows.filter(|(_, len)| *len > 0).collect();
        windows.sort_unstable();
        let mut spans: Vec<Span> = Vec::new();
        for (first, len) in windows {
            let end = first + len;
            match spans.last_mut() {
                Some(last) if first <= last.end => last.end = last.end.max(end),
                last => {
                    let place = last.map_or(0, |last| last.place + last.len());
                    spans.push(Span { first, end, place });
                }
            }
        }
        Self { spans }
    }

    /// How many elements.
    pub(super) fn len(&self) -> usize {
        self.spans.last().map_or(0, |last| last.place + last.len())
    }

    /// Where the element at `index` is in what [`take`](Self::take) gives. It is one that is referred to.
    pub(super) fn place<N: ArrowNativeType>(&self, index: N) -> N {
        let index = index.as_usize();
        let behind = self.spans.partition_point(|span| span.first <= index);
        let span = behind.checked_sub(1).and_then(|before| self.spans.get(before));
        N::usize_as(span.map_or(0, |span| span.place + (index - span.first)))
    }

    /// These elements of `array` alone.
    pub(super) fn take(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        match &*self.spans {
            [] => Ok(array.slice(0, 0)),
            [span] => Ok(array.slice(span.first, span.len())),
            spans => {
                let data = array.to_data();
                let mut taken = MutableArrayData::try_new(vec![&data], false, self.len())?;
                for span in spans {
                    taken.try_extend(0, span.first, span.end)?;
                }
                Ok(make_array(taken.freeze()))
            }
        }
    }
}
