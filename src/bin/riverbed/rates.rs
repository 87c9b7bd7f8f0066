//! How fast shards take records, from look to look.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use riverbed::{ShardId, ShardStats};

/// Rates that are remembered of a shard.
const HISTORY: usize = 60;

/// The rates of all shards that are being watched.
#[derive(Default)]
pub(crate) struct Rates {
    of: BTreeMap<(String, ShardId), History>,
    last: Option<Instant>,
}

#[derive(Default)]
struct History {
    next: u64,
    rates: VecDeque<f64>,
}

impl Rates {
    /// Begins another look; returns how long ago the last one was.
    pub(crate) fn look(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.last.replace(now).map(|last| now.duration_since(last))
    }

    /// Takes in what a shard is like now; returns its records a second since the last look.
    #[expect(clippy::cast_precision_loss, reason = "a rate is for people to read")]
    pub(crate) fn note(
        &mut self,
        stream: &str,
        stats: &ShardStats,
        elapsed: Option<Duration>,
    ) -> Option<f64> {
        let next = stats.newest.map_or(0, |(number, _)| number.counter().saturating_add(1));
        let key = (stream.to_owned(), stats.shard_id);
        let is_known = self.of.contains_key(&key);
        let history = self.of.entry(key).or_default();
        let before = std::mem::replace(&mut history.next, next);
        let elapsed = elapsed.filter(|elapsed| is_known && !elapsed.is_zero())?;
        let rate = next.saturating_sub(before) as f64 / elapsed.as_secs_f64();
        history.rates.push_back(rate);
        if history.rates.len() > HISTORY {
            history.rates.pop_front();
        }
        Some(rate)
    }

    /// The last rates of a shard as bars, no more than this.
    pub(crate) fn sparkline(&self, stream: &str, shard_id: ShardId, most: usize) -> String {
        match self.of.get(&(stream.to_owned(), shard_id)) {
            Some(History { rates, .. }) => {
                bars(rates.iter().skip(rates.len().saturating_sub(most)).copied().collect())
            }
            None => String::new(),
        }
    }
}

/// Rates as bars, the highest of them full.
fn bars(rates: Vec<f64>) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = rates.iter().copied().fold(0.0, f64::max);
    rates
        .iter()
        .map(|rate| {
            let part = if highest > 0.0 { rate / highest } else { 0.0 };
            // The first bar whose share is not below the rate's.
            let mut shares = BARS.iter().zip(1_u8..);
            shares.find(|(_, eighths)| f64::from(*eighths) / 8.0 >= part).map_or('█', |(bar, _)| *bar)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_relative_to_the_highest_rate() {
        let line = |rates: &[f64]| bars(rates.to_vec());
        assert_eq!(line(&[]), "");
        assert_eq!(line(&[0.0, 0.0]), "▁▁");
        assert_eq!(line(&[0.0, 125.0, 500.0, 999.0, 1000.0]), "▁▁▄██");
        assert_eq!(line(&[3.0]), "█");
    }
}
