//! The consumers of a store that are open.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::IoError;

use super::group::Group;

/// Consumers by the names of their streams and their own.
pub(crate) type Groups = BTreeMap<(String, String), Arc<Group>>;

/// The consumers that have been opened since the store was.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) groups: Mutex<Groups>,
}

impl Registry {
    /// Makes the last checkpoints durable, and ends polling.
    pub(crate) fn close(&self) -> Result<(), IoError> {
        let groups: Vec<_> = self.groups.lock().values().map(Arc::clone).collect();
        groups.iter().map(|group| group.close()).fold(Ok(()), Result::and)
    }

    /// The stream is being deleted: its consumers go with it.
    pub(crate) fn abandon(&self, stream: &str) {
        self.groups.lock().retain(|(of, _), group| {
            if of == stream {
                group.abandon();
            }
            of != stream
        });
    }
}
