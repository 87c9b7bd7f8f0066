//! Records as an asynchronous stream.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::log::watchers::Watch;

use super::error::ReadError;
use super::merged::MergedReader;
use super::reader::Reader;
use super::record::OwnedRecord;

/// A reader that can be told of more.
trait Source {
    fn next(&mut self) -> Result<Option<OwnedRecord>, ReadError>;
    fn watch(&mut self, waker: &Waker) -> Result<Watch, ReadError>;
    fn unwatch(&self, waker: &Waker);
}

impl Source for Reader {
    fn next(&mut self) -> Result<Option<OwnedRecord>, ReadError> {
        Ok(self.next()?.map(|record| record.to_owned()))
    }

    fn watch(&mut self, waker: &Waker) -> Result<Watch, ReadError> {
        self.watch(waker)
    }

    fn unwatch(&self, waker: &Waker) {
        self.unwatch(waker);
    }
}

impl Source for MergedReader {
    fn next(&mut self) -> Result<Option<OwnedRecord>, ReadError> {
        Ok(self.next()?.map(|record| record.to_owned()))
    }

    fn watch(&mut self, waker: &Waker) -> Result<Watch, ReadError> {
        self.watch(waker)
    }

    fn unwatch(&self, waker: &Waker) {
        self.unwatch(waker);
    }
}

/// What a reader reads, as a [`futures_core::Stream`] that any executor can poll: it waits for more where there is none.
///
/// It ends when there will never be more: at the end of a shard that was split or merged, or when the store is closed. An
/// error does not end it; what comes next is what [`Reader::next`] would give after that error, so that after
/// [`ReadError::Corrupt`] the same comes again and again.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// # let clicks = store.create_stream("clicks", riverbed::StreamOptions::new())?;
/// use futures_util::TryStreamExt as _;
/// use riverbed::{Position, ReaderOptions};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// clicks.put("user-42", "hello")?;
/// let mut records = clicks.merged_reader(Position::TrimHorizon, ReaderOptions::new())?.into_records();
/// let first = records.try_next().await?;
/// assert_eq!(first.map(|record| record.into_data()), Some("hello".into()));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Records<R> {
    reader: R,
    /// Who is told of more, if anybody is.
    waker: Option<Waker>,
    /// Takes the waker back, when this is dropped.
    unwatch: fn(&R, &Waker),
}

impl Reader {
    /// The records from here on, to be awaited.
    pub fn into_records(self) -> Records<Self> {
        records(self)
    }
}

impl MergedReader {
    /// The records from here on, to be awaited.
    pub fn into_records(self) -> Records<Self> {
        records(self)
    }
}

fn records<R: Source>(reader: R) -> Records<R> {
    Records { reader, waker: None, unwatch: R::unwatch }
}

fn poll<R: Source>(records: &mut Records<R>, waker: &Waker) -> Poll<Option<Result<OwnedRecord, ReadError>>> {
    loop {
        match records.reader.next() {
            Ok(None) => {}
            outcome => return Poll::Ready(outcome.transpose()),
        }
        if records.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            records.forget_waker();
            records.waker = Some(waker.clone());
        }
        match records.reader.watch(waker) {
            Ok(Watch::Ready) => {}
            Ok(Watch::Watching) => return Poll::Pending,
            Ok(Watch::Over) => return Poll::Ready(None),
            Err(error) => return Poll::Ready(Some(Err(error))),
        }
    }
}

impl<R> Records<R> {
    fn forget_waker(&mut self) {
        if let Some(waker) = self.waker.take() {
            (self.unwatch)(&self.reader, &waker);
        }
    }
}

impl<R> Drop for Records<R> {
    fn drop(&mut self) {
        self.forget_waker();
    }
}

impl futures_core::Stream for Records<Reader> {
    type Item = Result<OwnedRecord, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        poll(&mut self, context.waker())
    }
}

impl futures_core::Stream for Records<MergedReader> {
    type Item = Result<OwnedRecord, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        poll(&mut self, context.waker())
    }
}
