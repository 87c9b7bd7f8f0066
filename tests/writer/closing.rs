//! Flushing, closing and dropping: nothing goes without a word.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverbed::write::{FlushError, Outcome, Reason, WriteOptions};

use super::support::{Bench, Call, Numbered, Refused, SECOND, accepted, item, later, later_times};

#[test]
fn a_flush_sends_what_waits_and_makes_it_durable() {
    let bench = Bench::new(WriteOptions::new().batch_size(2), accepted);
    for number in 0..3 {
        bench.writer().write(item("a", number)).unwrap();
    }
    bench.writer().flush().unwrap();
    assert_eq!(bench.calls(), [Call::Write(0, vec![0, 1]), Call::Write(0, vec![2]), Call::Flush(0)]);
    // Also when nothing waits: the sink may have more to make durable than the writer knows of.
    bench.writer().flush().unwrap();
    assert_eq!(bench.calls(), [Call::Flush(0)]);
}

#[test]
fn a_flush_waits_for_retries_and_for_what_they_hold_back() {
    let bench = Bench::new(WriteOptions::new(), later_times(2));
    bench.writer().write(item("a", 0)).unwrap();
    bench.pass(1);
    bench.writer().write(item("a", 1)).unwrap();
    bench.writer().flush().unwrap();
    let stats = bench.writer().stats();
    assert_eq!((stats.written, stats.waiting_items), (2, 0));
    let calls = bench.calls();
    assert!(matches!(calls.last(), Some(Call::Flush(16..=31))), "{calls:?}");
}

#[test]
fn what_comes_after_a_flush_was_asked_for_does_not_delay_it() {
    let bench = Bench::new(WriteOptions::new().flush_interval(SECOND * 5), accepted);
    bench.writer().write(item("a", 0)).unwrap();
    let flush = bench.writer().flush_async();
    let _also = bench.writer().flush_async();
    bench.pass(0);
    bench.writer().write(item("a", 1)).unwrap();
    bench.pass(1);
    assert_eq!(bench.calls(), [Call::Write(0, vec![0]), Call::Flush(0)], "two flushes share one");
    drop(flush);
}

#[test]
fn a_flush_that_the_sink_cannot_do_says_so_and_can_be_tried_again() {
    let (builder, clock, calls) = Bench::builder(accepted);
    drop(builder);
    let mut failures = 1;
    let sink = super::support::Scripted {
        script: Box::new(accepted),
        flush: Box::new(move || {
            failures -= 1;
            if failures == 0 { Err(Refused("disk")) } else { Ok(()) }
        }),
        clock: clock.clone(),
        calls,
    };
    let writer = riverbed::write::BatchWriter::builder(sink).start_manual(clock);
    writer.write(item("a", 0)).unwrap();
    assert!(matches!(writer.flush(), Err(FlushError::Sink(Refused("disk")))));
    writer.flush().unwrap();
}

#[test]
fn without_an_error_callback_the_next_flush_tells_of_losses() {
    let (builder, clock, _) = Bench::builder(|batch: &[Numbered]| {
        batch.iter().map(|_| Outcome::Rejected(Refused("bad"))).collect()
    });
    let writer = builder.start_manual(clock);
    writer.write(item("a", 0)).unwrap();
    writer.write(item("a", 1)).unwrap();
    let error = writer.flush().unwrap_err();
    let FlushError::NotWritten { items: 2, first } = &error else { panic!("{error:?}") };
    assert_eq!(**first, Reason::Rejected(Refused("bad")));
    writer.flush().unwrap();
    writer.write(item("a", 2)).unwrap();
    assert!(matches!(writer.close(), Err(FlushError::NotWritten { items: 1, .. })));
    writer.close().unwrap();
}

#[test]
fn closing_writes_what_waits_and_takes_nothing_more() {
    let bench = Bench::new(WriteOptions::new(), accepted);
    bench.writer().write(item("a", 0)).unwrap();
    bench.writer().close().unwrap();
    assert_eq!(bench.calls(), [Call::Write(0, vec![0]), Call::Flush(0)]);
    let refused = bench.writer().write(item("a", 1)).unwrap_err();
    assert_eq!((refused.item.number, refused.reason), (1, Reason::Closed));
    bench.writer().flush().unwrap();
    bench.writer().close().unwrap();
    assert_eq!(bench.calls(), [], "a closed writer calls its sink no more");
}

#[test]
fn dropping_closes() {
    for threads in [false, true] {
        let (builder, clock, calls) = Bench::builder(accepted);
        let writer = if threads { builder.start().unwrap() } else { builder.start_manual(clock) };
        writer.write(item("a", 0)).unwrap();
        drop(writer);
        assert_eq!(*calls.lock().unwrap(), [Call::Write(0, vec![0]), Call::Flush(0)]);
    }
}

#[test]
fn closing_waits_for_retries_but_not_for_ever() {
    let options = WriteOptions::new().max_close_wait(SECOND * 8).max_retry_time(SECOND * 1000);
    let mut bench = Bench::new(options, later);
    for number in 0..3 {
        bench.writer().write(item(["a", "b", "a"][number], number as u64)).unwrap();
    }
    bench.pass(1);
    bench.writer().write(item("a", 3)).unwrap();
    bench.writer().write(item("c", 4)).unwrap();
    drop(bench.writer.take());
    assert_eq!(riverbed::Clock::now(&bench.clock), riverbed::Timestamp::from_millis(9000));
    let lost = bench.lost();
    assert_eq!(lost.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(lost.iter().all(|(_, reason)| *reason == Reason::CloseTimedOut), "{lost:?}");
    let calls = bench.calls();
    assert_eq!(calls.last(), Some(&Call::Flush(9)), "what the sink has taken is made durable all the same");
}

#[test]
fn closing_gives_up_on_a_sink_that_hangs_and_it_is_heard_of_later() {
    let (release, hang) = mpsc::channel::<()>();
    let (entered, wait_entered) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let (builder, _, _) = Bench::builder(move |batch: &[Numbered]| {
        entered.send(()).unwrap();
        // Hangs until the other end is dropped.
        assert!(hang.recv().is_err());
        accepted(batch)
    });
    let success = tell.clone();
    let writer = builder
        .options(WriteOptions::new().batch_size(1).max_close_wait(Duration::ZERO))
        .on_success(move |written| success.send(written[0].item.number).unwrap())
        .on_error(move |lost| {
            assert_eq!(lost[0].reason, Reason::CloseTimedOut);
            tell.send(100 + lost[0].item.number).unwrap();
        })
        .start()
        .unwrap();
    writer.write(item("a", 0)).unwrap();
    wait_entered.recv().unwrap();
    writer.write(item("a", 1)).unwrap();
    let error = writer.close().unwrap_err();
    assert!(matches!(error, FlushError::TimedOut { items: 2 }), "{error:?}");
    assert!(matches!(writer.close(), Err(FlushError::TimedOut { items: 2 })), "the time is over");
    drop(writer);
    drop(release);
    assert_eq!(told.iter().collect::<Vec<_>>(), [0, 101]);
}

#[test]
fn a_sink_that_panics_ends_the_writer_and_nobody_waits_for_ever() {
    for threads in [false, true] {
        let lost = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&lost);
        let (builder, clock, calls) = Bench::builder(|_: &[Numbered]| panic!("on purpose"));
        let builder = builder
            .options(WriteOptions::new().batch_size(1))
            .on_error(move |failed| keep.lock().unwrap().extend(failed.into_iter().map(|lost| lost.reason)));
        let writer = if threads { builder.start().unwrap() } else { builder.start_manual(clock) };
        writer.write(item("a", 0)).unwrap();
        // The second one is refused if the first one has been tried by then.
        let second = writer.write(item("a", 1)).err().map(|refused| refused.reason);
        assert!(matches!(writer.flush(), Err(FlushError::SinkPanicked) | Ok(())));
        let refused = writer.write_sync(item("a", 2)).unwrap_err();
        assert_eq!(refused.reason, Reason::Closed);
        drop(writer);
        let lost = lost.lock().unwrap();
        assert_eq!(lost.len(), 2 - usize::from(second.is_some()));
        assert!(lost.iter().all(|reason| *reason == Reason::SinkPanicked), "{lost:?}");
        assert_eq!(calls.lock().unwrap().len(), 1, "a sink that has panicked is left alone");
    }
}
