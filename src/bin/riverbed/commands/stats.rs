//! `riverbed stats`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use riverbed::{ReadOnlyStore, ReadOnlyStream, SequenceNumber, ShardStats};
use serde::Serialize;

use crate::error::CliError;
use crate::opening;
use crate::output::{self, Output};
use crate::rates::Rates;
use crate::signals::Interrupt;
use crate::table::Table;
use crate::{Outcome, units, values};

/// Bars of a sparkline, where nobody knows how much room there is.
const BARS: usize = 30;

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

/// What is known from look to look.
#[derive(Default)]
struct Watched {
    streams: BTreeMap<String, ReadOnlyStream>,
    rates: Rates,
    /// Streams whose shards could not be looked at.
    failed: bool,
}

pub(crate) fn run(path: &Path, args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::read(path)?;
    let mut watched = Watched::default();
    if args.watch {
        watch(path, &store, args, &mut watched, out)?;
    } else {
        let rows = watched.look(&store, args)?;
        if out.is_json() {
            out.json(&rows.iter().map(StatsJson::new).collect::<Vec<_>>())?;
        } else {
            table(&rows, false).write(out)?;
        }
    }
    Ok(if watched.failed { Outcome::NotFine } else { Outcome::Fine })
}

fn watch(
    path: &Path,
    store: &ReadOnlyStore,
    args: &Args,
    watched: &mut Watched,
    out: &mut Output,
) -> Result<(), CliError> {
    let interrupt = Interrupt::on_signals()?;
    let mut due = Some(Instant::now());
    let mut left = args.times.unwrap_or(u64::MAX);
    while left > 0 && !interrupt.is_asked() {
        left -= 1;
        let rows = watched.look(store, args)?;
        if out.is_json() {
            rows.iter().map(StatsJson::new).try_for_each(|row| out.json_line(&row))?;
        } else {
            let every = units::duration(args.every);
            let now = units::short_time(SystemTime::now().into());
            show(&format!("{}  every {every}  {now}", path.display()), &rows, &watched.rates, out)?;
        }
        out.flush()?;
        // Past the last instant there is: never.
        due = due.and_then(|due| due.checked_add(args.every));
        while left > 0 && !interrupt.is_asked() {
            let wait = due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now()));
            if wait.is_zero() {
                break;
            }
            thread::sleep(wait.min(Duration::from_millis(50)));
        }
    }
    if interrupt.is_asked() && out.is_terminal() {
        // Below what the terminal shows for Ctrl-C.
        out.line("")?;
    }
    Ok(())
}

impl Watched {
    /// Looks at all shards that are wanted, once.
    fn look(&mut self, store: &ReadOnlyStore, args: &Args) -> Result<Vec<Row>, CliError> {
        let names = match &args.stream {
            Some(name) => vec![name.clone()],
            None => store.list_streams()?,
        };
        self.streams.retain(|name, _| names.contains(name));
        let elapsed = self.rates.look();
        let mut rows = Vec::new();
        for name in names {
            match self.look_at(store, &name) {
                Ok(all) => rows.extend(all.into_iter().map(|stats| {
                    let rate = self.rates.note(&name, &stats, elapsed);
                    Row { stream: name.clone(), stats, rate }
                })),
                // The others can be looked at all the same.
                Err(error) if args.stream.is_none() => {
                    self.streams.remove(&name);
                    self.failed = true;
                    output::complain(&error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    fn look_at(&mut self, store: &ReadOnlyStore, name: &str) -> Result<Vec<ShardStats>, CliError> {
        let stream = match self.streams.entry(name.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(store.open_stream(name)?),
        };
        Ok(stream.stats()?.shards)
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

fn table(rows: &[Row], with_rates: bool) -> Table {
    let plain = ["STREAM", ">SHARD", ">RECORDS", ">ON DISK", ">SEGMENTS", ">UNSYNCED", "NEWEST RECORD"];
    let mut headings = plain.to_vec();
    if with_rates {
        headings.push(">RECORDS/S");
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
        if with_rates {
            cells.push(row.rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")));
        }
        table.row(cells);
    }
    table
}

/// Shows the table with its sparklines in the place of the last one, as far as the terminal has room.
fn show(title: &str, rows: &[Row], rates: &Rates, out: &mut Output) -> Result<(), CliError> {
    let lines = table(rows, true).lines();
    let (columns, most_lines) = out.room().unwrap_or((usize::MAX, usize::MAX));
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let bars = if columns == usize::MAX { BARS } else { columns.saturating_sub(width) };
    // The title, a blank line, the headings, and one for what is left out.
    let shown = if rows.len() + 4 > most_lines { most_lines.saturating_sub(4) } else { rows.len() };
    out.start_over()?;
    out.line(title)?;
    out.line("")?;
    for (index, line) in lines.iter().take(shown + 1).enumerate() {
        match index.checked_sub(1).and_then(|index| rows.get(index)) {
            None => out.heading(&format!("{line}RATE"))?,
            Some(row) => {
                let bars = rates.sparkline(&row.stream, row.stats.shard_id, bars);
                out.line(format!("{line}{bars}").trim_end())?;
            }
        }
    }
    if shown < rows.len() {
        out.line(&format!("and {} more: name a stream, or make the window higher", rows.len() - shown))?;
    }
    Ok(())
}
