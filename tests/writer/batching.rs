//! When batches are sent, and how much may wait.

use std::time::Duration;

use riverbed::write::{OnFull, Reason, WriteOptions};

use super::support::{Bench, Call, Numbered, SECOND, accepted, item, later_times};

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
    for options in queues_of_two() {
        let options = options.flush_interval(SECOND * 100).on_full(OnFull::WouldBlock);
        let bench = Bench::new(options, later_times(1));
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
    assert_eq!(numbers(&calls.lock().unwrap()), (0..1000).collect::<Vec<_>>());
}

/// The numbers of all items that the sink was given, in order.
fn numbers(calls: &[Call]) -> Vec<u64> {
    let numbers = |call: &Call| match call {
        Call::Write(_, numbers) => numbers.clone(),
        Call::Flush(_) => Vec::new(),
    };
    calls.iter().flat_map(numbers).collect()
}

#[test]
fn a_list_is_written_as_its_items_are() {
    for many in [false, true] {
        let bench = Bench::new(WriteOptions::new().batch_size(3).max_items(4), accepted);
        let items = (0..10).map(|number| item(["a", "b"][number % 2], number as u64));
        if many {
            bench.writer().write_all(items).unwrap();
        } else {
            items.for_each(|item| bench.writer().write(item).unwrap());
        }
        bench.writer().flush().unwrap();
        let calls = bench.calls();
        let [Call::Write(0, first), .., Call::Flush(0)] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!(*first, [0, 1, 2]);
        assert_eq!(numbers(&calls), (0..10).collect::<Vec<_>>());
        bench.writer().write_all(Vec::<Numbered>::new()).unwrap();
    }
}

/// What was taken and what was not are told apart, and nothing gets lost between.
#[test]
fn a_list_ends_at_the_first_item_that_is_refused() {
    let bench = Bench::new(WriteOptions::new().max_items(2).on_full(OnFull::WouldBlock), accepted);
    let mut rest = (0..5).map(|number| item("a", number));
    let refused = bench.writer().write_all(&mut rest).unwrap_err();
    assert_eq!((refused.item, refused.reason), (item("a", 2), Reason::QueueFull));
    assert_eq!(bench.writer().stats().accepted, 2);
    bench.pass(0);
    let again = std::iter::once(item("a", 2)).chain(rest);
    let refused = bench.writer().write_all(again).unwrap_err();
    assert_eq!((refused.item, refused.reason), (item("a", 4), Reason::QueueFull));
    bench.writer().close().unwrap();
    assert_eq!(numbers(&bench.calls()), [0, 1, 2, 3]);
    let refused = bench.writer().write_all([item("a", 4), item("a", 5)]).unwrap_err();
    assert_eq!((refused.item, refused.reason), (item("a", 4), Reason::Closed));
    assert_eq!(bench.lost(), []);
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
