//! Order per key: whatever is tried again, nothing of the same key overtakes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use riverbed::write::{Outcome, WriteOptions};

use super::support::{Answer, Bench, Call, Numbered, Refused, SECOND, accepted, item};

fn busy() -> Answer {
    Outcome::Retry { error: Refused("busy"), retry_after: None }
}

#[test]
fn later_items_of_a_key_wait_for_its_retry_and_others_do_not() {
    let mut attempts = 0;
    let script = move |batch: &[Numbered]| -> Vec<Answer> {
        let answer =
            |item: &Numbered| if item.key == "slow" { busy() } else { Outcome::Accepted(item.number) };
        if batch.iter().any(|item| item.key == "slow") {
            attempts += 1;
        }
        if attempts > 2 { accepted(batch) } else { batch.iter().map(answer).collect() }
    };
    let bench = Bench::new(WriteOptions::new(), script);
    bench.writer().write(item("slow", 0)).unwrap();
    bench.pass(1);
    bench.writer().write(item("fast", 1)).unwrap();
    bench.writer().write(item("slow", 2)).unwrap();
    bench.writer().write(item("fast", 3)).unwrap();
    bench.pass(1);
    bench.writer().write(item("slow", 4)).unwrap();
    bench.pass(60);
    let batches: Vec<_> = bench
        .calls()
        .into_iter()
        .map(|call| if let Call::Write(_, numbers) = call { numbers } else { panic!("{call:?}") })
        .collect();
    assert_eq!(batches, [vec![0], vec![1, 3], vec![0], vec![0], vec![2, 4]]);
}

#[test]
fn what_waited_for_a_retry_that_is_given_up_goes_on() {
    let script = |batch: &[Numbered]| -> Vec<Answer> {
        batch
            .iter()
            .map(|item| if item.number == 0 { busy() } else { Outcome::Accepted(item.number) })
            .collect()
    };
    let bench = Bench::new(WriteOptions::new().max_retries(1), script);
    bench.writer().write(item("a", 0)).unwrap();
    bench.pass(1);
    bench.writer().write(item("a", 1)).unwrap();
    bench.writer().flush().unwrap();
    assert_eq!(bench.lost().len(), 1);
    assert_eq!(bench.writer().stats().written, 1);
}

/// Answers as a throttled service does: some keys are refused for a while, and some items for good. Keeps to the rule that
/// nothing of a key is accepted behind what is refused.
fn capricious(
    mut rng: fastrand::Rng,
    written: Arc<Mutex<Vec<Numbered>>>,
) -> impl FnMut(&[Numbered]) -> Vec<Answer> {
    move |batch| {
        let mut refused = std::collections::HashSet::new();
        let mut written = written.lock().unwrap();
        let mut answer = |item: &Numbered| {
            if refused.contains(item.key) || rng.u8(..10) == 0 {
                refused.insert(item.key);
                return busy();
            }
            if rng.u8(..20) == 0 {
                return Outcome::Rejected(Refused("bad"));
            }
            written.push(item.clone());
            Outcome::Accepted(item.number)
        };
        batch.iter().map(&mut answer).collect()
    }
}

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Every item is written or lost, once, and of each key and producer the written ones are in order.
fn check(produced: u64, written: &[Numbered], lost: &[u64]) {
    let mut all: Vec<_> = written.iter().map(|item| item.number).chain(lost.iter().copied()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..produced).collect::<Vec<_>>(), "something is missing, or there twice");
    let mut last = BTreeMap::new();
    for item in written {
        if let Some(before) = last.insert(item.key, item.number) {
            assert!(before < item.number, "{} came after {before} under {}", item.number, item.key);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One producer, virtual time: every run of the same seed is the same.
    #[test]
    fn nothing_is_lost_twice_or_overtaken(
        seed in any::<u64>(),
        batch_size in 1_usize..20,
        count in 1_u64..300,
        retries in 0_u32..6,
        steps in proptest::collection::vec(0_u64..4, 1..50),
    ) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let options = WriteOptions::new()
            .batch_size(batch_size)
            .max_items(40)
            .max_retries(retries)
            .flush_interval(SECOND * 2);
        let rng = fastrand::Rng::with_seed(seed);
        let bench = Bench::new(options, capricious(rng, Arc::clone(&written)));
        let mut keys = fastrand::Rng::with_seed(seed ^ 1);
        for number in 0..count {
            bench.writer().write(item(KEYS[keys.usize(..5)], number)).unwrap();
            if keys.u8(..4) == 0 {
                bench.pass(steps[number as usize % steps.len()]);
            }
            if keys.u8(..60) == 0 {
                bench.writer().flush().unwrap();
                let stats = bench.writer().stats();
                prop_assert_eq!(stats.waiting_items, 0);
                prop_assert_eq!(stats.accepted, stats.written + stats.not_written);
            }
        }
        bench.writer().close().unwrap();
        let lost: Vec<_> = bench.lost().into_iter().map(|(number, _)| number).collect();
        check(count, &written.lock().unwrap(), &lost);
    }
}

/// Many threads that produce, wait and flush at once, each with keys of its own.
#[test]
fn many_producers_lose_nothing_and_keep_their_order() {
    const EACH: u64 = 3000;
    let lost = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::new(Mutex::new(Vec::new()));
    let (builder, _, _) = Bench::builder(capricious(fastrand::Rng::with_seed(7), Arc::clone(&written)));
    let keep = Arc::clone(&lost);
    let writer = builder
        .options(
            WriteOptions::new()
                .batch_size(50)
                .max_items(200)
                .flush_interval(Duration::from_millis(1))
                .retry_interval(Duration::ZERO)
                .max_retries(3),
        )
        .on_error(move |failed| keep.lock().unwrap().extend(failed.into_iter().map(|lost| lost.item.number)))
        .start()
        .unwrap();
    std::thread::scope(|scope| {
        for (producer, key) in (0_u64..).zip(KEYS) {
            let (writer, lost) = (&writer, &lost);
            scope.spawn(move || {
                for number in producer * EACH..(producer + 1) * EACH {
                    match number % 500 {
                        // Whoever waits gets the failure itself.
                        1 => {
                            if let Err(failed) = writer.write_sync(item(key, number)) {
                                lost.lock().unwrap().push(failed.item.number);
                            }
                        }
                        2 => {
                            writer.write(item(key, number)).unwrap();
                            writer.flush().unwrap();
                        }
                        _ => writer.write(item(key, number)).unwrap(),
                    }
                }
            });
        }
    });
    writer.close().unwrap();
    check(EACH * KEYS.len() as u64, &written.lock().unwrap(), &lost.lock().unwrap());
    assert!(!lost.lock().unwrap().is_empty(), "the sink was to reject some");
    assert!(writer.stats().retries > 0, "the sink was to refuse some for a while");
}
