//! Which times a table takes.

use std::time::Duration;

use crate::payload::measures::reason::Reason;
use crate::sys::clock::Timestamp;

/// How far from the present a record's time may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) memory_store: Duration,
    /// How much further back the magnetic store reaches; `None` when it takes no writes.
    pub(crate) magnetic_store: Option<Duration>,
    pub(crate) past_slack: Duration,
    pub(crate) future_slack: Duration,
}

/// Where a record belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Memory,
    Magnetic,
}

impl Window {
    /// Where a record of this time belongs, or why nowhere.
    pub(crate) fn tier(&self, time: Timestamp, now: Timestamp) -> Result<Tier, Reason> {
        let end = now.saturating_add(self.future_slack);
        let memory = now.saturating_sub(self.memory_store).saturating_sub(self.past_slack);
        if memory <= time && time < end {
            return Ok(Tier::Memory);
        }
        match self.magnetic_store {
            None => Err(Reason::OutsideMemoryStore { start: memory, end }),
            Some(magnetic) => {
                let start = memory.saturating_sub(magnetic);
                if start <= time && time < end {
                    Ok(Tier::Magnetic)
                } else {
                    Err(Reason::OutsideIngestionWindow { start, end })
                }
            }
        }
    }
}
