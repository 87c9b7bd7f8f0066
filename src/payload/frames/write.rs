//! Frames into a table.

use arrow_array::RecordBatch;

use crate::payload::columns::{PutBatch, PutBatchError};

use super::frame::{Frame, FrameError, check_names};
use super::table::TableError;
use super::{Client, original};

/// What can be written as a frame: a [`Frame`], or a record batch as one without an index.
pub trait AsFrame {
    /// All rows, with all columns, those of the index among them.
    fn rows(&self) -> &RecordBatch;
}

impl AsFrame for RecordBatch {
    fn rows(&self) -> &RecordBatch {
        self
    }
}

impl AsFrame for Frame {
    fn rows(&self) -> &RecordBatch {
        self.rows()
    }
}

impl<F: AsFrame> AsFrame for &F {
    fn rows(&self) -> &RecordBatch {
        (**self).rows()
    }
}

/// What [`Client::write`] takes: one frame, a list of frames, or an iterator of frames.
pub trait IntoFrames<Kind> {
    /// A frame.
    type Frame: AsFrame;

    /// The frames, in order.
    fn into_frames(self) -> impl Iterator<Item = Self::Frame>;
}

/// Marks what is one frame.
#[derive(Debug)]
pub struct One;

/// Marks what has frames.
#[derive(Debug)]
pub struct Many;

impl<F: AsFrame> IntoFrames<One> for F {
    type Frame = F;

    fn into_frames(self) -> impl Iterator<Item = F> {
        std::iter::once(self)
    }
}

impl<I: IntoIterator<Item: AsFrame>> IntoFrames<Many> for I {
    type Frame = I::Item;

    fn into_frames(self) -> impl Iterator<Item = I::Item> {
        self.into_iter()
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Written {
    /// Where the rows of each frame went, in the order of the frames.
    pub frames: Vec<PutBatch>,
    /// The rows of all frames.
    pub rows: u64,
}

impl Written {
    fn add(&mut self, put: PutBatch) {
        self.rows += put.rows;
        self.frames.push(put);
    }
}

/// Why frames were not written, or not all.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriteFramesError {
    /// There is no such table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A frame cannot be written as it is.
    #[error("frame {} cannot be written: {source}; the {} rows of those before it were", written.frames.len(), written.rows)]
    Frame {
        /// Why.
        source: FrameError,
        /// What was written before: the frames up to this one.
        written: Box<Written>,
    },
    /// A frame was not put, or not all of it.
    #[error("frame {frame} was not written: {source}; {} rows of all frames were", written.rows)]
    Put {
        /// The frame's place among those given, from 0.
        frame: usize,
        /// Why.
        source: Box<PutBatchError>,
        /// What was written: the frames before, and what was put of this one as the last, if anything was.
        written: Box<Written>,
    },
}

impl WriteFramesError {
    /// What was written before the error.
    pub fn written(&self) -> Option<&Written> {
        match self {
            Self::Table(_) => None,
            Self::Frame { written, .. } | Self::Put { written, .. } => Some(written),
        }
    }
}

impl Client {
    /// Writes the rows of one frame, of a list of them or of an iterator, one record of the stream for each `max_rows_in_msg`
    /// rows of a frame; 0 for as many as a record can have. Each row takes one sequence number.
    ///
    /// The rows of a frame go into one shard, in order; the frames go to the open shards in turn. Index columns are columns
    /// like any other. Columns keep their types and their nulls, unless [`Client::original_types`] asks for what the original
    /// makes of them. Frames of one table may have different columns.
    ///
    /// # Errors
    ///
    /// [`WriteFramesError`] at the first frame that cannot be written; it says what was written before.
    pub fn write<Kind>(
        &self,
        table: &str,
        dfs: impl IntoFrames<Kind>,
        max_rows_in_msg: usize,
    ) -> Result<Written, WriteFramesError> {
        let stream = self.stream(table)?;
        let columns = self.columns(&stream);
        let mut written = Written::default();
        for df in dfs.into_frames() {
            let rows = match self.prepare(df.rows()) {
                Ok(rows) => rows,
                Err(source) => return Err(WriteFramesError::Frame { source, written: written.into() }),
            };
            let columns = match self.hash_key_in_turn(&stream) {
                Some(hash_key) => columns.clone().explicit_hash_key(hash_key),
                None => columns.clone(),
            };
            match columns.put_batches(super::NO_KEY, [rows], max_rows_in_msg) {
                Ok(put) => written.add(put),
                Err(source) => {
                    let frame = written.frames.len();
                    if source.put().rows > 0 {
                        written.add(source.put());
                    }
                    return Err(WriteFramesError::Put {
                        frame,
                        source: source.into(),
                        written: written.into(),
                    });
                }
            }
        }
        Ok(written)
    }

    fn prepare(&self, rows: &RecordBatch) -> Result<RecordBatch, FrameError> {
        check_names(rows.schema_ref())?;
        if self.original_types { original::without_nulls(rows) } else { Ok(rows.clone()) }
    }
}
