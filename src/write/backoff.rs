//! How long to wait before a retry.

use std::time::Duration;

use super::options::WriteOptions;

/// Decides about retries, by chance where the options ask for it.
#[derive(Debug)]
pub(crate) struct Backoff {
    rng: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self { rng: seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed) }
    }

    /// How much later than it could be a batch is sent.
    pub(crate) fn jitter(&mut self, options: &WriteOptions) -> Duration {
        fraction_of(options.jitter_interval, self.rng.f64())
    }

    /// The delay before retry number `retry`, counted from 1; `None` when the batch has used up its retries.
    /// `elapsed` is the time since it was first sent.
    pub(crate) fn delay(
        &mut self,
        options: &WriteOptions,
        retry: u32,
        elapsed: Duration,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        if retry > options.max_retries || elapsed > options.max_retry_time {
            return None;
        }
        Some(match retry_after {
            Some(asked) => asked.saturating_add(self.jitter(options)),
            None => exponential(options, retry, self.rng.f64()),
        })
    }
}

/// A delay from the range of this retry, counted from 1: between `retry_interval` x `exponential_base`^(retry - 1) and
/// `exponential_base` times that, which is cut off at `max_retry_delay`; once cut off, later ranges are the same.
/// `chance` is from 0 to 1.
fn exponential(options: &WriteOptions, retry: u32, chance: f64) -> Duration {
    let base = options.exponential_base;
    let mut start = options.retry_interval;
    let mut stop = start.saturating_mul(base);
    for _ in 1..retry {
        start = stop;
        stop = stop.saturating_mul(base);
        // A range that does not grow stays as it is, however many retries there are.
        if stop > options.max_retry_delay || stop == start {
            break;
        }
    }
    let stop = stop.min(options.max_retry_delay);
    // The first delay may be set to more than the longest one; then the range is from that one up to it.
    if stop >= start {
        start.saturating_add(fraction_of(stop - start, chance))
    } else {
        start.saturating_sub(fraction_of(start - stop, chance))
    }
}

fn fraction_of(duration: Duration, chance: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * chance).unwrap_or(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn range(options: &WriteOptions, retry: u32) -> (u64, u64) {
        (exponential(options, retry, 0.0).as_secs(), exponential(options, retry, 1.0).as_secs())
    }

    #[test]
    fn delays_are_those_of_the_python_client() {
        let defaults = WriteOptions::new();
        let ranges: Vec<_> = (1..=8).map(|retry| range(&defaults, retry)).collect();
        assert_eq!(
            ranges,
            [(5, 10), (10, 20), (20, 40), (40, 80), (80, 125), (80, 125), (80, 125), (80, 125)]
        );
        assert_eq!(exponential(&defaults, 2, 0.25), Duration::from_millis(12_500));
    }

    /// Each row was computed by `WritesRetry.get_backoff_time` of influxdb-client 1.50.0, with its chance fixed at 0 and
    /// at 1.
    #[test]
    fn delays_are_those_of_the_python_client_with_other_options() {
        let options = |interval, base, longest| {
            WriteOptions::new()
                .retry_interval(SECOND * interval)
                .exponential_base(base)
                .max_retry_delay(SECOND * longest)
        };
        for (options, expected) in [
            (options(1, 3, 100), [(1, 3), (3, 9), (9, 27), (27, 81), (81, 100), (81, 100)]),
            (options(5, 2, 30), [(5, 10), (10, 20), (20, 30), (20, 30), (20, 30), (20, 30)]),
            (options(5, 1, 30), [(5, 5), (5, 5), (5, 5), (5, 5), (5, 5), (5, 5)]),
            (options(200, 2, 125), [(200, 125), (400, 125), (400, 125), (400, 125), (400, 125), (400, 125)]),
        ] {
            let ranges: Vec<_> = (1..=6).map(|retry| range(&options, retry)).collect();
            assert_eq!(ranges, expected, "{options:?}");
        }
    }

    #[test]
    fn retries_are_limited_by_number_and_by_time() {
        let options = WriteOptions::new();
        let mut backoff = Backoff::new(Some(1));
        assert!(backoff.delay(&options, 5, SECOND * 180, None).is_some());
        assert_eq!(backoff.delay(&options, 6, SECOND, None), None);
        assert_eq!(backoff.delay(&options, 1, SECOND * 180 + Duration::from_nanos(1), None), None);
        assert_eq!(backoff.delay(&options.max_retries(0), 1, Duration::ZERO, None), None);
    }

    #[test]
    fn what_the_sink_asks_for_wins_and_gets_jitter_alone() {
        let options = WriteOptions::new();
        let mut backoff = Backoff::new(Some(1));
        let asked = Some(SECOND * 500);
        assert_eq!(backoff.delay(&options, 1, SECOND, asked), asked);
        assert_eq!(backoff.delay(&options, 1, SECOND, Some(Duration::ZERO)), Some(Duration::ZERO), "at once");
        let options = options.jitter_interval(SECOND * 2);
        let mut distinct = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let delay = backoff.delay(&options, 1, SECOND, asked).unwrap();
            assert!((SECOND * 500..SECOND * 502).contains(&delay), "{delay:?}");
            distinct.insert(delay);
        }
        assert_eq!(distinct.len(), 50);
    }

    #[test]
    fn no_options_overflow() {
        let options = WriteOptions::new()
            .retry_interval(Duration::MAX)
            .max_retry_delay(Duration::MAX)
            .exponential_base(u32::MAX);
        assert_eq!(exponential(&options, u32::MAX, 0.5), Duration::MAX);
        let zero = WriteOptions::new().retry_interval(Duration::ZERO);
        assert_eq!(exponential(&zero, u32::MAX, 0.5), Duration::ZERO);
        assert_eq!(Backoff::new(None).jitter(&WriteOptions::new()), Duration::ZERO);
    }
}
