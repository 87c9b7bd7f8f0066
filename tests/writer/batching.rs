//! When batches are sent, and how much may wait.

use std::time::Duration;

use riverbed::write::{OnFull, Reason, WriteOptions};

use super::support::{Bench, Call, Numbered, SECOND, accepted, item, later};

#[test]
fn a_full_batch_goes_at_once_and_another_one_after_the_interval() {
    let bench = Bench::new(WriteOptions::new().batch_size(3).flush_interval(SECOND * 10), accepted);
    bench.writer().write(item("a", 0)).unwrap();
    bench.pass(5);
    assert_eq!(bench.calls(), []);
    for number in 1..8 {
        bench.writer().write(item("a", number)).unwrap();
    }
    bench.pass(0);
    assert_eq!(bench.calls(), [Call::Write(5, vec![0, 1, 2]), Call::Write(5, vec![3, 4, 5])]);
    // From the first item of the batch on.
    bench.pass(9);
    assert_eq!(bench.calls(), []);
    bench.pass(1);
    assert_eq!(bench.calls(), [Call::Write(15, vec![6, 7])]);
    bench.pass(100);
    assert_eq!(bench.calls(), [], "nothing waits, nothing is sent");
}

#[test]
fn jitter_sends_each_batch_later_by_chance() {
    let options = WriteOptions::new().batch_size(1).jitter_interval(SECOND * 20);
    let bench = Bench::new(options, accepted);
    let mut delays = Vec::new();
    for number in 0..40 {
        bench.writer().write(item("a", number)).unwrap();
        let mut waited = 0;
        while bench.calls().is_empty() {
            bench.pass(1);
            waited += 1;
        }
        delays.push(waited);
    }
    assert!(delays.iter().all(|delay| *delay <= 20), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay < 5), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay > 15), "{delays:?}");
    // What somebody waits for is not held up.
    bench.writer().write(item("a", 40)).unwrap();
    let before = bench.clock.clone();
    bench.writer().flush().unwrap();
    assert_eq!(riverbed::Clock::now(&before), riverbed::Clock::now(&bench.clock));
    assert_eq!(bench.calls().len(), 2);
}

/// By number and by bytes: every item has ten.
fn queues_of_two() -> [WriteOptions; 3] {
    let options = WriteOptions::new();
    [options.clone().max_items(2), options.clone().max_bytes(20), options.max_bytes(25)]
}

#[test]
fn a_full_queue_gives_the_item_back_and_is_sent_at_once() {
    for options in queues_of_two() {
        let options = options.flush_interval(SECOND * 10).on_full(OnFull::WouldBlock);
        let bench = Bench::new(options, accepted);
        bench.writer().write(item("a", 0)).unwrap();
        bench.pass(0);
        assert_eq!(bench.calls(), []);
        bench.writer().write(item("a", 1)).unwrap();
        let refused = bench.writer().write(item("a", 2)).unwrap_err();
        assert_eq!((refused.item, refused.reason), (item("a", 2), Reason::QueueFull));
        bench.pass(0);
        assert_eq!(bench.calls(), [Call::Write(0, vec![0, 1])]);
        bench.writer().write(refused_again()).unwrap();
        bench.pass(9);
        assert_eq!(bench.calls(), [], "there is room again, and no hurry");
        bench.pass(1);
        assert_eq!(bench.calls(), [Call::Write(10, vec![2])]);
        assert_eq!(bench.lost(), []);
    }
}

#[test]
fn what_comes_after_a_full_queue_was_put_off_is_in_no_hurry() {
    let mut refusals = 1;
    let script = move |batch: &[Numbered]| {
        if refusals > 0 {
            refusals -= 1;
            later(batch)
        } else {
            accepted(batch)
        }
    };
    for options in queues_of_two() {
        let options = options.flush_interval(SECOND * 100).on_full(OnFull::WouldBlock);
        let bench = Bench::new(options, script);
        bench.writer().write(item("a", 0)).unwrap();
        bench.writer().write(item("a", 1)).unwrap();
        bench.writer().write(item("b", 2)).unwrap_err();
        bench.pass(0);
        // Nothing in the queue could make room.
        bench.writer().write(item("b", 2)).unwrap_err();
        bench.pass(20);
        assert_eq!(bench.calls().len(), 2, "the first attempt and the retry");
        bench.writer().write(item("b", 2)).unwrap();
        bench.pass(50);
        assert_eq!(bench.calls(), []);
        bench.writer().flush().unwrap();
    }
}

fn refused_again() -> super::support::Numbered {
    item("a", 2)
}

#[test]
fn bytes_are_bounded_but_one_item_always_fits() {
    // Every item has ten bytes.
    for (max_bytes, fit) in [(0, 1), (19, 1), (20, 2), (29, 2), (30, 3)] {
        let options = WriteOptions::new().max_bytes(max_bytes).on_full(OnFull::WouldBlock);
        let bench = Bench::new(options, accepted);
        let taken = (0..10).take_while(|number| bench.writer().write(item("a", *number)).is_ok()).count();
        assert_eq!(taken, fit, "{max_bytes}");
        assert_eq!(bench.writer().stats().waiting_bytes, fit * 10);
        bench.writer().flush().unwrap();
        assert_eq!(bench.writer().stats().waiting_bytes, 0);
    }
}

#[test]
fn without_a_thread_a_write_to_a_full_queue_does_the_work() {
    for options in queues_of_two() {
        // By size alone.
        let options = options.flush_interval(Duration::MAX).jitter_interval(SECOND * 20);
        let bench = Bench::new(options, accepted);
        for number in 0..6 {
            bench.writer().write(item("a", number)).unwrap();
        }
        assert_eq!(bench.calls(), [Call::Write(0, vec![0, 1]), Call::Write(0, vec![2, 3])]);
        assert_eq!(bench.writer().write_sync(item("a", 6)).unwrap(), 6);
        assert_eq!(bench.calls(), [Call::Write(0, vec![4, 5]), Call::Write(0, vec![6])]);
    }
}

#[test]
fn with_a_thread_a_write_to_a_full_queue_waits_for_it() {
    let (builder, _, calls) = Bench::builder(accepted);
    // By size alone, and never by that of a batch.
    let options = WriteOptions::new().max_items(2).batch_size(1000).flush_interval(Duration::MAX);
    let writer = builder.options(options).start().unwrap();
    for number in 0..1000 {
        if number % 100 == 99 {
            assert_eq!(writer.write_sync(item("a", number)).unwrap(), number);
        } else {
            writer.write(item("a", number)).unwrap();
        }
    }
    writer.close().unwrap();
    let written: Vec<_> = calls
        .lock()
        .unwrap()
        .iter()
        .flat_map(|call| match call {
            Call::Write(_, numbers) => numbers.clone(),
            Call::Flush(_) => Vec::new(),
        })
        .collect();
    assert_eq!(written, (0..1000).collect::<Vec<_>>());
}

#[test]
fn zeros_in_the_options_are_taken_for_ones() {
    let options = WriteOptions::new().batch_size(0).max_items(0).exponential_base(0);
    let bench = Bench::new(options, accepted);
    for number in 0..3 {
        bench.writer().write(item("a", number)).unwrap();
    }
    bench.writer().flush().unwrap();
    assert_eq!(bench.writer().stats().written, 3);
}
