//! Waiting for the disk without blocking a thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::SyncError;
use crate::log::durability::Durability;
use crate::log::shard_log::ShardLog;

use super::core::StreamCore;
use super::error::PutError;
use super::put::{Put, PutRecord};

/// Resolves once everything before `target` is durable.
struct Durable {
    log: Arc<ShardLog>,
    target: u64,
}

impl Durable {
    /// Has it made durable in the background.
    fn new(log: &Arc<ShardLog>, target: u64) -> Self {
        log.sync_later(target);
        Self { log: Arc::clone(log), target }
    }
}

impl Future for Durable {
    type Output = Result<(), SyncError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.log.poll_durable(self.target, context.waker())
    }
}

impl StreamCore {
    /// As [`put_record`](Self::put_record), awaiting the disk.
    pub(crate) async fn put_record_async(&self, record: &PutRecord<'_>) -> Result<Put, PutError> {
        let durability = record.durability.unwrap_or(self.durability);
        // Appending is copying to memory.
        let put = self.put_record(&record.durability(match durability {
            Durability::Immediate => Durability::Buffered,
            other => other,
        }))?;
        if durability == Durability::Immediate {
            let target = put.sequence_number.counter().saturating_add(1);
            let log = self.shards.look().by_id(put.shard_id).map(|shard| Arc::clone(&shard.log));
            // A shard that retention has taken meanwhile was durable.
            if let Some(log) = log {
                log.sync_follows();
                Durable::new(&log, target).await?;
            }
        }
        Ok(put)
    }

    /// As [`sync`](Self::sync), awaiting the disk.
    pub(crate) async fn sync_async(&self) -> Result<(), SyncError> {
        let waiting: Vec<_> = self.logs().iter().map(|log| Durable::new(log, log.tip().0)).collect();
        let mut outcome = Ok(());
        for durable in waiting {
            outcome = outcome.and(durable.await);
        }
        outcome
    }
}
