//! `riverbed bench`.

use std::fs::{self, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use riverbed::{Durability, PartitionKey, Position, PutRecord, ReaderOptions, Store, Stream, StreamOptions};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::table::Table;
use crate::{Outcome, units, values};

/// What a record takes besides its data: a frame's header and the key, about.
const AROUND: usize = 40;
const ROUNDS: usize = 3;
const SYNCED_PUTS: u32 = 200;
const BATCH: usize = 500;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line compares riverbed with what the machine charges for the same bytes, in the same run: a \
                        checksum and a copy into memory for puts, a checksum of the same memory for reads, a write and a \
                        sync for synced puts. The best of three rounds counts. Writes to a directory of its own, which \
                        it removes.\n\nExample:\n  riverbed bench --dir /var/lib/myservice --record-bytes 256"
)]
pub(crate) struct Args {
    /// Where to make the directory
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Bytes of each record's data
    #[arg(long, value_name = "BYTES", default_value = "256", value_parser = values::bytes)]
    record_bytes: u64,
    /// Bytes of all records of a round
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = values::bytes)]
    round_bytes: u64,
}

#[derive(Serialize)]
struct Line {
    what: &'static str,
    riverbed_nanos: f64,
    limit_nanos: f64,
    /// How many times as long riverbed takes.
    ratio: f64,
}

/// A directory that goes away.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever sees what remains knows by its name where it is from.
        drop(fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    let record_bytes = usize::try_from(args.record_bytes).ok().filter(|bytes| *bytes <= 1 << 20);
    let record_bytes =
        record_bytes.ok_or_else(|| CliError::usage("--record-bytes can be 1 MiB at the most here"))?;
    let count = args.round_bytes / (args.record_bytes + AROUND as u64);
    let count = usize::try_from(count.clamp(BATCH as u64, 10_000_000)).unwrap_or(BATCH);
    let path = args.dir.join(format!("riverbed-bench-{}", std::process::id()));
    fs::create_dir_all(&path).map_err(CliError::io("create", &path))?;
    let scratch = Scratch(path);
    let store = Store::options()
        .durability(Durability::Buffered)
        .segment_len(64 << 20, 64 << 20)
        .open(scratch.0.join("data"))?;
    let data = vec![7; record_bytes];
    let mut memory = Memory::new(count, record_bytes);
    let mut lines = Vec::new();
    let mut best = [Duration::MAX; 5];
    let mut take = |place: usize, time: Duration| {
        if let Some(best) = best.get_mut(place) {
            *best = time.min(*best);
        }
    };
    let interrupt = Interrupt::on_signals()?;
    let go_on = || if interrupt.is_asked() { Err(CliError::Interrupted) } else { Ok(()) };
    for _ in 0..ROUNDS {
        take(0, memory.fill(&data, count));
        go_on()?;
        let stream = store.create_stream("bench", StreamOptions::new())?;
        take(1, put(&stream, &data, count)?);
        go_on()?;
        take(2, memory.check());
        take(3, read(&stream, count)?);
        store.delete_stream("bench")?;
        go_on()?;
        let stream = store.create_stream("bench", StreamOptions::new())?;
        take(4, put_records(&stream, &data, count)?);
        store.delete_stream("bench")?;
    }
    let [filled, put_alone, checked, read_all, put_batches] = best;
    lines.push(Line::new("put", put_alone, filled, count));
    lines.push(Line::new("put_records of 500", put_batches, filled, count));
    lines.push(Line::new("read and verify", read_all, checked, count));
    let stream = store.create_stream("bench", StreamOptions::new())?;
    let (ours, theirs) = (put_synced(&stream, &data)?, write_synced(&scratch.0.join("file"), &data)?);
    lines.push(Line::new("put, synced", ours, theirs, SYNCED_PUTS as usize));
    store.close()?;
    if out.is_json() {
        out.json(&lines)?;
        return Ok(Outcome::Fine);
    }
    out.line(&format!("{} of {record_bytes} bytes", units::counted(count as u64, "record")))?;
    let mut table = Table::new(&["WHAT", ">A RECORD TAKES", ">THE MACHINE'S LIMIT", ">TIMES"]);
    for line in lines {
        let nanos = |nanos: f64| units::measured(Duration::from_secs_f64(nanos / 1e9));
        let cells = [nanos(line.riverbed_nanos), nanos(line.limit_nanos), format!("{:.1}", line.ratio)];
        table.row([line.what.to_owned()].into_iter().chain(cells));
    }
    table.write(out)?;
    Ok(Outcome::Fine)
}

impl Line {
    #[expect(clippy::cast_precision_loss, reason = "a measured time is for people to read")]
    fn new(what: &'static str, ours: Duration, limit: Duration, count: usize) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e9 / count as f64;
        let (riverbed_nanos, limit_nanos) = (each(ours), each(limit));
        Self { what, riverbed_nanos, limit_nanos, ratio: riverbed_nanos / limit_nanos }
    }
}

/// Memory that has been faulted in, with as many bytes as the records of a round, up to a segment's.
struct Memory {
    bytes: Vec<u8>,
    record: usize,
    records: usize,
}

impl Memory {
    fn new(count: usize, record_bytes: usize) -> Self {
        let record = record_bytes + AROUND;
        Self { bytes: vec![1; (count * record).min(64 << 20)], record, records: count }
    }

    /// A checksum and a copy for each record, round and round.
    fn fill(&mut self, data: &[u8], count: usize) -> Duration {
        let started = Instant::now();
        let mut places = 0;
        while places < count {
            for place in self.bytes.chunks_exact_mut(self.record).take(count - places) {
                let checksum = crc32fast::hash(black_box(data));
                let (head, rest) = place.split_at_mut(AROUND.min(place.len()));
                if let Some(word) = head.first_chunk_mut::<4>() {
                    *word = checksum.to_le_bytes();
                }
                rest.copy_from_slice(data);
                places += 1;
            }
        }
        black_box(&mut self.bytes);
        started.elapsed()
    }

    /// A checksum for each record, round and round.
    fn check(&self) -> Duration {
        let started = Instant::now();
        let mut places = 0;
        while places < self.records {
            for place in self.bytes.chunks_exact(self.record).take(self.records - places) {
                black_box(crc32fast::hash(black_box(place)));
                places += 1;
            }
        }
        started.elapsed()
    }
}

fn put(stream: &Stream, data: &[u8], count: usize) -> Result<Duration, CliError> {
    let key = PartitionKey::new("bench").map_err(riverbed::PutError::from)?;
    let started = Instant::now();
    for _ in 0..count {
        stream.put(&key, data)?;
    }
    Ok(started.elapsed())
}

fn put_records(stream: &Stream, data: &[u8], count: usize) -> Result<Duration, CliError> {
    let key = PartitionKey::new("bench").map_err(riverbed::PutError::from)?;
    let records = vec![PutRecord::new(&key, data); BATCH];
    let started = Instant::now();
    let mut left = count;
    while left > 0 {
        let batch = records.get(..left.min(BATCH)).unwrap_or(&records);
        stream.put_records(batch).all()?;
        left -= batch.len();
    }
    Ok(started.elapsed())
}

fn read(stream: &Stream, count: usize) -> Result<Duration, CliError> {
    let shard = stream.shards().first().map(|shard| shard.id);
    let shard = shard.unwrap_or(riverbed::ShardId::new(0));
    let mut reader = stream.reader_with(shard, Position::TrimHorizon, ReaderOptions::new())?;
    let started = Instant::now();
    let mut seen = 0;
    while let Some(record) = reader.next()? {
        black_box(record.data());
        seen += 1;
    }
    let elapsed = started.elapsed();
    if seen == count {
        Ok(elapsed)
    } else {
        Err(CliError::usage("records were missing: run `riverbed verify`"))
    }
}

fn put_synced(stream: &Stream, data: &[u8]) -> Result<Duration, CliError> {
    let record = PutRecord::new("bench", data).durability(Durability::Immediate);
    // The first one also makes the segment.
    stream.put_record(&record)?;
    let started = Instant::now();
    for _ in 0..SYNCED_PUTS {
        stream.put_record(&record)?;
    }
    Ok(started.elapsed())
}

/// The same to a file whose space is there.
fn write_synced(path: &Path, data: &[u8]) -> Result<Duration, CliError> {
    let failed = |error| CliError::io("write", path)(error);
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    let bytes = data.len() as u64 * u64::from(SYNCED_PUTS + 1);
    if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).is_err() {
        file.set_len(bytes).map_err(failed)?;
    }
    file.write_all(data).and_then(|()| file.sync_data()).map_err(failed)?;
    let started = Instant::now();
    for _ in 0..SYNCED_PUTS {
        file.write_all(data).and_then(|()| file.sync_data()).map_err(failed)?;
    }
    Ok(started.elapsed())
}
