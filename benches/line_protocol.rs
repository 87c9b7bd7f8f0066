//! Reading line protocol, beside the crate that InfluxDB v3 publishes its parser as.
//!
//! Both read the same bodies in the same run and touch all they read: every measurement, key, value and time. Then the same
//! text goes into a stream of four shards and is read from there, in points per second beside reading the text alone.
#![expect(clippy::print_stderr, reason = "a bench without its data says so")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use riverbed::line_protocol::{Dialect, LineWriter, ParseOptions, Parser};
use riverbed::point::{LineOptions, PointDecoder, PointTime};
use riverbed::{Durability, Position, PutRecord, Store, Stream, StreamOptions};

const FILES: [&str; 2] = ["nab_metrics.lp", "bay-area-weather.lp"];
const NO_TIME: PointTime = PointTime::from_nanos(0);

/// The body in a file of real data, from the folder that `RIVERBED_DATA` names or else `../shared/data`.
fn body(name: &str) -> Option<String> {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("RIVERBED_DATA").map_or_else(fallback, PathBuf::from).join(name);
    std::fs::read_to_string(path).ok()
}

fn read_ours(body: &str, dialect: Dialect) -> usize {
    let mut parser = Parser::new(body.as_bytes(), ParseOptions::new(dialect, NO_TIME));
    let mut points = 0;
    while let Some(point) = parser.next_point() {
        if let Ok(point) = point {
            black_box(&point);
            points += 1;
        }
    }
    points
}

fn read_theirs(body: &str) -> usize {
    let mut points = 0;
    for point in influxdb_line_protocol::parse_lines(body).flatten() {
        black_box(&point);
        points += 1;
    }
    points
}

fn parse(criterion: &mut Criterion) {
    for name in FILES {
        let Some(body) = body(name) else {
            eprintln!("SKIPPED {name}: name its folder in RIVERBED_DATA");
            continue;
        };
        assert_eq!(read_ours(&body, Dialect::V3), read_theirs(&body));
        let mut group = criterion.benchmark_group(format!("parse/{name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
            let id = BenchmarkId::new("riverbed", format!("{dialect:?}"));
            group.bench_with_input(id, &body, |bench, body| bench.iter(|| read_ours(body, dialect)));
        }
        let id = BenchmarkId::new("influxdb-line-protocol", "2.0.0");
        group.bench_with_input(id, &body, |bench, body| bench.iter(|| read_theirs(body)));
        group.finish();
    }
}

fn write(criterion: &mut Criterion) {
    for name in FILES {
        let Some(body) = body(name) else { continue };
        let mut group = criterion.benchmark_group(format!("rewrite/{name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input("riverbed", &body, |bench, body| {
            let mut out = Vec::with_capacity(2 * body.len());
            bench.iter(|| {
                out.clear();
                let mut parser = Parser::new(body.as_bytes(), ParseOptions::new(Dialect::V2Server, NO_TIME));
                while let Some(point) = parser.next_point() {
                    let written =
                        point.ok().and_then(|point| LineWriter::new().write_ref(&point, &mut out).ok());
                    assert!(written.is_some());
                    out.push(b'\n');
                }
                out.len()
            });
        });
        group.finish();
    }
}

/// Lines in a body: as many as InfluxDB recommends.
const BODY_LINES: usize = 5_000;
/// How much text is put before the stream is emptied again.
const ROUND: usize = 128 << 20;

/// A stream of four shards, which never has more than a round of text.
struct Target {
    _directory: tempfile::TempDir,
    store: Store,
    stream: Stream,
    put: usize,
}

impl Target {
    fn new() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = Store::options()
            .durability(Durability::Buffered)
            .segment_len(64 << 20, 64 << 20)
            .open(directory.path().join("data"))
            .unwrap();
        let stream = store.create_stream("bench", StreamOptions::new().shards(4)).unwrap();
        Self { _directory: directory, store, stream, put: 0 }
    }

    /// Times `count` calls that put a file of `bytes` each.
    fn time(&mut self, count: u64, bytes: usize, put: impl Fn(&Stream)) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..count {
            if self.put >= ROUND {
                self.store.delete_stream("bench").unwrap();
                self.stream = self.store.create_stream("bench", StreamOptions::new().shards(4)).unwrap();
                self.put = 0;
            }
            let started = Instant::now();
            put(&self.stream);
            spent += started.elapsed();
            self.put += bytes;
        }
        spent
    }
}

/// Measurement and tags of a line of these files.
fn key(line: &str) -> &str {
    line.split(' ').next().unwrap_or(line)
}

/// All points of a stream.
fn read_stream(stream: &Stream) -> usize {
    let mut decoder = PointDecoder::new();
    let mut points = 0;
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            let stored = decoder.decode(&record).unwrap();
            black_box(stored.point());
            points += 1;
        }
    }
    points
}

fn stream(criterion: &mut Criterion) {
    for name in FILES {
        let Some(body) = body(name) else { continue };
        let lines: Vec<&str> = body.lines().filter(|line| !line.is_empty()).collect();
        let bodies: Vec<String> = lines.chunks(BODY_LINES).map(|lines| lines.join("\n")).collect();
        let mut group = criterion.benchmark_group(format!("stream/{name}"));
        group.throughput(Throughput::Elements(lines.len() as u64));
        group.bench_function("parse alone", |bencher| {
            bencher.iter(|| bodies.iter().map(|body| read_ours(body, Dialect::V2Server)).sum::<usize>());
        });
        // What the engine takes for the same lines under the same keys.
        group.bench_function("put_records alone", |bencher| {
            let keyed = |line| PutRecord::new(key(line), line);
            let records: Vec<Vec<_>> =
                lines.chunks(BODY_LINES).map(|lines| lines.iter().copied().map(keyed).collect()).collect();
            let mut target = Target::new();
            bencher.iter_custom(|count| {
                target.time(count, body.len(), |stream| {
                    for records in &records {
                        assert_eq!(stream.put_records(records).failed_record_count(), 0);
                    }
                })
            });
        });
        group.bench_function("write_line_protocol", |bencher| {
            let options = LineOptions::new(Dialect::V2Server);
            let mut target = Target::new();
            bencher.iter_custom(|count| {
                target.time(count, body.len(), |stream| {
                    for body in &bodies {
                        stream.write_line_protocol(body, &options).unwrap();
                    }
                })
            });
        });
        group.bench_function("read", |bencher| {
            let target = Target::new();
            for body in &bodies {
                target.stream.write_line_protocol(body, &LineOptions::new(Dialect::V2Server)).unwrap();
            }
            bencher.iter(|| assert_eq!(read_stream(&target.stream), lines.len()));
        });
        group.finish();
    }
}

criterion_group!(benches, parse, write, stream);
criterion_main!(benches);
