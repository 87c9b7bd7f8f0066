//! Holding a shard to its limits.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "limits")]
use super::limits::Limits;
#[cfg(feature = "limits")]
use crate::sys::clock::Clock;

/// Why something has to wait: it may be tried again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) retry_after: Duration,
}

/// Holds one shard to its limits, if it has any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Throttle {
    buckets: Option<Arc<Buckets>>,
}

impl Throttle {
    /// Whether there are limits at all.
    pub(crate) fn is_limited(&self) -> bool {
        self.buckets.is_some()
    }
}

/// Without the feature no shard has limits.
#[cfg(not(feature = "limits"))]
#[derive(Debug)]
enum Buckets {}

#[cfg(not(feature = "limits"))]
impl Throttle {
    pub(crate) fn put(&self, _len: usize) -> Result<(), Exceeded> {
        match self.buckets.as_deref() {
            None => Ok(()),
            Some(buckets) => match *buckets {},
        }
    }

    pub(crate) fn page(&self) -> Result<(), Exceeded> {
        self.put(0)
    }

    pub(crate) fn give(&self, len: usize) -> Result<(), Exceeded> {
        self.put(len)
    }
}

#[cfg(feature = "limits")]
use buckets::Buckets;

#[cfg(feature = "limits")]
impl Throttle {
    pub(crate) fn new(limits: Limits, clock: &Arc<dyn Clock>) -> Self {
        let buckets = (limits != Limits::NONE).then(|| Arc::new(Buckets::new(limits, clock)));
        Self { buckets }
    }

    /// Asks to put a record whose key and data have `len` bytes.
    pub(crate) fn put(&self, len: usize) -> Result<(), Exceeded> {
        self.buckets.as_deref().map_or(Ok(()), |buckets| buckets.put(len))
    }

    /// Asks to read a page.
    pub(crate) fn page(&self) -> Result<(), Exceeded> {
        self.buckets.as_deref().map_or(Ok(()), Buckets::page)
    }

    /// Asks to give a record whose data has `len` bytes.
    pub(crate) fn give(&self, len: usize) -> Result<(), Exceeded> {
        self.buckets.as_deref().map_or(Ok(()), |buckets| buckets.give(len))
    }
}

#[cfg(feature = "limits")]
mod buckets {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use governor::clock::Clock as _;
    use governor::middleware::NoOpMiddleware;
    use governor::nanos::Nanos;
    use governor::state::{InMemoryState, NotKeyed};
    use governor::{Quota, RateLimiter};

    use super::{Exceeded, Limits};
    use crate::log::frame::MAX_RECORD_LEN;
    use crate::sys::clock::Clock;

    /// The engine's clock, for `governor`.
    #[derive(Debug, Clone)]
    struct EngineClock(Arc<dyn Clock>);

    impl governor::clock::Clock for EngineClock {
        type Instant = Nanos;

        fn now(&self) -> Nanos {
            Nanos::new(self.0.now().as_nanos())
        }
    }

    #[derive(Debug)]
    struct Bucket {
        limiter: RateLimiter<NotKeyed, InMemoryState, EngineClock, NoOpMiddleware<Nanos>>,
        burst: NonZeroU32,
    }

    impl Bucket {
        fn new(rate: NonZeroU32, least_burst: u32, clock: &Arc<dyn Clock>) -> Self {
            // `governor` counts in nanoseconds between two units.
            const FASTEST: u32 = 1_000_000_000;
            let rate = NonZeroU32::new(rate.get().min(FASTEST)).unwrap_or(NonZeroU32::MIN);
            let burst = NonZeroU32::new(least_burst).map_or(rate, |least| rate.max(least));
            let quota = Quota::per_second(rate).allow_burst(burst);
            Self { limiter: RateLimiter::direct_with_clock(quota, EngineClock(Arc::clone(clock))), burst }
        }

        fn take(&self, units: usize) -> Result<(), Exceeded> {
            let units = u32::try_from(units).unwrap_or(u32::MAX);
            let Some(units) = NonZeroU32::new(units).map(|units| units.min(self.burst)) else {
                return Ok(());
            };
            match self.limiter.check_n(units) {
                // What is above the burst's capacity was cut down to it.
                Ok(Ok(())) | Err(_) => Ok(()),
                Ok(Err(refused)) => {
                    Err(Exceeded { retry_after: refused.wait_time_from(self.limiter.clock().now()) })
                }
            }
        }
    }

    #[derive(Debug)]
    pub(super) struct Buckets {
        records_in: Option<Bucket>,
        bytes_in: Option<Bucket>,
        pages_out: Option<Bucket>,
        bytes_out: Option<Bucket>,
    }

    impl Buckets {
        pub(super) fn new(limits: Limits, clock: &Arc<dyn Clock>) -> Self {
            let count = |rate: Option<NonZeroU32>| rate.map(|rate| Bucket::new(rate, 1, clock));
            let record_len = u32::try_from(MAX_RECORD_LEN).unwrap_or(u32::MAX);
            let bytes = |rate: Option<NonZeroU32>| rate.map(|rate| Bucket::new(rate, record_len, clock));
            Self {
                records_in: count(limits.records_in),
                bytes_in: bytes(limits.bytes_in),
                pages_out: count(limits.pages_out),
                bytes_out: bytes(limits.bytes_out),
            }
        }

        /// One that is refused for its bytes has counted as a record all the same.
        pub(super) fn put(&self, len: usize) -> Result<(), Exceeded> {
            take(self.records_in.as_ref(), 1)?;
            take(self.bytes_in.as_ref(), len)
        }

        pub(super) fn page(&self) -> Result<(), Exceeded> {
            take(self.pages_out.as_ref(), 1)
        }

        pub(super) fn give(&self, len: usize) -> Result<(), Exceeded> {
            take(self.bytes_out.as_ref(), len)
        }
    }

    fn take(bucket: Option<&Bucket>, units: usize) -> Result<(), Exceeded> {
        bucket.map_or(Ok(()), |bucket| bucket.take(units))
    }
}
