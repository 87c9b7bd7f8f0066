//! What finding a key's shard costs.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use md5::{Digest as _, Md5};
use riverbed::HashKey;
use riverbed::internals::md5::Md5Level;

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

/// As many keys as Kinesis's `PutRecords` takes, with the `md-5` crate and with each level that the processor has.
fn md5(criterion: &mut Criterion) {
    const KEYS: u64 = 500;
    for len in [16, 55] {
        let keys: Vec<String> = (0..KEYS).map(|number| format!("{number:k<len$}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut hash_keys = vec![HashKey::MIN; keys.len()];
        let mut group = criterion.benchmark_group(format!("md5/{len}"));
        group.throughput(Throughput::Elements(KEYS));
        group.bench_function("bare md5, one by one", |bencher| {
            bencher.iter(|| {
                for (key, hash_key) in black_box(&keys).iter().zip(&mut hash_keys) {
                    let digest = Md5::digest(key.as_bytes());
                    *hash_key = HashKey::from(u128::from_be_bytes(digest.into()));
                }
                black_box(&mut hash_keys);
            });
        });
        for level in Md5Level::all() {
            group.bench_function(level.name(), |bencher| {
                bencher.iter(|| {
                    level.hash_each(black_box(&keys), &mut hash_keys);
                    black_box(&mut hash_keys);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, hash, md5);
criterion_main!(benches);
