//! What runs in a process of its own: one measurement of one peer, so that none inherits another's memory, threads or globals,
//! and so that one can be killed. It tells its figures in a line that the parent reads.

use std::io::Write;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::peer::{Filling, Log, Peer};
use crate::workload::{BATCH, Mode, READ_RECORDS, REOPEN_RECORDS, Workload, noise};

/// How long is measured, and how long is worked before that, so that files have grown and threads have started.
const MEASURED: Duration = Duration::from_millis(500);
const WARM_UP: Duration = Duration::from_millis(150);
/// Less, if this much has been written.
const MEASURED_BYTES: u64 = 256 << 20;
const WARM_UP_BYTES: u64 = 64 << 20;

/// The line's first word, apart from whatever a peer prints.
pub const ANSWER: &str = "measured";

/// How much was done in which time, and how many records were there at the end where that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub records: u64,
    pub nanos: u64,
    pub kept: u64,
}

fn answer(figures: Figures) {
    println!("\n{ANSWER} {} {} {}", figures.records, figures.nanos, figures.kept);
    std::io::stdout().flush().unwrap();
}

impl Figures {
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(ANSWER)?.split_whitespace().map(str::parse);
        let mut next = || words.next()?.ok();
        Some(Self { records: next()?, nanos: next()?, kept: next()? })
    }

    fn new(records: u64, elapsed: Duration, kept: u64) -> Self {
        Self { records, nanos: u64::try_from(elapsed.as_nanos()).unwrap(), kept }
    }
}

/// Puts records into `path` for another process to read, and closes; or, for [`Workload::Reopen`], tells that they have been
/// acknowledged and waits to be killed.
pub fn fill(peer: &Peer, workload: Workload, path: &Path) {
    let mode = match peer.filling {
        Filling::SyncedBatches => Mode::Synced,
        Filling::Batches | Filling::Singles => Mode::Unsynced,
    };
    let log = (peer.open)(path, mode, workload);
    let batch = vec![noise(workload.record_len()); BATCH];
    let count = if workload == Workload::Reopen { REOPEN_RECORDS } else { READ_RECORDS };
    for first in (1..=count).step_by(BATCH) {
        if peer.filling == Filling::Singles {
            (first..).zip(&batch).for_each(|(sequence, data)| log.append(0, sequence, data));
        } else {
            log.append_batch(first, &batch);
        }
    }
    if workload == Workload::Reopen {
        answer(Figures::new(count, Duration::ZERO, 0));
        loop {
            std::thread::park();
        }
    }
    log.close();
    answer(Figures::new(count, Duration::ZERO, 0));
}

/// Measures what [`fill`] left, or what there is to measure without it.
pub fn measure(peer: &Peer, workload: Workload, path: &Path) {
    let started = Instant::now();
    let log = (peer.open)(path, workload.mode(), workload);
    let opened = started.elapsed();
    let figures = match workload {
        Workload::Read => {
            let started = Instant::now();
            let sum = std::hint::black_box(log.read_all());
            let figures = Figures::new(sum.records, started.elapsed(), sum.records);
            assert_eq!(
                sum.bytes,
                sum.records * workload.record_len() as u64,
                "records have changed their size"
            );
            assert_eq!(sum.records, READ_RECORDS, "records are missing");
            figures
        }
        Workload::Reopen => Figures::new(REOPEN_RECORDS, opened, log.read_all().records),
        Workload::Append(len) => appending(&*log, 1, len, if len > 4096 { 8 } else { 64 }),
        Workload::Synced(threads) => appending(&*log, threads, workload.record_len(), 1),
        Workload::Batch | Workload::BatchSynced => batches(&*log, workload.record_len()),
    };
    answer(figures);
    // A log that was opened to be measured is thrown away: how long it takes to close is nobody's question here.
    std::process::exit(0);
}

/// Threads that append one record a call; the clock is read every `step` calls.
fn appending(log: &dyn Log, threads: usize, len: usize, step: u64) -> Figures {
    let data = noise(len);
    let barrier = Barrier::new(threads);
    let run = &|writer: usize| {
        let mut sequence = 0;
        let mut until = |limit: Duration, bytes: u64| {
            barrier.wait();
            let before = sequence;
            let started = Instant::now();
            while started.elapsed() < limit && (sequence - before) * (len as u64) < bytes / threads as u64 {
                for _ in 0..step {
                    sequence += 1;
                    log.append(writer, sequence, &data);
                }
            }
            (sequence - before, started.elapsed())
        };
        until(WARM_UP, WARM_UP_BYTES);
        until(MEASURED, MEASURED_BYTES)
    };
    let results: Vec<(u64, Duration)> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|writer| scope.spawn(move || run(writer))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    let records = results.iter().map(|result| result.0).sum();
    let slowest = results.iter().map(|result| result.1).max().unwrap_or_default();
    Figures::new(records, slowest, 0)
}

fn batches(log: &dyn Log, len: usize) -> Figures {
    let batch = vec![noise(len); BATCH];
    let bytes = (BATCH * len) as u64;
    let mut first = 1;
    let mut until = |limit: Duration, most: u64| {
        let before = first;
        let started = Instant::now();
        while started.elapsed() < limit && (first - before) / (BATCH as u64) * bytes < most {
            log.append_batch(first, &batch);
            first += BATCH as u64;
        }
        (first - before, started.elapsed())
    };
    until(WARM_UP, WARM_UP_BYTES);
    let (records, elapsed) = until(MEASURED, MEASURED_BYTES);
    Figures::new(records, elapsed, 0)
}
