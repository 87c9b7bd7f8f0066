# What people do here, by name. `just` lists them.

default:
    @just --list

# The gate.
ci:
    .ci/run

test:
    cargo test

lint:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features --open

bench *ARGS:
    cargo bench {{ ARGS }}

# Instructions of the hot paths, against the committed limits (valgrind).
counts *PATHS:
    .ci/counts.py {{ PATHS }}

# How long single appends and wake-ups take: tables printed, charts into docs/benchmarks.
latency:
    cargo bench --bench latency -- --out docs/benchmarks

# Memory and disk that a store takes while gigabytes are written and read.
footprint GIB="4":
    RIVERBED_GIB={{ GIB }} cargo bench --bench footprint

# Beside other logs and stores: figures and charts to docs/benchmarks (compiles RocksDB for half an hour, see there).
peers *ARGS:
    cd benches/peers && cargo run --release -- {{ ARGS }}

# Simulated power cuts, as many histories as you like.
powercut HISTORIES="10000" SEED="1":
    RIVERBED_POWERCUT_HISTORIES={{ HISTORIES }} RIVERBED_POWERCUT_SEED={{ SEED }} \
        cargo test --release --test power_cut --test consumers_power_cut -- --nocapture

# kill -9 and real power cuts on loop devices (root).
crash KILLS="200" CUTS="50":
    RIVERBED_KILLS={{ KILLS }} RIVERBED_CUTS={{ CUTS }} \
        cargo test --release --test kill --test consumers_kill --test real_power_cut -- --nocapture

# Everything at once, for so many minutes: writers, consumers, retention, resharding, other processes, kills.
soak MINUTES="5":
    RIVERBED_SOAK_SECONDS=$(({{ MINUTES }} * 60)) cargo test --release --test soak -- --nocapture

# So many shards in one store: time, memory, mappings, descriptors.
shards COUNT="10000":
    RIVERBED_SHARDS={{ COUNT }} cargo test --release --test many_shards -- --nocapture

# How long opening takes after a close and after a kill.
reopen:
    cargo test --release --test reopen_times -- --ignored --nocapture

# Breaks every guarantee once and checks that a test notices.
mutations *NAMES:
    .ci/mutations.py {{ NAMES }}

loom:
    RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 CARGO_TARGET_DIR=target/loom cargo test --release --lib loom

fuzz TARGET SECONDS="60":
    cargo +nightly fuzz run {{ TARGET }} -- -max_total_time={{ SECONDS }}
