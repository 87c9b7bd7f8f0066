//! How often something took how long.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A histogram with a name.
pub(crate) struct Distribution {
    pub(crate) name: &'static str,
    nanos: Histogram<u64>,
}

impl Distribution {
    pub(crate) fn new(name: &'static str) -> Self {
        // Up to a minute, exact to a thousandth.
        Self { name, nanos: Histogram::new_with_max(60_000_000_000, 3).unwrap() }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        self.nanos.saturating_record(took.as_nanos().try_into().unwrap());
    }

    /// What this share of all took at the most.
    pub(crate) fn at(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.nanos.value_at_quantile(quantile))
    }

    pub(crate) fn len(&self) -> u64 {
        self.nanos.len()
    }
}
