//! Killing the writing process at any moment loses nothing that was acknowledged, whatever its durability.
//!
//! Guards against acknowledging before publishing, against recovery that drops good frames or serves torn ones,
//! and against numbers that are given twice. The crashes add up: the same store is killed again and again.
//! `RIVERBED_KILLS` says how often, `RIVERBED_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and the seed is printed")]

#[path = "common/child.rs"]
mod child;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use child::{Ack, Records, Task};

/// A store grows until it has so many records; then the next one is begun.
const RECORDS: usize = 20_000;

#[test]
fn child_writes() {
    child::write_if_child();
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let seed = child::seed("kill");
    let kills = child::number("RIVERBED_KILLS", 40);
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (mut stores, mut acknowledged, mut unacknowledged, mut most_segments) = (0, 0, 0, 0);
    let mut durabilities = [0_u64; 2];
    let mut known = Records::new();
    for run in 0..kills {
        if run == 0 || known.len() > RECORDS {
            stores += 1;
            known.clear();
        }
        let task = Task {
            path: directory.path().join(format!("store-{stores}")),
            run,
            writers: random.u64(1..6),
            shards: 3,
            segment_len: 64 * 1024,
            durabilities: (*random.choice(&["BPI", "B", "P", "I", "M", "MB"]).unwrap()).to_owned(),
        };
        let context = format!("kill {run} of RIVERBED_SEED={seed}, {task:?}");
        let acks = run_and_kill(&task, &mut random);
        acknowledged += acks.len();
        for ack in &acks {
            durabilities[usize::from(ack.immediate)] += 1;
        }
        let acks: Records = acks.into_iter().map(|ack| (ack.number, ack.id)).collect();
        child::check_new_above(&known, &acks);

        // Sometimes looks at a copy, so that the next child finds the store as the kill left it.
        let copy = directory.path().join("copy");
        let path = if random.bool() { copy_store(&task.path, &copy) } else { &task.path };
        let store = child::open(path, task.segment_len);
        println!("{context}: {} acknowledged", acks.len());
        let found = child::read_checked(&store);
        // What was served once stays, acknowledged or not.
        child::check_there(&known, &found, "formerly served");
        child::check_there(&acks, &found, "acknowledged");
        child::check_new_above(&known, &found);
        unacknowledged += found.len() - known.len() - acks.len();
        let segments = store.recovery_report().shards.iter().map(|shard| shard.segments).sum::<usize>();
        most_segments = most_segments.max(segments);
        known = found;
        store.close().unwrap();
    }
    println!(
        "{kills} kills, {stores} stores of up to {most_segments} segments: {acknowledged} records acknowledged \
         ({} of them Immediate), none lost; {unacknowledged} more were found whole",
        durabilities[1]
    );
    assert!(kills < 10 || acknowledged > 1000, "the children hardly wrote anything");
}

fn copy_store<'a>(from: &Path, to: &'a Path) -> &'a Path {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    let copied = Command::new("cp").arg("-r").args([from, to]).status().unwrap();
    assert!(copied.success());
    to
}

/// Lets a child write, kills it at a random moment, and returns what it acknowledged.
fn run_and_kill(task: &Task, random: &mut fastrand::Rng) -> Vec<Ack> {
    let mut child = task.start("child_writes");
    let mut acks = Vec::new();
    child.line_starting(&["opening"]);
    // One in eight dies while it opens the store; the others after so many acknowledgements.
    if random.u8(..8) > 0 {
        let most = *random.choice(&[30, 2500]).unwrap();
        let target = random.usize(..most);
        child.line_starting(&["ready"]);
        while acks.len() < target {
            acks.extend(Ack::parse(&child.line_starting(&["ack"])));
        }
    }
    // Not to wait for anything: to hit any moment.
    std::thread::sleep(Duration::from_micros(random.u64(..3000)));
    acks.extend(child.kill().iter().filter_map(|line| Ack::parse(line)));
    acks
}
