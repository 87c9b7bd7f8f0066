//! Retention, applied now and again and again.

use std::sync::Arc;

use crate::events;
use crate::stream::core::StreamCore;
use crate::stream::retention::RetainError;

use super::error::StreamError;
use super::shared::Shared;

/// Why retention could not do all of its work. It tries again later.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum UpkeepError {
    #[error(transparent)]
    Retain(#[from] RetainError),
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Removes what a stream's retention does not keep.
pub(crate) fn retain(shared: &Shared, core: &Arc<StreamCore>) -> Result<(), UpkeepError> {
    let retained = core.retain();
    if !retained.expired.is_empty() {
        shared.drop_shards(core, &retained.expired)?;
    }
    Ok(retained.outcome?)
}

/// Applies a stream's retention in the background from now on, until it is changed.
pub(crate) fn schedule(shared: &Arc<Shared>, core: &Arc<StreamCore>) {
    let (retention, changes) = core.retention_in_force();
    let Some(interval) = retention.interval() else {
        return;
    };
    let (weak_shared, weak_core) = (Arc::downgrade(shared), Arc::downgrade(core));
    core.context.background.schedule(interval, move || {
        let (Some(shared), Some(core)) = (weak_shared.upgrade(), weak_core.upgrade()) else {
            return;
        };
        if core.retention_in_force().1 == changes {
            // What could not be done now is tried again; a failed sync has poisoned its shard.
            if let Err(error) = retain(&shared, &core) {
                events::upkeep_failed(&core.name, &error);
            }
            schedule(&shared, &core);
        }
    });
}
