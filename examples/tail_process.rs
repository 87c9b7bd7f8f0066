//! Tailing from another process: this one writes, and a child of it follows the same directory with `Store::open_read_only`,
//! without a lock, a socket or a server. The child measures how long after its arrival it has each record in hand.
//!
//! `cargo run --release --example tail_process [DIRECTORY: a new one, to keep the store in]`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use riverbed::{Clock as _, Position, Store, StreamOptions, SystemClock};

const RECORDS: u64 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(argument) if argument == "--follow" => {
            follow(Path::new(&arguments.next().ok_or("--follow takes a directory")?))
        }
        Some(path) => write(&PathBuf::from(path)),
        None => write(&tempfile::tempdir()?.path().join("data")),
    }
}

/// The process that writes.
fn write(path: &Path) -> Result<(), Box<dyn Error>> {
    let store = Store::open(path)?;
    let ticks = store.create_stream("ticks", StreamOptions::new())?;
    let follower = Follower::start(path)?;
    for number in 0..RECORDS {
        ticks.put("clock", number.to_le_bytes())?;
        // Most of the time somebody has to be woken; every tenth record comes in a burst.
        if number % 10 != 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    println!("{RECORDS} records written");
    follower.finish()
}

/// The process that follows, as the writing one sees it.
struct Follower {
    process: Child,
    /// Shows what it prints.
    output: JoinHandle<()>,
}

impl Follower {
    /// Starts it and waits until it follows.
    fn start(path: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("--follow").arg(path).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take();
        let mut lines = BufReader::new(stdout.ok_or("the follower has no output")?).lines();
        if lines.next().transpose()?.as_deref() != Some("following") {
            return Err("the follower has not begun".into());
        }
        // The rest is for whoever reads our own output.
        let relay = move || lines.map_while(Result::ok).for_each(|line| println!("follower: {line}"));
        Ok(Self { process: child, output: thread::spawn(relay) })
    }

    fn finish(mut self) -> Result<(), Box<dyn Error>> {
        let status = self.process.wait()?;
        self.output.join().map_err(|_| "the follower's output was lost")?;
        if status.success() { Ok(()) } else { Err(format!("the follower has failed: {status}").into()) }
    }
}

/// The other process: follows the stream and checks that it misses nothing.
fn follow(path: &Path) -> Result<(), Box<dyn Error>> {
    let store = Store::open_read_only(path)?;
    let ticks = store.open_stream("ticks")?;
    let shard = *ticks.shards()?.first().ok_or("the stream has no shard")?;
    let mut reader = ticks.reader(shard.id, Position::TrimHorizon)?;
    println!("following");

    let clock = SystemClock::precise();
    let mut delays = Vec::new();
    for expected in 0..RECORDS {
        if !reader.wait(Duration::from_secs(30))? {
            return Err(format!("record {expected} did not come").into());
        }
        let record = reader.next()?.ok_or("woken for nothing")?;
        delays.push(clock.now().since(record.arrival_time()));
        if record.data() != expected.to_le_bytes() {
            return Err(format!("{:?} came instead of record {expected}", record.data()).into());
        }
    }
    delays.sort_unstable();
    let part = |percent: usize| delays.get(delays.len() * percent / 100).copied().unwrap_or_default();
    println!("{} records, none missed, in order", delays.len());
    println!("from arrival to hand: half within {:?}, 90 % {:?}, 99 % {:?}", part(50), part(90), part(99));
    Ok(())
}
