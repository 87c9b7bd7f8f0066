//! Records a second that a table takes when it has a million data points: new ones, new versions of those that are there,
//! ones that it rejects, and calls that are sent again; in calls of 100 records as the service takes them, one thread. And
//! what the version index costs for each data point, in memory and on disk.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "what the index costs is no time")]

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use riverbed::measures::{MeasureRecord, MeasureTable, TableOptions, WriteRecordsError};
use riverbed::{Durability, Store, Stream, StreamOptions};
use rustix::time::{ClockId, clock_gettime};

const HOSTS: usize = 10_000;
const TIMES: usize = 100;
const CALL: usize = 100;
/// The calls that it takes to write each data point once.
const CALLS: usize = HOSTS * TIMES / CALL;

/// What a call says, as text.
struct Call {
    hosts: Vec<String>,
    times: Vec<String>,
    value: String,
    version: i64,
}

impl Call {
    /// One time of a hundred hosts: how fleets report.
    fn by_time(number: usize, version: i64, value: i64) -> Self {
        let (time, first) = (number / (HOSTS / CALL), number % (HOSTS / CALL) * CALL);
        let hosts = (first..first + CALL).map(|host| format!("host-{host}")).collect();
        Self {
            hosts,
            times: vec![(1_700_000_000_000 + time).to_string(); CALL],
            value: value.to_string(),
            version,
        }
    }

    /// Any hundred data points.
    fn scattered(rng: &mut fastrand::Rng, version: i64, value: i64) -> Self {
        let hosts = (0..CALL).map(|_| format!("host-{}", rng.usize(..HOSTS))).collect();
        let times = (0..CALL).map(|_| (1_700_000_000_000 + rng.usize(..TIMES)).to_string()).collect();
        Self { hosts, times, value: value.to_string(), version }
    }

    fn common(&self) -> MeasureRecord<'_> {
        let common = MeasureRecord::new().dimension("region", "eu-central-1").measure_name("cpu_utilization");
        common.measure_value(&self.value).version(self.version)
    }

    fn records(&self) -> Vec<MeasureRecord<'_>> {
        let parts = self.hosts.iter().zip(&self.times);
        parts.map(|(host, time)| MeasureRecord::new().dimension("host", host).time(time)).collect()
    }
}

/// What writing some calls took.
#[derive(Default)]
struct Took {
    time: Duration,
    /// Of the writing thread: the steadier figure on a machine that has other things to do.
    cpu: Duration,
    stored: usize,
}

impl Took {
    fn print(&self, what: &str, records: usize) {
        let rate = |time: Duration| records as f64 / time.as_secs_f64();
        let (real, cpu) = (rate(self.time), rate(self.cpu));
        println!("{what}: {real:.0} records/s, {cpu:.0} records/s of CPU time");
    }
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

/// Writes the calls. Making their records is the caller's work, and not counted.
fn write(table: &MeasureTable, calls: &[Call]) -> Took {
    let mut took = Took::default();
    // A few at a time, so that they take no memory to speak of.
    for calls in calls.chunks(20) {
        let prepared: Vec<_> = calls.iter().map(|call| (call.common(), call.records())).collect();
        let (started, cpu) = (Instant::now(), cpu_time());
        for (common, records) in &prepared {
            took.stored += match table.write_records(common, records) {
                Ok(ingested) => ingested.total - ingested.unchanged,
                Err(WriteRecordsError::Rejected(call)) => call.ingested.total - call.ingested.unchanged,
                Err(error) => panic!("{error}"),
            };
        }
        took.time += started.elapsed();
        took.cpu += cpu_time().saturating_sub(cpu);
    }
    took
}

fn open(directory: &Path) -> (Store, Stream) {
    let store = Store::options().durability(Durability::Buffered).open(directory.join("data")).unwrap();
    let stream = match store.open_stream("metrics") {
        Ok(stream) => stream,
        Err(_) => store.create_stream("metrics", StreamOptions::new().shards(4)).unwrap(),
    };
    (store, stream)
}

/// Bytes of this process's memory that are its own: no mapped segments.
fn own_memory() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// Fills a table with a million data points and says what its index costs.
fn fill(directory: &Path) {
    let (_store, stream) = open(directory);
    let table = MeasureTable::open(&stream, TableOptions::new().any_time()).unwrap();
    let calls: Vec<_> = (0..CALLS).map(|number| Call::by_time(number, 1, 1)).collect();
    let before = own_memory();
    let took = write(&table, &calls);
    let points = HOSTS * TIMES;
    assert_eq!(took.stored, points);
    took.print("a million new data points, by time", points);
    let full = own_memory();
    table.checkpoint().unwrap();
    let kept = own_memory();
    if let (Some(before), Some(full), Some(kept)) = (before, full, kept) {
        let per = |now: i64| (now - before) as f64 / points as f64;
        println!("memory: {:.1} bytes a data point, {:.1} with nothing pending", per(full), per(kept));
    }
    let index = std::fs::metadata(directory.join("data/streams/metrics/versions.redb")).unwrap().len();
    println!("version index on disk: {:.1} bytes a data point", index as f64 / points as f64);
    let mut rng = fastrand::Rng::with_seed(7);
    let part = CALLS / 5;
    let again: Vec<_> = (0..part).map(|number| Call::by_time(number, 1, 1)).collect();
    let took = write(&table, &again);
    assert_eq!(took.stored, 0);
    took.print("sent again", part * CALL);
    let stale: Vec<_> = (0..part).map(|_| Call::scattered(&mut rng, 1, 3)).collect();
    let took = write(&table, &stale);
    assert_eq!(took.stored, 0);
    took.print("rejected, of any data points", part * CALL);
    let newer: Vec<_> = (0..part).map(|number| Call::by_time(number, 2, 2)).collect();
    let took = write(&table, &newer);
    assert_eq!(took.stored, part * CALL);
    took.print("new versions, by time", part * CALL);
    let newer: Vec<_> = (3..).take(part).map(|version| Call::scattered(&mut rng, version, 2)).collect();
    let took = write(&table, &newer);
    took.print("new versions of any data points", part * CALL);
    drop(table);
    let started = Instant::now();
    let table = MeasureTable::open(&stream, TableOptions::new().any_time()).unwrap();
    println!("opening the table again: {:.2?}", started.elapsed());
    drop(table);
    std::fs::remove_file(directory.join("data/streams/metrics/versions.redb")).unwrap();
    let started = Instant::now();
    drop(MeasureTable::open(&stream, TableOptions::new().any_time()).unwrap());
    println!("making the index anew from the stream: {:.2?}", started.elapsed());
}

fn measures(criterion: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fill(directory.path());
    let (_store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, TableOptions::new().any_time()).unwrap();
    let mut group = criterion.benchmark_group("write_records");
    group.sample_size(10).throughput(Throughput::Elements(CALL as u64));
    let next = Cell::new(CALLS);
    let version = Cell::new(i64::try_from(CALLS).unwrap());
    let rng = Cell::new(fastrand::Rng::with_seed(1));
    let scattered = |version, value| {
        let mut rng_now = rng.take();
        let call = Call::scattered(&mut rng_now, version, value);
        rng.set(rng_now);
        call
    };
    let new = || Call::by_time(next.replace(next.get() + 1), 1, 1);
    let upserted = || scattered(version.replace(version.get() + 1) + 1, 2);
    let rejected = || scattered(1, 3);
    let mut bench = |name: &str, call: &dyn Fn() -> Call, all_stored: bool| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let calls: Vec<_> = (0..iterations).map(|_| call()).collect();
                let took = write(&table, &calls);
                // A data point that comes twice in a call is stored once at most.
                let least = if all_stored { calls.len() * CALL * 9 / 10 } else { 0 };
                assert!(took.stored >= least && (all_stored || took.stored == 0));
                took.time
            });
        });
    };
    bench("new data points, by time", &new, true);
    bench("rejected, of any data points", &rejected, false);
    bench("new versions of any data points", &upserted, true);
    group.finish();
}

criterion_group!(benches, measures);
criterion_main!(benches);
