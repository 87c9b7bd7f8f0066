//! What `tail` and `export` read from: one shard, or all of them merged.

use std::time::Duration;

use riverbed::{
    MergedReader, Position, ReadError, ReadOnlyStream, Reader, ReaderOptions, Record, ShardFilter, ShardId,
};

use crate::error::CliError;
use crate::values::From;

/// One shard, or all of them.
pub(crate) enum Source {
    One(Reader),
    All(MergedReader),
}

/// The position to start at, and the shard to read if it is only one.
pub(crate) fn position(
    stream: &ReadOnlyStream,
    from: From,
    shard: Option<ShardId>,
) -> Result<(Position, Option<ShardId>), CliError> {
    let (position, of_shard) = from.position();
    match (shard, of_shard) {
        (Some(shard), _) => Ok((position, Some(shard))),
        (None, Some(shard)) if stream.list_shards(ShardFilter::All)?.len() > 1 => {
            Err(CliError::usage(format!(
                "that sequence number is a position in {shard} alone: add --shard {}, or give a time",
                shard.as_u32()
            )))
        }
        (None, of_shard) => Ok((position, of_shard)),
    }
}

impl Source {
    pub(crate) fn new(stream: &ReadOnlyStream, from: From, shard: Option<ShardId>) -> Result<Self, CliError> {
        Ok(match position(stream, from, shard)? {
            (position, Some(shard)) => Self::One(stream.reader(shard, position)?),
            (position, None) => Self::All(stream.merged_reader(position, ReaderOptions::new())?),
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        match self {
            Self::One(reader) => reader.next(),
            Self::All(reader) => reader.next(),
        }
    }

    pub(crate) fn skip_damage(&mut self) -> Result<(), ReadError> {
        match self {
            Self::One(reader) => reader.skip_damage(),
            Self::All(reader) => reader.skip_damage(),
        }
    }

    /// Waits for more, at most this long; returns whether there is some.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<bool, ReadError> {
        match self {
            Self::One(reader) => reader.wait(timeout),
            Self::All(reader) => reader.wait(timeout),
        }
    }

    /// Whether there will never be more.
    pub(crate) fn is_at_end(&self) -> bool {
        match self {
            Self::One(reader) => reader.is_at_end(),
            Self::All(_) => false,
        }
    }
}
