//! How a worker is told that there is something to do.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::stream::shard_id::ShardId;

/// Where a worker sleeps.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    news: Mutex<News>,
    changed: Condvar,
}

/// What a worker has been told since it last looked.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Shards that may have something to read.
    pub(crate) ready: Vec<ShardId>,
    /// The worker's leases have changed, or the consumer was closed.
    pub(crate) leases: bool,
}

impl News {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && !self.leases
    }
}

impl Signal {
    /// Tells of leases.
    pub(crate) fn leases_changed(&self) {
        self.news.lock().leases = true;
        self.changed.notify_all();
    }

    /// What there is to be told, without waiting.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut *self.news.lock())
    }

    /// Whether there is something to be told.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.lock().is_empty()
    }

    /// Sleeps until there is something to be told, or the deadline has passed.
    pub(crate) fn wait(&self, deadline: Option<Instant>) {
        let mut news = self.news.lock();
        while news.is_empty() {
            match deadline {
                None => self.changed.wait(&mut news),
                Some(deadline) => {
                    if self.changed.wait_until(&mut news, deadline).timed_out() {
                        return;
                    }
                }
            }
        }
    }

    /// Wakes the worker with word of one shard.
    pub(crate) fn waker(self: &Arc<Self>, shard_id: ShardId) -> Waker {
        Waker::from(Arc::new(ShardWaker { signal: Arc::clone(self), shard_id }))
    }
}

struct ShardWaker {
    signal: Arc<Signal>,
    shard_id: ShardId,
}

impl Wake for ShardWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.signal.news.lock().ready.push(self.shard_id);
        self.signal.changed.notify_all();
    }
}
