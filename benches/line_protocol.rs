//! Reading line protocol, beside the crate that InfluxDB v3 publishes its parser as.
//!
//! Both read the same bodies in the same run and touch all they read: every measurement, key, value and time.
#![expect(clippy::print_stderr, reason = "a bench without its data says so")]

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use riverbed::line_protocol::{Dialect, LineWriter, ParseOptions, Parser};
use riverbed::point::PointTime;

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

criterion_group!(benches, parse, write);
criterion_main!(benches);
