//! Puts records into a stream of four shards and reads every shard back in place.
//!
//! ```text
//! cargo run --release --example quickstart             samples this machine's metrics for a few seconds
//! cargo run --release --example quickstart access.log  every line that is not empty is a record, under its first field
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

use std::collections::HashSet;
use std::error::Error;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table};
use riverbed::{Position, PutRecord, PutRecords, ShardInfo, Store, Stream, StreamOptions};
use sysinfo::{Disks, Networks, System};

const USAGE: &str = "\
Usage: quickstart [FILE]

Without FILE: samples this machine's metrics for a few seconds into a stream of four shards.
With the path of a text file: every line that is not empty is a record, under its first field.";

/// How long to sample for, and how often.
const SAMPLES: u32 = 15;
const PAUSE: Duration = Duration::from_millis(200);
/// How many records to put at once.
const BATCH: usize = 500;
/// Of fewer records than this, what putting them took is mostly the making of files.
const ENOUGH: usize = 10_000;

fn main() -> ExitCode {
    let argument = std::env::args_os().nth(1);
    if argument.as_ref().is_some_and(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let outcome = run(argument.map(PathBuf::from));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has had enough.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(file: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::Builder::new().prefix("riverbed-quickstart-").tempdir()?;
    let store = Store::open(directory.path().join("data"))?;
    let stream = store.create_stream("quickstart", StreamOptions::new().shards(4))?;
    let mut input = Input::default();
    match file {
        Some(file) => {
            input.put_lines(&stream, &file)?;
            if input.records + input.skipped == 0 {
                return Err(format!("{} has no line that is not empty", file.display()).into());
            }
        }
        None => input.put_metrics(&stream)?,
    }
    let started = Instant::now();
    stream.sync()?;
    let synced = started.elapsed();
    let shards: Vec<_> =
        stream.shards().into_iter().map(|shard| Landed::read(&stream, shard)).collect::<Result<_, _>>()?;
    report(&input, synced, &shards, directory.path())
}

/// A line of a file.
#[derive(Debug)]
struct Line {
    number: usize,
    key: String,
    text: Vec<u8>,
}

/// What was put, and how long the puts took.
#[derive(Debug, Default)]
struct Input {
    records: usize,
    bytes: usize,
    skipped: usize,
    time: Duration,
}

impl Input {
    /// Every line of a file that is not empty, under its first field.
    fn put_lines(&mut self, stream: &Stream, path: &Path) -> Result<(), Box<dyn Error>> {
        let failed = |error: io::Error| {
            format!("cannot read {}: {error}; give the path of a text file", path.display())
        };
        let mut lines = BufReader::new(std::fs::File::open(path).map_err(failed)?);
        let mut batch = Vec::with_capacity(BATCH);
        for number in 1.. {
            let mut line = Vec::new();
            let more = lines.read_until(b'\n', &mut line).map_err(failed)? > 0;
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(field) = line.split(u8::is_ascii_whitespace).find(|field| !field.is_empty()) {
                let key = String::from_utf8_lossy(field).into_owned();
                batch.push(Line { number, key, text: line.to_vec() });
            }
            if batch.len() == BATCH || !more {
                self.put_batch(stream, &batch);
                batch.clear();
            }
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// A line that cannot be a record is told of and skipped.
    fn put_batch(&mut self, stream: &Stream, lines: &[Line]) {
        let records: Vec<_> = lines.iter().map(|line| PutRecord::new(&line.key, &line.text)).collect();
        let started = Instant::now();
        let puts = stream.put_records(&records);
        self.time += started.elapsed();
        self.count(lines, &puts);
    }

    fn count(&mut self, lines: &[Line], puts: &PutRecords) {
        for (line, result) in lines.iter().zip(puts.results()) {
            match result {
                Ok(_) => {
                    self.records += 1;
                    self.bytes += line.text.len();
                }
                Err(error) => {
                    self.skipped += 1;
                    // The first few say what is wrong; the table has the count.
                    if self.skipped <= 3 {
                        eprintln!("skipped line {}: {error}", line.number);
                    }
                }
            }
        }
    }

    /// What this machine is doing, one record for each reading.
    fn put_metrics(&mut self, stream: &Stream) -> Result<(), Box<dyn Error>> {
        let seconds = (PAUSE * SAMPLES).as_secs_f64();
        writeln!(io::stdout(), "Sampling this machine's metrics for {seconds:.0} seconds ...")?;
        let mut system = System::new();
        let mut networks = Networks::new_with_refreshed_list();
        let mut disks = Disks::new_with_refreshed_list();
        for _ in 0..SAMPLES {
            std::thread::sleep(PAUSE);
            system.refresh_cpu_usage();
            system.refresh_memory();
            networks.refresh(true);
            disks.refresh(true);
            for (metric, value) in readings(&system, &networks, &disks) {
                let started = Instant::now();
                stream.put(&metric, &value)?;
                self.time += started.elapsed();
                self.records += 1;
                self.bytes += value.len();
            }
        }
        Ok(())
    }
}

/// Names of metrics and what they are now.
fn readings(system: &System, networks: &Networks, disks: &Disks) -> Vec<(String, String)> {
    let mut readings = Vec::new();
    for cpu in system.cpus() {
        readings.push((format!("{}.usage", cpu.name()), format!("{:.1} %", cpu.cpu_usage())));
    }
    readings.push(("memory.used".to_owned(), format!("{} B", system.used_memory())));
    readings.push(("memory.available".to_owned(), format!("{} B", system.available_memory())));
    let load = System::load_average();
    for (metric, load) in [("load.1m", load.one), ("load.5m", load.five), ("load.15m", load.fifteen)] {
        readings.push((metric.to_owned(), format!("{load:.2}")));
    }
    for (interface, data) in networks {
        readings.push((format!("net.{interface}.received"), format!("{} B", data.total_received())));
        readings.push((format!("net.{interface}.sent"), format!("{} B", data.total_transmitted())));
    }
    for disk in disks {
        let mount = disk.mount_point().display();
        readings.push((format!("disk.{mount}.free"), format!("{} B", disk.available_space())));
    }
    readings
}

/// What was found in one shard.
#[derive(Debug)]
struct Landed {
    shard: ShardInfo,
    records: usize,
    keys: usize,
    bytes: usize,
    ends: Option<(u64, u64)>,
    time: Duration,
}

impl Landed {
    /// Reads the shard in place: the records are borrowed from the mapped segments.
    fn read(stream: &Stream, shard: ShardInfo) -> Result<Self, Box<dyn Error>> {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon)?;
        let (mut records, mut bytes, mut ends) = (0, 0, None);
        let started = Instant::now();
        while let Some(record) = reader.next()? {
            let number = record.sequence_number().counter();
            ends = Some((ends.map_or(number, |(first, _)| first), number));
            records += 1;
            bytes += record.data().len();
        }
        let time = started.elapsed();
        // Once more for the keys, so that collecting them does not count as reading.
        let mut reader = stream.reader(shard.id, Position::TrimHorizon)?;
        let mut keys = HashSet::new();
        while let Some(record) = reader.next()? {
            if !keys.contains(record.key()) {
                keys.insert(record.key().to_vec());
            }
        }
        Ok(Self { shard, records, keys: keys.len(), bytes, ends, time })
    }
}

fn report(
    input: &Input,
    synced: Duration,
    shards: &[Landed],
    directory: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["shard", "hash keys", "records", "keys", "bytes", "counters"]);
    for landed in shards {
        table.add_row([
            landed.shard.id.to_string(),
            format!("{:.1} %", landed.shard.range.share() * 100.0),
            landed.records.to_string(),
            landed.keys.to_string(),
            landed.bytes.to_string(),
            landed.ends.map_or_else(|| "-".to_owned(), |(first, last)| format!("{first} to {last}")),
        ]);
    }
    let records: usize = shards.iter().map(|landed| landed.records).sum();
    let bytes: usize = shards.iter().map(|landed| landed.bytes).sum();
    let keys: usize = shards.iter().map(|landed| landed.keys).sum();
    table.add_row([
        "all".to_owned(),
        "100.0 %".to_owned(),
        records.to_string(),
        keys.to_string(),
        bytes.to_string(),
        String::new(),
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let read: Duration = shards.iter().map(|landed| landed.time).sum();
    let mut out = io::stdout().lock();
    writeln!(out, "{table}")?;
    writeln!(out, "put   {}", rate(input.records, input.bytes, input.time))?;
    writeln!(out, "sync  everything on disk after another {:.1} ms", synced.as_secs_f64() * 1e3)?;
    writeln!(out, "read  {}, every checksum verified", rate(records, bytes, read))?;
    if records < ENOUGH {
        writeln!(
            out,
            "These are too few to judge the speed by: give it a text file of {ENOUGH} lines or more."
        )?;
    }
    if input.skipped > 0 {
        writeln!(out, "{} lines were skipped; the first of them are above", input.skipped)?;
    }
    if records != input.records || bytes != input.bytes {
        return Err(format!("put {} records and read {records}: please report this", input.records).into());
    }
    writeln!(out, "The records lay in {}, which is removed now.", directory.display())?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "rates are for people to read")]
fn rate(records: usize, bytes: usize, time: Duration) -> String {
    let seconds = time.as_secs_f64().max(1e-9);
    let took = format!("{records} records in {:.2} ms", seconds * 1e3);
    if records < ENOUGH {
        return took;
    }
    format!("{took}: {:.0} records/s, {:.1} MB/s", records as f64 / seconds, bytes as f64 / seconds / 1e6)
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
