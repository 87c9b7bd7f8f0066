//! The consumers of a stream that another process writes: which there are, and how far they have come.

use crate::consumer::file::{self, Progress};
use crate::consumer::lag::{self, ShardLag};

use super::consumers::{ConsumerError, names_in};
use super::read_only_stream::ReadOnlyStream;
use super::{layout, name};

/// Consumers belong to the writing process, which alone polls, checkpoints and resets them.
impl ReadOnlyStream {
    /// The names of the stream's consumers, sorted.
    ///
    /// # Errors
    ///
    /// [`ConsumerError::Io`] when the operating system does not show them, [`ConsumerError::Stream`] when the stream has been
    /// deleted or its manifest cannot be read.
    pub fn list_consumers(&self) -> Result<Vec<String>, ConsumerError> {
        self.refresh()?;
        Ok(names_in(&*self.followed().context().storage, &layout::consumers(self.followed().path()))?)
    }

    /// How far a consumer is behind in each shard that it has not finished, by the checkpoints that it has made so far.
    /// [`ShardLag::held`] is not known here.
    ///
    /// # Errors
    ///
    /// [`ConsumerError`].
    pub fn consumer_lag(&self, name: &str) -> Result<Vec<ShardLag>, ConsumerError> {
        name::check(name)?;
        let shards = self.refresh()?;
        let path = layout::consumer(&layout::consumers(self.followed().path()), name);
        let contents = file::load(&*self.followed().context().storage, &path)
            .map_err(|error| ConsumerError::of_opening(name, path, error))?;
        for shard in shards.all() {
            shard.log.catch_up()?;
        }
        Ok(lag::of(&shards, &Progress::from(&contents), |_| false))
    }
}
