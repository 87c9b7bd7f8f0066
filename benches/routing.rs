//! What finding a key's shard costs.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use md5::{Digest as _, Md5};
use riverbed::HashKey;

fn hash(criterion: &mut Criterion) {
    for len in [16, 55, 256] {
        let key = "k".repeat(len);
        let mut group = criterion.benchmark_group(format!("hash/{len}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("bare md5", |bencher| bencher.iter(|| Md5::digest(black_box(key.as_bytes()))));
        group.bench_function("HashKey::of", |bencher| bencher.iter(|| HashKey::of(black_box(&key))));
        group.finish();
    }
}

criterion_group!(benches, hash);
criterion_main!(benches);
