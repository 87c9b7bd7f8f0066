//! Metrics ingestion: agents on several threads give points to one writer, which batches them into a stream; they are read
//! back as typed points, in place, and aggregated for each series.
//!
//! `cargo run --release --example metrics_ingest --features line-protocol,writer [DIRECTORY: a new one, to keep the store in]`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use riverbed::line_protocol::FieldValueRef;
use riverbed::point::{Point, PointDecoder, PointTime, Precision};
use riverbed::write::{BatchWriter, WriteOptions, WriteRecord};
use riverbed::{Position, ReaderOptions, Store, Stream, StreamOptions};

/// Errors come out of threads.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const AGENTS: u32 = 4;
const CORES: u32 = 3;
const SAMPLES: u32 = 2_000;
const START_SECONDS: i64 = 1_657_729_063;

/// A series, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Aggregate {
    points: u32,
    interrupts: i64,
    hottest: f64,
    newest: Option<PointTime>,
}

impl Aggregate {
    fn add(&mut self, interrupts: i64, temp: f64, time: PointTime) {
        self.points += 1;
        self.interrupts += interrupts;
        self.hottest = self.hottest.max(temp);
        self.newest = self.newest.max(Some(time));
    }
}

type Aggregates = BTreeMap<String, Aggregate>;

fn main() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or_else(|| directory.path().join("data"), PathBuf::from);
    let store = Store::open(path)?;
    let metrics = store.create_stream("metrics", StreamOptions::new().shards(4))?;

    let started = Instant::now();
    let sent = ingest(&metrics)?;
    let points = AGENTS * CORES * SAMPLES;
    println!("{points} points from {AGENTS} agents on disk in {:?}", started.elapsed());

    let started = Instant::now();
    let stored = aggregate(&metrics)?;
    println!("read back and aggregated in {:?}", started.elapsed());
    for (series, sum) in &stored {
        println!(
            "{series}: {} points, {} interrupts, at most {:.2} degrees",
            sum.points, sum.interrupts, sum.hottest
        );
    }
    store.close()?;
    if stored == sent { Ok(()) } else { Err("what was stored is not what the agents sent".into()) }
}

/// Runs the agents with one writer between them and the stream. Returns what they have sent.
fn ingest(metrics: &Stream) -> Outcome<Aggregates> {
    let lost = Arc::new(AtomicUsize::new(0));
    let count_lost = Arc::clone(&lost);
    let options = WriteOptions::new().batch_size(500).flush_interval(Duration::from_millis(100));
    let writer = BatchWriter::builder(metrics.clone())
        .options(options)
        // Where an agent keeps for later what the stream did not take. Here, nothing may be lost.
        .on_error(move |failed| {
            count_lost.fetch_add(failed.len(), Ordering::Relaxed);
        })
        .start()?;
    let sent = thread::scope(|scope| -> Outcome<Aggregates> {
        let agents: Vec<_> = (0..AGENTS)
            .map(|host| {
                scope.spawn({
                    let writer = &writer;
                    move || run_agent(writer, host)
                })
            })
            .collect();
        let mut sent = Aggregates::new();
        for agent in agents {
            sent.extend(agent.join().map_err(|_| "an agent panicked")??);
        }
        Ok(sent)
    })?;
    writer.flush()?; // what was written is on disk
    let stats = writer.stats();
    writer.close()?;
    println!("the writer took {} points and wrote {}", stats.accepted, stats.written);
    match lost.load(Ordering::Relaxed) {
        0 => Ok(sent),
        lost => Err(format!("{lost} points were not written").into()),
    }
}

/// One host's agent: a point a second of every core.
fn run_agent(writer: &BatchWriter<Stream>, host: u32) -> Outcome<Aggregates> {
    let mut sent = Aggregates::new();
    for sample in 0..SAMPLES {
        for core in 0..CORES {
            let interrupts = i64::from(sample * 31 % 1009 + host);
            let temp = 40.0 + f64::from((sample * 7 + core * 13) % 400) / 10.0;
            let time = PointTime::new(START_SECONDS + i64::from(sample), Precision::Seconds)?;
            let point = Point::new("cpu")
                .tag("host", format!("edge-{host}"))
                .tag("core", core.to_string())
                .field("interrupts", interrupts)
                .field("temp", temp)
                .time(time);
            // The series is the partition key: its points stay in one shard, in order.
            let series = point.series_key();
            writer.write(WriteRecord::new(series.partition_key(), point.to_line_protocol()?))?;
            sent.entry(series.to_string()).or_default().add(interrupts, temp, time);
        }
    }
    Ok(sent)
}

/// Reads all shards as one. The points are borrowed from the mapped segments.
fn aggregate(metrics: &Stream) -> Outcome<Aggregates> {
    let mut reader = metrics.merged_reader(Position::TrimHorizon, ReaderOptions::new())?;
    let mut decoder = PointDecoder::new();
    let mut stored = Aggregates::new();
    while let Some(record) = reader.next()? {
        let decoded = decoder.decode(&record)?;
        let point = decoded.point();
        let (Some(FieldValueRef::Integer(interrupts)), Some(FieldValueRef::Float(temp))) =
            (point.field("interrupts"), point.field("temp"))
        else {
            return Err(format!("{} has not the fields of a core", point.series_key()).into());
        };
        stored.entry(point.series_key().to_string()).or_default().add(interrupts, temp, point.time());
    }
    Ok(stored)
}
