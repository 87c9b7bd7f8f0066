//! What a table takes.

use std::time::Duration;

use crate::log::durability::Durability;
use crate::payload::measures::quotas::Quotas;

use super::window::Window;

const HOUR: Duration = Duration::from_secs(3600);

/// What a table takes, and how. Not stored: give it at every opening.
///
/// ```
/// use riverbed::measures::{Quotas, TableOptions};
/// use std::time::Duration;
///
/// let day = Duration::from_secs(24 * 3600);
/// let options = TableOptions::new().memory_store(day).magnetic_store(30 * day).quotas(Quotas::Off);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct TableOptions {
    pub(crate) quotas: Quotas,
    pub(crate) window: Window,
    pub(crate) any_time: bool,
    pub(crate) durability: Option<Durability>,
    pub(crate) pending_limit: usize,
    pub(crate) index_cache: usize,
}

impl Default for TableOptions {
    fn default() -> Self {
        let window = Window {
            memory_store: 6 * HOUR,
            magnetic_store: None,
            past_slack: Duration::from_secs(25 * 60),
            future_slack: Duration::from_secs(15 * 60),
        };
        Self {
            quotas: Quotas::Service,
            window,
            any_time: false,
            durability: None,
            pending_limit: 65_536,
            index_cache: 32 * 1024 * 1024,
        }
    }
}

impl TableOptions {
    /// As a new table of the service: its quotas, a memory store of 6 hours, no writes to the magnetic store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the service's quotas hold.
    #[must_use]
    pub fn quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas;
        self
    }

    /// How old a record may be. The service has 1 to 8,766 hours.
    #[must_use]
    pub fn memory_store(mut self, retention: Duration) -> Self {
        self.window.memory_store = retention;
        self
    }

    /// Takes records that are older than the memory store's, by up to this much: the service's magnetic store with writes
    /// enabled. It has 1 to 73,000 days.
    #[must_use]
    pub fn magnetic_store(mut self, retention: Duration) -> Self {
        self.window.magnetic_store = Some(retention);
        self
    }

    /// By how much a record may be older than the stores' retention says: 25 minutes by default. The service's windows were
    /// seen to be 40 minutes wider than the retention, of which it documents 15 minutes of future.
    #[must_use]
    pub fn past_slack(mut self, slack: Duration) -> Self {
        self.window.past_slack = slack;
        self
    }

    /// By how much a record may be in the future: 15 minutes by default, as the service documents.
    #[must_use]
    pub fn future_slack(mut self, slack: Duration) -> Self {
        self.window.future_slack = slack;
        self
    }

    /// Takes records of any time. They all count as the memory store's.
    #[must_use]
    pub fn any_time(mut self) -> Self {
        self.any_time = true;
        self
    }

    /// What a write promises, instead of the stream's default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// How many data points to hold in memory until they are written to the version index together, and for that synced in
    /// the stream: 65,536 by default. While that is being done, as many again are taken.
    #[must_use]
    pub fn pending_limit(mut self, count: usize) -> Self {
        self.pending_limit = count.max(1);
        self
    }

    /// How many bytes of the version index to hold in memory besides what is pending: 32 MiB by default.
    #[must_use]
    pub fn index_cache(mut self, bytes: usize) -> Self {
        self.index_cache = bytes;
        self
    }
}
