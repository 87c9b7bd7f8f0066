//! `riverbed stats`.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use riverbed::{ReadOnlyStore, ReadOnlyStream, SequenceNumber, ShardId, ShardStats, Timestamp};
use serde::Serialize;

use crate::error::CliError;
use crate::opening;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::table::Table;
use crate::{Outcome, units, values};

/// Rates that a sparkline shows.
const HISTORY: usize = 30;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  riverbed --store data stats clicks\n  riverbed --store data stats --watch --every 1s"
)]
pub(crate) struct Args {
    /// The stream's name; all streams if not given
    stream: Option<String>,
    /// Show them again and again, with rates, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    /// How long to wait between two looks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::duration, requires = "watch")]
    every: Duration,
    /// End after this many looks
    #[arg(long, value_name = "COUNT", requires = "watch")]
    times: Option<u64>,
}

#[derive(Serialize)]
struct StatsJson {
    stream: String,
    shard_id: String,
    records: u64,
    bytes: u64,
    segments: usize,
    oldest_sequence_number: Option<String>,
    oldest_record: Option<String>,
    newest_sequence_number: Option<String>,
    newest_record: Option<String>,
    durable_sequence_number: Option<String>,
    unsynced: u64,
    /// Records a second since the last look.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
}

/// A shard at one look.
struct Row {
    stream: String,
    stats: ShardStats,
    rate: Option<f64>,
}

/// What is remembered from look to look.
#[derive(Default)]
struct History {
    next: u64,
    rates: VecDeque<f64>,
}

#[derive(Default)]
struct Histories {
    of: BTreeMap<(String, ShardId), History>,
    last: Option<Instant>,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::read(path)?;
    let mut streams = BTreeMap::new();
    let mut histories = Histories::default();
    if !args.watch {
        let rows = look(&store, args, &mut streams, &mut histories)?;
        if out.is_json() {
            out.json(&rows.iter().map(StatsJson::new).collect::<Vec<_>>())?;
        } else {
            table(&rows, None, out)?;
        }
        return Ok(Outcome::Fine);
    }
    let interrupt = Interrupt::on_signals()?;
    let mut due = Instant::now();
    let mut left = args.times.unwrap_or(u64::MAX);
    while left > 0 && !interrupt.is_asked() {
        left -= 1;
        let rows = look(&store, args, &mut streams, &mut histories)?;
        if out.is_json() {
            rows.iter().map(StatsJson::new).try_for_each(|row| out.json_line(&row))?;
        } else {
            out.clear()?;
            let (time, every) = (Timestamp::from(SystemTime::now()), units::duration(args.every));
            out.line(&format!("{}  every {every}  {}", path.display(), units::short_time(time)))?;
            out.line("")?;
            table(&rows, Some(&histories), out)?;
        }
        out.flush()?;
        due += args.every;
        while left > 0 && !interrupt.is_asked() && Instant::now() < due {
            thread::sleep(due.saturating_duration_since(Instant::now()).min(Duration::from_millis(50)));
        }
    }
    Ok(Outcome::Fine)
}

/// Looks at all shards that are wanted, once.
fn look(
    store: &ReadOnlyStore,
    args: &Args,
    streams: &mut BTreeMap<String, ReadOnlyStream>,
    histories: &mut Histories,
) -> Result<Vec<Row>, CliError> {
    let names = match &args.stream {
        Some(name) => vec![name.clone()],
        None => store.list_streams()?,
    };
    streams.retain(|name, _| names.contains(name));
    let now = Instant::now();
    let elapsed = histories.last.replace(now).map(|last| now.duration_since(last));
    let mut rows = Vec::new();
    for name in names {
        let stream = match streams.entry(name.clone()) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => new.insert(store.open_stream(&name)?),
        };
        for stats in stream.stats()? {
            let rate = histories.note(&name, &stats, elapsed);
            rows.push(Row { stream: name.clone(), stats, rate });
        }
    }
    Ok(rows)
}

impl Histories {
    /// Takes in what a shard is like now; returns its records a second since the last look.
    #[expect(clippy::cast_precision_loss, reason = "a rate is for people to read")]
    fn note(&mut self, stream: &str, stats: &ShardStats, elapsed: Option<Duration>) -> Option<f64> {
        let next = stats.newest.map_or(0, |(number, _)| number.counter().saturating_add(1));
        let known = self.of.contains_key(&(stream.to_owned(), stats.shard_id));
        let history = self.of.entry((stream.to_owned(), stats.shard_id)).or_default();
        let before = std::mem::replace(&mut history.next, next);
        let elapsed = elapsed.filter(|elapsed| known && !elapsed.is_zero())?;
        let rate = next.saturating_sub(before) as f64 / elapsed.as_secs_f64();
        history.rates.push_back(rate);
        if history.rates.len() > HISTORY {
            history.rates.pop_front();
        }
        Some(rate)
    }
}

impl StatsJson {
    fn new(row: &Row) -> Self {
        let stats = &row.stats;
        let text = |number: SequenceNumber| number.to_string();
        Self {
            stream: row.stream.clone(),
            shard_id: stats.shard_id.to_string(),
            records: stats.records,
            bytes: stats.bytes,
            segments: stats.segments,
            oldest_sequence_number: stats.oldest.map(|(number, _)| text(number)),
            oldest_record: stats.oldest.map(|(_, time)| units::time(time)),
            newest_sequence_number: stats.newest.map(|(number, _)| text(number)),
            newest_record: stats.newest.map(|(_, time)| units::time(time)),
            durable_sequence_number: stats.durable_sequence_number.map(text),
            unsynced: stats.unsynced,
            rate: row.rate,
        }
    }
}

fn table(rows: &[Row], histories: Option<&Histories>, out: &mut Output) -> Result<(), CliError> {
    let plain = ["STREAM", ">SHARD", ">RECORDS", ">ON DISK", ">SEGMENTS", ">UNSYNCED", "NEWEST RECORD"];
    let mut headings = plain.to_vec();
    if histories.is_some() {
        headings.extend([">RECORDS/S", "RATE"]);
    }
    let mut table = Table::new(&headings);
    for row in rows {
        let stats = &row.stats;
        let mut cells = vec![
            row.stream.clone(),
            stats.shard_id.as_u32().to_string(),
            units::count(stats.records),
            units::bytes(stats.bytes),
            stats.segments.to_string(),
            units::count(stats.unsynced),
            stats.newest.map_or_else(|| "-".to_owned(), |(_, time)| units::short_time(time)),
        ];
        if let Some(histories) = histories {
            let history = histories.of.get(&(row.stream.clone(), stats.shard_id));
            cells.push(row.rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")));
            cells.push(history.map(|history| sparkline(&history.rates)).unwrap_or_default());
        }
        table.row(cells);
    }
    table.write(out)
}

/// Rates as bars, the highest of them full.
fn sparkline(rates: &VecDeque<f64>) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = rates.iter().copied().fold(0.0, f64::max);
    rates
        .iter()
        .map(|rate| {
            let part = if highest > 0.0 { rate / highest } else { 0.0 };
            // The first bar whose share is not below the rate's.
            let shares = BARS.iter().zip(1_u8..);
            let fitting =
                shares.filter(|(_, eighths)| f64::from(*eighths) / 8.0 >= part).map(|(bar, _)| *bar);
            fitting.min().unwrap_or('█')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_is_relative_to_its_highest_rate() {
        let line = |rates: &[f64]| sparkline(&rates.iter().copied().collect());
        assert_eq!(line(&[]), "");
        assert_eq!(line(&[0.0, 0.0]), "▁▁");
        assert_eq!(line(&[0.0, 125.0, 500.0, 999.0, 1000.0]), "▁▁▄██");
        assert_eq!(line(&[3.0]), "█");
    }
}
