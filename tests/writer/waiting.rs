//! Writes that somebody waits for: a thread, or a future of any runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use riverbed::write::{FlushError, OnFull, Outcome, Reason, WriteOptions};

use super::support::{Bench, Call, Numbered, Refused, SECOND, accepted, item, later, later_times};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest of all runtimes.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_synchronous_write_is_sent_at_once_behind_what_waits() {
    let bench = Bench::new(WriteOptions::new(), accepted);
    bench.writer().write(item("a", 7)).unwrap();
    assert_eq!(bench.writer().write_sync(item("a", 8)).unwrap(), 8);
    assert_eq!(bench.calls(), [Call::Write(0, vec![7, 8])]);
}

#[test]
fn a_synchronous_write_is_tried_once_and_gives_the_item_back() {
    let script = |batch: &[Numbered]| {
        let busy = || Outcome::Retry { error: Refused("throttled"), retry_after: Some(SECOND * 3) };
        let answer =
            |item: &Numbered| if item.number == 0 { busy() } else { Outcome::Rejected(Refused("bad")) };
        batch.iter().map(answer).collect()
    };
    let bench = Bench::new(WriteOptions::new(), script);
    let failed = bench.writer().write_sync(item("a", 0)).unwrap_err();
    assert_eq!(failed.item, item("a", 0));
    let gave_up = Reason::GaveUp { attempts: 1, retry_after: Some(SECOND * 3), error: Refused("throttled") };
    assert_eq!(failed.reason, gave_up);
    let failed = bench.writer().write_sync(item("a", 1)).unwrap_err();
    assert_eq!(failed.reason, Reason::Rejected(Refused("bad")));
    assert_eq!(bench.lost(), [], "who waits is told, and nobody else");
    assert_eq!(bench.calls(), [Call::Write(0, vec![0]), Call::Write(0, vec![1])]);
}

#[test]
fn a_synchronous_write_does_not_overtake_what_is_tried_again() {
    let bench = Bench::new(WriteOptions::new(), later_times(1));
    bench.writer().write(item("a", 0)).unwrap();
    bench.pass(1);
    bench.writer().write_sync(item("a", 1)).unwrap();
    let calls = bench.calls();
    assert!(
        matches!(&calls[..], [Call::Write(1, first), Call::Write(6..=12, again), Call::Write(6..=12, last)]
        if *first == [0] && *again == [0] && *last == [1]),
        "{calls:?}"
    );
}

#[test]
fn futures_are_woken_by_the_writers_thread() {
    let (builder, _, _) = Bench::builder(|batch: &[Numbered]| {
        let answer = |item: &Numbered| match item.number {
            13 => Outcome::Rejected(Refused("bad")),
            number => Outcome::Accepted(number),
        };
        batch.iter().map(answer).collect()
    });
    let writer = builder.options(WriteOptions::new().max_items(3)).start().unwrap();
    for number in 0..50 {
        match block_on(writer.write_async(item("a", number))) {
            Ok(ack) => assert_eq!(ack, number),
            Err(failed) => {
                assert_eq!((failed.item.number, failed.reason), (13, Reason::Rejected(Refused("bad"))));
            }
        }
    }
    // More at once than may wait: they take turns.
    thread::scope(|scope| {
        for worker in 0..8_u64 {
            let writer = &writer;
            scope.spawn(move || {
                for number in 100..150 {
                    let number = worker * 1000 + number;
                    assert_eq!(block_on(writer.write_async(item("a", number))).unwrap(), number);
                }
            });
        }
    });
    block_on(writer.flush_async()).unwrap();
    assert_eq!(writer.stats().written, 449);
}

#[test]
fn a_future_waits_for_room_and_is_woken_when_there_is_some() {
    let bench = Bench::new(WriteOptions::new().max_items(1), accepted);
    bench.writer().write(item("a", 0)).unwrap();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let mut write = pin!(bench.writer().write_async(item("a", 1)));
    for _ in 0..3 {
        assert!(write.as_mut().poll(&mut context).is_pending());
    }
    bench.pass(1);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(write.as_mut().poll(&mut context).is_pending());
    bench.pass(0);
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert!(matches!(write.as_mut().poll(&mut context), Poll::Ready(Ok(1))));
}

#[test]
fn a_future_on_a_full_queue_that_must_not_block_gives_the_item_back() {
    let bench = Bench::new(WriteOptions::new().max_items(1).on_full(OnFull::WouldBlock), accepted);
    bench.writer().write(item("a", 0)).unwrap();
    let failed = block_on(bench.writer().write_async(item("a", 1))).unwrap_err();
    assert_eq!((failed.item.number, failed.reason), (1, Reason::QueueFull));
}

#[test]
fn a_future_that_is_dropped_leaves_its_item_and_the_callback_hears_of_its_loss() {
    for settled_first in [false, true] {
        let script = |batch: &[Numbered]| batch.iter().map(|_| Outcome::Rejected(Refused("bad"))).collect();
        let bench = Bench::new(WriteOptions::new(), script);
        let mut write = Box::pin(bench.writer().write_async(item("a", 0)));
        assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        if settled_first {
            bench.pass(0);
        }
        drop(write);
        bench.writer().flush().unwrap();
        assert_eq!(bench.lost(), [(0, Reason::Rejected(Refused("bad")))]);
    }
    // One that still waited for room is heard of, too.
    let bench = Bench::new(WriteOptions::new().max_items(1), accepted);
    bench.writer().write(item("a", 0)).unwrap();
    let mut write = Box::pin(bench.writer().write_async(item("a", 1)));
    assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(write);
    bench.writer().flush().unwrap();
    assert_eq!((bench.lost(), bench.writer().stats().written), (vec![(1, Reason::QueueFull)], 1));
    // One that was never polled has written nothing.
    let bench = Bench::new(WriteOptions::new(), accepted);
    drop(bench.writer().write_async(item("a", 0)));
    bench.writer().flush().unwrap();
    assert_eq!(bench.writer().stats().accepted, 0);
}

/// Its thread has ended by then, and nobody else would tell.
#[test]
fn a_future_that_is_dropped_after_the_end_is_heard_of() {
    for threads in [false, true] {
        let (tell, told) = mpsc::channel();
        let (release, hang) = mpsc::channel::<()>();
        let (builder, clock, _) = Bench::builder(move |batch: &[Numbered]| {
            assert!(hang.recv().is_err());
            batch.iter().map(|_| Outcome::Rejected(Refused("bad"))).collect()
        });
        let builder = builder.on_error(move |lost| tell.send(lost[0].item.number).unwrap());
        let writer = if threads { builder.start().unwrap() } else { builder.start_manual(clock) };
        let mut write = Box::pin(writer.write_async(item("a", 7)));
        assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(release);
        writer.close().unwrap();
        assert!(told.try_recv().is_err(), "its future may still be asked");
        drop(write);
        assert_eq!(told.recv(), Ok(7));
    }
}

#[test]
fn closing_wakes_everybody() {
    let (builder, _, _) = Bench::builder(later);
    let options = WriteOptions::new().max_items(1).batch_size(1).max_close_wait(Duration::ZERO);
    let writer = builder.options(options).on_error(drop).start().unwrap();
    writer.write(item("a", 0)).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| writer.write(item("a", 1)).unwrap_err().reason);
        let waiting = scope.spawn(|| block_on(writer.write_async(item("a", 2))).unwrap_err().reason);
        let waiting_too = scope.spawn(|| writer.write_sync(item("a", 3)).unwrap_err().reason);
        // With no time at all for closing, the thread may be busy just then.
        assert!(matches!(writer.close(), Ok(()) | Err(FlushError::TimedOut { .. })));
        for thread in [blocked, waiting, waiting_too] {
            assert_eq!(thread.join().unwrap(), Reason::Closed);
        }
    });
}
