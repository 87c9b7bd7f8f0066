//! What can go wrong while consuming.

use crate::error::IoError;
use crate::stream::error::ReadError;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;

use super::checkpoint::Checkpoint;

/// Why a checkpoint was not made, or not in all shards.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Shards of which this worker has polled records are not its own any more: another worker has them, the consumer was
    /// reset, or it has ended there. Those records are polled again by whoever has the shard now. What the worker still
    /// has is checkpointed.
    #[error(
        "this worker has lost the lease of {}: drop what it has not processed of that, another worker gets it",
        shard_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    LeaseLost {
        /// The shards.
        shard_ids: Vec<ShardId>,
    },
    /// The record was not polled by this worker.
    #[error("record {number} has not been polled by this worker: checkpoint records that poll has returned")]
    NotPolled {
        /// The number given.
        number: SequenceNumber,
    },
    /// The shard's checkpoint is ahead of that already, and only a reset takes it back.
    #[error(
        "record {number} is behind the checkpoint, which is {present}: use Stream::reset_consumer to go back"
    )]
    Backwards {
        /// The number given.
        number: SequenceNumber,
        /// The shard's checkpoint.
        present: Checkpoint,
    },
    /// The store was closed, or the stream deleted. The checkpoint before holds, or this one where it was being made
    /// meanwhile.
    #[error("the consumer is closed: its store was closed or its stream deleted; open it again")]
    Closed,
    /// The operating system refused something, as when the disk is full. The checkpoint before holds, or this one:
    /// checkpointing again is safe.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why a poll returned no records.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PollError {
    /// Retention has removed records that the consumer has not read. Told once; polling again goes on with the oldest
    /// record that is kept.
    #[error(
        "retention has overtaken the consumer in {shard_id}: up to {skipped} records from {from} on are gone; poll again \
         to go on with {oldest}, and keep records for longer"
    )]
    Trimmed {
        /// The shard.
        shard_id: ShardId,
        /// The first number that is gone.
        from: SequenceNumber,
        /// No record with a number below this one is kept.
        oldest: SequenceNumber,
        /// How many numbers there are in between. Some of them may never have been given to a record, when the store
        /// had been killed in between.
        skipped: u64,
    },
    /// Retention has removed all of a shard that had been split or merged, before the consumer came to it. Told once; polling
    /// again goes on with its children.
    #[error(
        "retention has removed all of {shard_id}, in which the consumer was {checkpoint}: poll again to go on with its \
         children, and keep records for longer"
    )]
    ShardGone {
        /// The shard.
        shard_id: ShardId,
        /// How far the consumer had come in it.
        checkpoint: Checkpoint,
    },
    /// The checkpoint is behind the shard's last record: the store's files are older than the consumer's, as after restoring
    /// some of them from a copy. Told once; the checkpoint is set to the shard's end, and polling again goes on with
    /// what is put from now on.
    #[error(
        "the consumer's checkpoint in {shard_id} is {checkpoint}, but the shard has no record from {next} on: were the \
         stream's files restored from an older copy? Poll again to go on at the shard's end, or reset the consumer"
    )]
    Ahead {
        /// The shard.
        shard_id: ShardId,
        /// The checkpoint that was found.
        checkpoint: Checkpoint,
        /// The number that the shard's next record will get.
        next: SequenceNumber,
    },
    /// A shard cannot be read. The others are: this is told again by every poll that finds nothing else, for as long as it
    /// lasts.
    #[error("{shard_id} cannot be read: {error}")]
    Read {
        /// The shard.
        shard_id: ShardId,
        /// Why. Behind damage, [`Consumer::skip_damage`](crate::Consumer::skip_damage) goes on.
        error: ReadError,
    },
    /// A shard was read to its end, which could not be noted. The next poll tries again.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The store was closed, or the stream deleted.
    #[error("the consumer is closed: its store was closed or its stream deleted; open it again")]
    Closed,
}
