//! What is tried again, when, and how often.

use riverbed::write::{Outcome, Reason, WriteOptions};

use super::support::{Answer, Bench, Call, Numbered, Refused, SECOND, accepted, item, later};

/// Delays without chance: 5, 10, 20, 40, 80 seconds and so on.
fn certain() -> WriteOptions {
    WriteOptions::new().flush_interval(std::time::Duration::ZERO)
}

fn times(calls: &[Call]) -> Vec<u64> {
    calls.iter().map(|call| if let Call::Write(at, _) = call { *at } else { panic!("{call:?}") }).collect()
}

#[test]
fn delays_grow_as_in_the_python_client_until_the_retries_are_used_up() {
    let bench = Bench::new(certain().max_retry_time(SECOND * 1000), later);
    bench.writer().write(item("a", 0)).unwrap();
    bench.pass(500);
    let times = times(&bench.calls());
    assert_eq!(times[0], 0);
    let delays: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(delays.len(), 5);
    for (delay, (least, most)) in delays.iter().zip([(5, 10), (10, 20), (20, 40), (40, 80), (80, 125)]) {
        // Time passes in whole seconds here.
        assert!((least..=most + 1).contains(delay), "{delays:?}");
    }
    let gave_up = Reason::GaveUp { attempts: 6, retry_after: None, error: Refused("busy") };
    assert_eq!(bench.lost(), [(0, gave_up)]);
    assert_eq!(bench.writer().stats().retries, 5);
}

#[test]
fn a_batch_that_fails_after_the_retry_time_is_given_up() {
    let bench = Bench::new(certain().max_retry_time(SECOND * 12), later);
    bench.writer().write(item("a", 0)).unwrap();
    bench.pass(500);
    // After 5 to 10 seconds it is early enough; another 10 to 20 later it is not.
    assert_eq!(bench.calls().len(), 3);
    let gave_up = Reason::GaveUp { attempts: 3, retry_after: None, error: Refused("busy") };
    assert_eq!(bench.lost(), [(0, gave_up)]);
}

#[test]
fn what_the_sink_asks_for_is_honoured() {
    let script = |batch: &[Numbered]| -> Vec<Answer> {
        let ask =
            |seconds| Outcome::Retry { error: Refused("throttled"), retry_after: Some(SECOND * seconds) };
        // The longest one counts for the batch.
        (0..batch.len() as u64).map(|index| ask(if index == 1 { 3 } else { 1 })).collect()
    };
    let bench = Bench::new(certain().max_retries(2), script);
    bench.writer().write(item("a", 0)).unwrap();
    bench.pass(0);
    bench.writer().write(item("b", 1)).unwrap();
    bench.writer().write(item("c", 2)).unwrap();
    bench.pass(20);
    let calls = bench.calls();
    assert_eq!(
        calls,
        [
            Call::Write(0, vec![0]),
            Call::Write(0, vec![1, 2]),
            Call::Write(1, vec![0]),
            Call::Write(2, vec![0]),
            Call::Write(3, vec![1, 2]),
            Call::Write(6, vec![1, 2]),
        ]
    );
    let reasons: Vec<_> = bench.lost().into_iter().map(|(_, reason)| reason).collect();
    let gave_up = |seconds| Reason::GaveUp {
        attempts: 3,
        retry_after: Some(SECOND * seconds),
        error: Refused("throttled"),
    };
    assert_eq!(reasons, [gave_up(1), gave_up(1), gave_up(3)]);
}

#[test]
fn what_is_rejected_is_reported_at_once_and_holds_up_nothing() {
    let script = |batch: &[Numbered]| -> Vec<Answer> {
        let answer = |item: &Numbered| match item.number {
            1 => Outcome::Rejected(Refused("bad")),
            number => Outcome::Accepted(number),
        };
        batch.iter().map(answer).collect()
    };
    let bench = Bench::new(certain(), script);
    for number in 0..3 {
        bench.writer().write(item("a", number)).unwrap();
    }
    bench.pass(0);
    assert_eq!(bench.lost(), [(1, Reason::Rejected(Refused("bad")))]);
    assert_eq!(bench.calls(), [Call::Write(0, vec![0, 1, 2])]);
    let stats = bench.writer().stats();
    assert_eq!((stats.accepted, stats.written, stats.not_written, stats.waiting_items), (3, 2, 1, 0));
}

#[test]
fn only_what_was_not_taken_is_tried_again() {
    let mut first = true;
    let script = move |batch: &[Numbered]| -> Vec<Answer> {
        if !std::mem::take(&mut first) {
            return accepted(batch);
        }
        let busy = || Outcome::Retry { error: Refused("busy"), retry_after: None };
        batch
            .iter()
            .map(|item| if item.key == "b" { busy() } else { Outcome::Accepted(item.number) })
            .collect()
    };
    let bench = Bench::new(certain(), script);
    for (number, key) in ["a", "b", "a", "b"].into_iter().enumerate() {
        bench.writer().write(item(key, number as u64)).unwrap();
    }
    bench.writer().flush().unwrap();
    let calls = bench.calls();
    assert!(
        matches!(&calls[..], [Call::Write(0, all), Call::Write(5..=10, again), Call::Flush(_)]
        if *all == [0, 1, 2, 3] && *again == [1, 3]),
        "{calls:?}"
    );
    assert_eq!(bench.lost(), []);
}

#[test]
fn an_answer_that_is_missing_is_reported() {
    let bench = Bench::new(certain(), |_: &[Numbered]| vec![Outcome::Accepted(0)]);
    bench.writer().write(item("a", 0)).unwrap();
    bench.writer().write(item("a", 1)).unwrap();
    bench.pass(0);
    assert_eq!(bench.lost(), [(1, Reason::NoAnswer)]);
}

#[test]
fn retries_can_be_switched_off() {
    let bench = Bench::new(certain().max_retries(0), later);
    bench.writer().write(item("a", 0)).unwrap();
    bench.pass(50);
    assert_eq!(bench.calls(), [Call::Write(0, vec![0])]);
    let gave_up = Reason::GaveUp { attempts: 1, retry_after: None, error: Refused("busy") };
    assert_eq!(bench.lost(), [(0, gave_up)]);
}

/// A throttled sink takes a little at a time. That is no failure, and no item is given up for it before the time is over.
#[test]
fn retries_do_not_count_while_a_sink_that_asks_for_time_takes_what_it_can() {
    let script = |batch: &[Numbered]| -> Vec<Answer> {
        let ask = || Outcome::Retry { error: Refused("throttled"), retry_after: Some(SECOND * 3) };
        batch
            .iter()
            .enumerate()
            .map(|(at, item)| if at == 0 { Outcome::Accepted(item.number) } else { ask() })
            .collect()
    };
    let bench = Bench::new(certain().max_retries(2), script);
    for number in 0..20 {
        bench.writer().write(item("a", number)).unwrap();
    }
    bench.writer().flush().unwrap();
    assert_eq!((bench.lost(), bench.writer().stats().written), (vec![], 20));
    assert_eq!(bench.writer().stats().retries, 19);
    // The time does count.
    let bench = Bench::new(certain().max_retries(2).max_retry_time(SECOND * 10), script);
    for number in 0..20 {
        bench.writer().write(item("a", number)).unwrap();
    }
    bench.writer().flush().unwrap();
    assert_eq!((bench.lost().len(), bench.writer().stats().written), (15, 5));
    // Without a word on time a sink that takes less and less is one that fails.
    let script = |batch: &[Numbered]| -> Vec<Answer> {
        let mut answers = later(batch);
        answers[0] = Outcome::Accepted(batch[0].number);
        answers
    };
    let bench = Bench::new(certain().max_retries(2), script);
    for number in 0..20 {
        bench.writer().write(item("a", number)).unwrap();
    }
    bench.writer().flush().unwrap();
    assert_eq!((bench.lost().len(), bench.writer().stats().written), (17, 3));
}
