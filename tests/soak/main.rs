//! Everything at once, for a while: writers, named consumers with workers that come and go, retention, resharding, readers in
//! another process, and kills.
//!
//! Guards against what only shows when all of it meets: records that get lost, doubled or out of order between a put that
//! races with a split, a worker that ends and a segment that goes; and against memory, mappings, descriptors or disk that are
//! not given back. Counts in are counts out for each key, but for what retention took and told of; nothing is delivered twice
//! unless a worker or the process has ended before its checkpoint.
//!
//! `RIVERBED_SOAK_SECONDS` says how long (12), `RIVERBED_SEED` repeats the choices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and the counts are printed")]
#![allow(unreachable_pub, reason = "shared by the modules of a test")]

#[path = "../common/child.rs"]
mod child;
mod consume;
mod follow;
mod ledger;
mod record;
#[path = "../common/usage.rs"]
mod usage;
mod work;

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use usage::Usage;
use work::Task;

/// Has a panic of any thread reported, and ends the process.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        child::report(&format!("error {panic}\n").replace(['\n', '\r'], " "));
        child::report("\n");
        std::process::exit(1);
    }));
}

#[test]
fn child_works() {
    let Some(task) = child::task() else { return };
    report_panics();
    work::work(&Task::parse(&task));
    child::report("ended\n");
}

#[test]
fn child_follows() {
    let Some(directory) = child::task() else { return };
    report_panics();
    follow::follow(Path::new(&directory));
}

/// Collects what a child reports until it ends, which it does in good order.
fn collect(who: &'static str, started: child::Started) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let (lines, status) = started.finish();
        check(who, &lines);
        assert!(status.success(), "the {who} died: {status}");
        assert!(lines.iter().any(|line| line == "ended"));
        lines
    })
}

fn check(who: &str, lines: &[String]) {
    if let Some(error) = lines.iter().find(|line| line.starts_with("error")) {
        panic!("the {who} says: {error}");
    }
}

fn usages(lines: &[String]) -> Vec<Usage> {
    lines.iter().filter_map(|line| Usage::parse(line)).collect()
}

fn follow(directory: &Path) -> child::Started {
    let mut follower = child::start("child_follows", directory.to_str().unwrap());
    follower.line_starting(&["following"]);
    follower
}

#[test]
fn what_goes_in_comes_out_once_and_in_order_and_nothing_grows() {
    let seed = child::seed("soak");
    let time = Duration::from_secs(child::number("RIVERBED_SOAK_SECONDS", 12));
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let directory = directory.path();
    let short = time < Duration::from_secs(60);
    let task = |run, millis| Task {
        run,
        seed,
        millis,
        retention_millis: if short { 4000 } else { 10_000 },
        reshard_millis: if short { 300 } else { 1000 },
        directory: directory.to_str().unwrap().to_owned(),
    };

    // A third of the time goes to lives that end by a kill, of the writing process and now and then of a reader.
    let start = Instant::now();
    let steady = collect("steady follower", follow(directory));
    let mut other = follow(directory);
    let (mut run, mut other_kills) = (0, 0);
    while start.elapsed() < time / 3 {
        let mut worker = child::start("child_works", &task(run, 0).line());
        worker.line_starting(&["ready"]);
        let life = random.u64(..if short { 2000 } else { 12_000 });
        thread::sleep(Duration::from_millis(life));
        check("worker", &worker.kill());
        if random.bool() {
            check("other follower", &other.kill());
            other = follow(directory);
            other_kills += 1;
        }
        run += 1;
    }
    let other = collect("other follower", other);

    let left = time.saturating_sub(start.elapsed()).as_millis();
    let last = child::start("child_works", &task(run, u64::try_from(left).unwrap().max(1)).line());
    let worked = collect("worker", last).join().unwrap();
    std::fs::write(directory.join(follow::DONE), "").unwrap();
    let followed = [steady.join().unwrap(), other.join().unwrap()];
    println!(
        "{} s; the writing process was killed {run} times, a reader {other_kills} times",
        start.elapsed().as_secs()
    );
    for line in worked.iter().chain(followed.iter().flatten()) {
        if let Some(counts) = line.strip_prefix("counts ") {
            println!("{counts}");
        }
    }

    // Followers came to the last record of each key as well.
    let puts = ledger::PutLedger::open(directory, run);
    for lines in &followed {
        let ends: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("last ")).collect();
        assert_eq!(ends.len(), record::KEYS);
        for (key, end) in ends.into_iter().enumerate() {
            assert_eq!(end, format!("{key} {run} {}", puts.now(key).acknowledged - 1));
        }
    }
    usage::check_flat("the writing process", &usages(&worked));
    usage::check_flat("the reading process", &usages(&followed[0]));
}
