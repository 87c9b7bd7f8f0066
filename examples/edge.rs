//! Store and forward on an edge box: sensors put readings into a stream on the box's disk, a consumer forwards them in
//! batches to an uplink that is down part of the time, and the box is restarted in the middle. A checkpoint is made when the
//! uplink has acknowledged, so everything arrives at least once, and in order for each sensor. Retention by bytes holds the disk
//! down.
//!
//! `cargo run --example edge [DIRECTORY: a new one, to keep the store in]`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use riverbed::{Durability, OwnedRecord, Retention, Store, Stream, StreamOptions};
use serde::{Deserialize, Serialize};

/// Errors come out of threads.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const SENSORS: [&str; 3] = ["pump-1", "pump-2", "valve-7"];
const RESTARTS: u64 = 3;
const READINGS_A_RUN: u64 = 150;
/// When the box is stopped, no more than this many readings have not been acknowledged.
const LEFT_BEHIND: u64 = 100;
/// More than gathers while the uplink is down: what retention takes has been forwarded long before.
const DISK: u64 = 3 << 20;
const SEGMENT: u64 = 256 << 10;

/// A window of vibration samples: some four kilobytes of JSON.
#[derive(Serialize, Deserialize)]
struct Reading {
    sensor: String,
    number: u64,
    samples: Vec<u64>,
}

fn main() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or_else(|| directory.path().join("data"), PathBuf::from);
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let uplink = scope.spawn(|| uplink(&listener, &stopped));
        let outcome = (0..=RESTARTS).try_for_each(|run| run_box(&path, address, run));
        stopped.store(true, Ordering::Release);
        TcpStream::connect(address)?; // to be noticed
        let received = uplink.join().map_err(|_| "the uplink panicked")?;
        outcome?;
        received.check(READINGS_A_RUN * (RESTARTS + 1))
    })
}

/// The box, from one start to the next.
fn run_box(path: &PathBuf, address: SocketAddr, run: u64) -> Outcome {
    let store = Store::options().segment_len(SEGMENT, SEGMENT).open(path)?;
    let stream = match store.list_streams().is_empty() {
        // A power cut may take the last fifth of a second of readings; nobody waits for a disk.
        true => store.create_stream(
            "readings",
            StreamOptions::new()
                .durability(Durability::Periodic(Duration::from_millis(200)))
                .retention(Retention::of_bytes(DISK)),
        )?,
        false => store.open_stream("readings")?,
    };
    let measuring = AtomicUsize::new(SENSORS.len());
    let last_run = run == RESTARTS;
    let failures = thread::scope(|scope| {
        let sensors = SENSORS.map(|sensor| {
            let (stream, measuring) = (&stream, &measuring);
            scope.spawn(move || {
                let outcome = measure(stream, sensor, run);
                measuring.fetch_sub(1, Ordering::Release);
                outcome
            })
        });
        let failures = forward(&stream, address, &measuring, last_run);
        for sensor in sensors {
            sensor.join().map_err(|_| "a sensor panicked")??;
        }
        failures
    })?;
    let lag: u64 = stream.consumer_lag("uplink")?.iter().map(|shard| shard.records).sum();
    println!("run {run}: {failures} sends failed, {lag} readings left for the next run");
    if last_run {
        hold_down(&stream)?;
    }
    drop(stream);
    Ok(store.close()?)
}

/// A sensor: readings under its name, which keeps them in order.
fn measure(stream: &Stream, sensor: &str, run: u64) -> Outcome {
    for number in run * READINGS_A_RUN..(run + 1) * READINGS_A_RUN {
        let samples = (0..1000).map(|sample| (sample * number) % 997).collect();
        let reading = Reading { sensor: sensor.to_owned(), number, samples };
        stream.put(sensor, serde_json::to_vec(&reading)?)?;
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Forwards what there is, as often as it takes, and returns how many times the uplink did not acknowledge. Except in the last
/// run, it stops like a box whose plug is pulled: after a batch has been sent and before its checkpoint.
fn forward(stream: &Stream, address: SocketAddr, measuring: &AtomicUsize, to_the_end: bool) -> Outcome<u64> {
    let mut consumer = stream.consumer("uplink")?;
    let mut failures = 0;
    loop {
        // Asked before polling: what comes up empty after this is empty for good.
        let measured = measuring.load(Ordering::Acquire) == 0;
        let batch = consumer.poll(32, Duration::from_millis(50))?;
        if batch.is_empty() && measured {
            return Ok(failures);
        }
        if !batch.is_empty() {
            failures += send_until_acknowledged(address, &batch)?;
        }
        let behind: u64 = consumer.lag().iter().map(|shard| shard.records).sum();
        if measured && behind <= LEFT_BEHIND && !to_the_end {
            return Ok(failures);
        }
        consumer.checkpoint()?;
    }
}

/// Returns how often it was in vain.
fn send_until_acknowledged(address: SocketAddr, batch: &[OwnedRecord]) -> Outcome<u64> {
    let mut pause = Duration::from_millis(5);
    for failures in 0..200 {
        match send(address, batch) {
            Ok(()) => return Ok(failures),
            Err(_) => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(100));
    }
    Err("the uplink does not come back".into())
}

/// Sends a batch and waits for the uplink's acknowledgement, a byte.
fn send(address: SocketAddr, batch: &[OwnedRecord]) -> io::Result<()> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufWriter::new(&connection);
    for record in batch {
        lines.write_all(record.data())?;
        lines.write_all(b"\n")?;
    }
    lines.flush()?;
    drop(lines);
    connection.shutdown(Shutdown::Write)?;
    connection.read_exact(&mut [0])
}

/// Retention is applied every few seconds; all readings together are more than it leaves.
fn hold_down(stream: &Stream) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let bytes = stream.stats().total.bytes;
        if bytes <= DISK {
            println!("the readings take {} KiB on disk, of {} KiB", bytes >> 10, DISK >> 10);
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("retention leaves {bytes} bytes, more than {DISK}").into());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// What has come to the other end.
#[derive(Default)]
struct Received {
    bytes: usize,
    /// For each sensor, the number of the next reading that has not been here before.
    next: BTreeMap<String, u64>,
    again: u64,
    missed: u64,
    broken: u64,
}

/// The other end: down for three connections of ten, and once in ten its acknowledgement is lost.
fn uplink(listener: &TcpListener, stopped: &AtomicBool) -> Received {
    let mut received = Received::default();
    for (count, connection) in listener.incoming().enumerate() {
        if stopped.load(Ordering::Acquire) {
            break;
        }
        let acknowledges = count % 10 != 8;
        let outcome = match connection {
            Ok(_) if (4..7).contains(&(count % 10)) => Ok(()), // down
            Ok(connection) => received.receive(&connection, acknowledges),
            Err(error) => Err(error),
        };
        // What was on its way is sent again.
        received.broken += u64::from(outcome.is_err());
    }
    received
}

impl Received {
    fn receive(&mut self, mut connection: &TcpStream, acknowledges: bool) -> io::Result<()> {
        for line in BufReader::new(connection).lines() {
            let line = line?;
            let reading: Reading = serde_json::from_str(&line)?;
            self.bytes += line.len();
            let next = self.next.entry(reading.sensor).or_default();
            match reading.number.cmp(next) {
                Less => self.again += 1,
                Equal => *next += 1,
                Greater => self.missed += 1,
            }
        }
        if acknowledges { connection.write_all(b"+") } else { Ok(()) }
    }

    /// At least once, and in order.
    fn check(&self, expected: u64) -> Outcome {
        let Self { bytes, next, again, missed, broken } = self;
        println!("the uplink has {} KiB, and of each sensor {next:?}", bytes >> 10);
        println!("{again} readings came again, {missed} out of order; {broken} connections broke");
        let complete = SENSORS.iter().all(|sensor| next.get(*sensor) == Some(&expected));
        if complete && *missed == 0 && *again > 0 && next.len() == SENSORS.len() {
            return Ok(());
        }
        Err(format!("expected {expected} readings of each sensor in order, and some of them twice").into())
    }
}
