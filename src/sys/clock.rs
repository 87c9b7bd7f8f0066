//! The engine's clock.

use std::fmt::{self, Debug};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
use rustix::time::ClockId;

/// Nanoseconds since the Unix epoch, UTC.
///
/// Every record carries the time at which the engine appended it (Kinesis's `ApproximateArrivalTimestamp`).
/// Within a shard it never decreases, whatever the clock does.
///
/// ```
/// use riverbed::Timestamp;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let time = Timestamp::from_millis(1_500);
/// assert_eq!(time.as_nanos(), 1_500_000_000);
/// assert_eq!(time.to_system_time(), UNIX_EPOCH + Duration::from_millis(1_500));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself.
    pub const EPOCH: Self = Self(0);
    /// The last moment that can be written: in the year 2554.
    pub const MAX: Self = Self(u64::MAX);

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the epoch; times past [`Timestamp::MAX`] become it.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch, as Kinesis reports arrival times.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This time moved back; never before the epoch.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// This time moved forward; never past [`Timestamp::MAX`].
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// As the standard library's time.
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.0)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl From<SystemTime> for Timestamp {
    /// Times before the epoch become the epoch.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, nanos))
    }
}

impl fmt::Display for Timestamp {
    /// Seconds since the epoch with nine decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// Where the engine gets the time from. Give [`StoreOptions::clock`](crate::StoreOptions::clock) one of your
/// own to test what depends on time.
pub trait Clock: Debug + Send + Sync {
    /// The present time. It may stand still or go back; the engine clamps it per shard.
    fn now(&self) -> Timestamp;
}

/// The machine's real-time clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock {
    coarse: bool,
}

impl SystemClock {
    /// Full resolution: about 30 ns a reading.
    pub const fn precise() -> Self {
        Self { coarse: false }
    }

    /// The kernel's time of its last tick: about 5 ns a reading, and 1 to 10 ms behind at the most.
    pub const fn coarse() -> Self {
        Self { coarse: true }
    }
}

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    fn now(&self) -> Timestamp {
        let clock = if self.coarse { ClockId::RealtimeCoarse } else { ClockId::Realtime };
        let time = rustix::time::clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Timestamp(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_close_to_the_precise_one() {
        let coarse = SystemClock::coarse().now();
        let precise = SystemClock::precise().now();
        let apart = precise.since(coarse).max(coarse.since(precise));
        assert!(apart < Duration::from_secs(1), "{apart:?}");
    }

    #[test]
    fn the_precise_clock_is_the_standard_librarys() {
        let before = Timestamp::from(SystemTime::now());
        let now = SystemClock::precise().now();
        let after = Timestamp::from(SystemTime::now());
        // Unless somebody sets the clock at this very moment.
        assert!(before <= now && now <= after, "{before} {now} {after}");
    }

    #[test]
    fn times_before_the_epoch_become_the_epoch() {
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(1)), Timestamp::EPOCH);
    }
}
