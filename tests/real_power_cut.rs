//! What was acknowledged as `Immediate` survives a power cut on real file systems, whose journals are replayed.
//!
//! Guards against acknowledging before the sync, against directories and lengths that were not synced, and against
//! recovery that takes a torn tail for damage or gives out again the numbers of lost records. A child writes to ext4
//! or xfs on a loop device. Its backing file lies on an xfs of its own and is cloned (`FICLONE`) while the child goes
//! on: that holds up writes to it and shares all its blocks at one instant, which is what a disk has on it when the
//! power goes. A plain copy would not do, since it takes different blocks at different times, as no power cut does.
//! The clone is mounted and its store compared. The last cut of each child becomes the next child's device, so that
//! cuts add up.
//!
//! `RIVERBED_CUTS` says how often per file system, `RIVERBED_SEED` repeats the choices of a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and the seed is printed")]

#[path = "common/child.rs"]
mod child;
#[path = "common/mount.rs"]
mod mount;

use std::path::Path;

use child::{Ack, Id, Records, Started, Task};
use mount::Mount;
use riverbed::{Durability, PutRecord};

const SEGMENT_LEN: u64 = 64 * 1024;
/// Writers from this number on are not the child's: they put what is put after a cut.
const PROBES: u64 = 1000;
/// Cuts for each child.
const CUTS_OF_CHILD: u64 = 5;
/// A store grows until it has so many records; then a new file system is begun.
const RECORDS: usize = 12_000;

#[test]
fn child_writes() {
    child::write_if_child();
}

#[test]
fn immediate_survives_power_cuts_on_ext4() {
    cut("ext4", 128 << 20, "loop");
}

#[test]
fn immediate_survives_power_cuts_on_xfs() {
    // The clone has the same identity as the device that it was cloned from.
    cut("xfs", 320 << 20, "loop,nouuid");
}

/// What is known of a store.
#[derive(Default)]
struct Known {
    /// Must be there after a cut: acknowledged as `Immediate`, or recovered after an earlier cut.
    durable: Records,
    /// Everything that ever got a number, durable or not.
    numbered: Records,
}

impl Known {
    fn forget(&mut self, which: impl Fn(&Id) -> bool) {
        self.durable.retain(|_, id| !which(id));
        self.numbered.retain(|_, id| !which(id));
    }
}

#[derive(Default)]
struct Counts {
    cuts: u64,
    acknowledged: usize,
    immediate: usize,
    not_there: usize,
    torn_tails: u64,
    generations: u64,
}

fn cut(kind: &str, bytes: u64, options: &str) {
    let name = format!("power cuts on {kind}");
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disks = match Mount::formatted(
        &directory.path().join("disks.img"),
        6 << 30,
        "xfs",
        &directory.path().join("disks"),
    ) {
        Ok(disks) => disks,
        Err(why) => return println!("{name}: skipped, no xfs to clone backing files on: {why}"),
    };
    let live = disks.point().join("live.img");
    if let Err(why) = mount::format(&live, bytes, kind) {
        return println!("{name}: skipped, no {kind}: {why}");
    }
    let seed = child::seed(&name);
    let cuts = child::number("RIVERBED_CUTS", 6);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut counts = Counts::default();
    let mut known = Known::default();
    let (at_live, at_cut) = (directory.path().join("live"), directory.path().join("cut"));
    while counts.cuts < cuts {
        if known.durable.len() > RECORDS {
            mount::format(&live, bytes, kind).unwrap();
            known = Known::default();
        }
        let cloned = disks.point().join("cut.img");
        let mounted = Mount::new(&live, kind, options, &at_live).unwrap();
        let task = Task {
            path: mounted.point().join("store"),
            run: counts.generations,
            writers: random.u64(2..9),
            shards: 3,
            segment_len: SEGMENT_LEN,
            durabilities: (*random.choice(&["I", "I", "IM", "IIB", "IP", "B", "P"]).unwrap()).to_owned(),
        };
        counts.generations += 1;
        println!("{name}, RIVERBED_SEED={seed}, after {} cuts: {task:?}", counts.cuts);
        let mut child = task.start("child_writes");
        child.line_starting(&["ready"]);
        let mut after = Known::default();
        let mut untouched = false;
        for _ in 0..CUTS_OF_CHILD.min(cuts - counts.cuts) {
            let most = *random.choice(&[10, 600]).unwrap();
            let target = random.usize(1..most);
            read_acks(&mut child, target, &mut known, &mut counts);
            // The cut: whatever has been read by now was acknowledged before.
            mount::run("cp", &["--reflink=always", mount::text(&live), mount::text(&cloned)]).unwrap();
            // The next child may find the store as the cut left it, or recovered and closed.
            untouched = random.bool();
            let examined = disks.point().join(if untouched { "examined.img" } else { "cut.img" });
            if untouched {
                mount::run("cp", &["--reflink=always", mount::text(&cloned), mount::text(&examined)])
                    .unwrap();
            }
            let recovered = Mount::new(&examined, kind, options, &at_cut).unwrap();
            after = look(&recovered.point().join("store"), task.run, &known, &mut counts);
            counts.cuts += 1;
        }
        child.kill();
        drop(mounted);
        std::fs::rename(&cloned, &live).unwrap();
        // From here on, what came after the cut has never happened.
        known = after;
        if untouched {
            // The examined copy alone has the records that were put into it.
            known.forget(|id| id.writer >= PROBES && id.run == task.run);
        }
    }
    let Counts { cuts, acknowledged, immediate, not_there, torn_tails, generations } = counts;
    println!(
        "{name}: {cuts} cuts of {generations} children: {acknowledged} records acknowledged, {immediate} of them \
         Immediate, of which none was lost; {not_there} times one of the others was not there; {torn_tails} torn tails"
    );
}

fn read_acks(child: &mut Started, count: usize, known: &mut Known, counts: &mut Counts) {
    let mut acks = Records::new();
    for _ in 0..count {
        let ack = Ack::parse(&child.line_starting(&["ack"])).expect("an acknowledgement");
        counts.acknowledged += 1;
        if ack.immediate {
            counts.immediate += 1;
            known.durable.insert(ack.number, ack.id);
        }
        let before = known.numbered.insert(ack.number, ack.id);
        assert!(
            before.is_none_or(|before| before == ack.id),
            "{} was given twice: {before:?}, {ack:?}",
            ack.number
        );
        acks.insert(ack.number, ack.id);
    }
}

/// Opens the store as the cut left it, compares it with what is known, and goes on in it.
fn look(path: &Path, run: u64, known: &Known, counts: &mut Counts) -> Known {
    let store = child::open(path, SEGMENT_LEN);
    let report = store.recovery_report();
    counts.torn_tails += report.findings().filter(|(_, found)| found.dropped_bytes > 0).count() as u64;
    let found = child::read_checked(&store);
    child::check_there(&known.durable, &found, "durable");
    for (number, id) in &found {
        let before = known.numbered.get(number);
        assert!(before.is_none_or(|before| before == id), "{number} was {before:?} and is {id:?}");
    }
    let of_child = known.numbered.iter().filter(|(_, id)| id.run == run);
    counts.not_there += of_child.filter(|(number, _)| !found.contains_key(number)).count();
    let mut numbered = known.numbered.clone();
    numbered.extend(&found);
    // What goes on gets numbers above everything that may have been handed out, lost or not.
    let stream = store.open_stream("s").unwrap();
    let highest = child::highest(&numbered);
    let mut durable = found;
    for shard in stream.shards() {
        let id = Id { run, writer: PROBES + u64::from(shard.id.as_u32()), index: counts.cuts };
        let (key, data) = (id.key(), id.data());
        let record = PutRecord::new(&key, &data).explicit_hash_key(shard.range.start);
        let put = stream.put_record(&record.durability(Durability::Immediate)).unwrap();
        let number = put.sequence_number.as_u128();
        let highest = highest.get(&shard.id.as_u32());
        assert!(highest < Some(&number), "a new record got {number}, not above {highest:?}");
        numbered.insert(number, id);
        durable.insert(number, id);
    }
    store.close().unwrap();
    Known { durable, numbered }
}
