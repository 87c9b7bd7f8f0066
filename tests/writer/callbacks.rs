//! Callbacks: which batch they speak of, and what they may do.

use std::sync::{Arc, Mutex, OnceLock, Weak};

use riverbed::write::{BatchWriter, FlushError, Outcome, Reason, WriteOptions};

use super::support::{Answer, Bench, Call, Numbered, Refused, Scripted, accepted, item};

#[test]
fn each_callback_speaks_of_its_part_of_the_batch() {
    let mut first = true;
    let (builder, clock, _) = Bench::builder(move |batch: &[Numbered]| -> Vec<Answer> {
        if !std::mem::take(&mut first) {
            return accepted(batch);
        }
        let answer = |item: &Numbered| match item.key {
            "bad" => Outcome::Rejected(Refused("bad")),
            "busy" => Outcome::Retry { error: Refused("busy"), retry_after: None },
            _ => Outcome::Accepted(item.number * 10),
        };
        batch.iter().map(answer).collect()
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let (success, error, retry) = (Arc::clone(&told), Arc::clone(&told), Arc::clone(&told));
    let writer = builder
        .on_success(move |written| {
            let written: Vec<_> = written.iter().map(|written| (written.item.number, written.ack)).collect();
            success.lock().unwrap().push(format!("written {written:?}"));
        })
        .on_error(move |lost| {
            let lost: Vec<_> = lost.iter().map(|lost| (lost.item.number, lost.reason.clone())).collect();
            error.lock().unwrap().push(format!("lost {lost:?}"));
        })
        .on_retry(move |again| {
            let numbers: Vec<_> = again.items.iter().map(|item| item.number).collect();
            assert!((5.0..=10.0).contains(&again.delay.as_secs_f64()), "{:?}", again.delay);
            retry.lock().unwrap().push(format!("retry {} of {numbers:?}: {}", again.retry, again.error));
        })
        .start_manual(clock);
    for (number, key) in ["a", "bad", "busy", "a", "busy"].into_iter().enumerate() {
        writer.write(item(key, number as u64)).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(
        *told.lock().unwrap(),
        [
            "retry 1 of [2, 4]: busy",
            "written [(0, 0), (3, 30)]",
            "lost [(1, Rejected(Refused(\"bad\")))]",
            "written [(2, 2), (4, 4)]",
        ]
    );
}

#[test]
fn a_callback_that_panics_ends_nothing() {
    let (builder, clock, calls) = Bench::builder(accepted);
    let writer = builder.on_success(|_| panic!("on purpose")).start_manual(clock);
    writer.write(item("a", 0)).unwrap();
    writer.flush().unwrap();
    writer.write(item("a", 1)).unwrap();
    writer.close().unwrap();
    let writes = calls.lock().unwrap().iter().filter(|call| matches!(call, Call::Write(..))).count();
    assert_eq!(writes, 2);
}

/// Writes from a callback, as a dead-letter handler does; where it would wait for itself it gets an error.
#[test]
fn a_callback_may_write_but_not_wait() {
    for threads in [false, true] {
        let handle: Arc<OnceLock<Weak<BatchWriter<Scripted>>>> = Arc::default();
        let writer = Arc::clone(&handle);
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let (builder, clock, _) = Bench::builder(accepted);
        let builder = builder.options(WriteOptions::new().max_items(2)).on_success(move |written| {
            let writer = writer.get().and_then(Weak::upgrade).expect("the writer is still there");
            if written[0].item.number != 0 {
                return;
            }
            assert!(matches!(writer.flush(), Err(FlushError::FromCallback)));
            let refused = writer.write_sync(item("a", 9)).unwrap_err();
            assert_eq!(refused.reason, Reason::QueueFull);
            // The item that this callback speaks of still counts.
            tell.lock().unwrap().push(writer.write(item("a", 1)).is_ok());
            tell.lock().unwrap().push(writer.write(item("a", 2)).is_ok());
            assert_eq!(writer.run_due(), 0);
        });
        let writer = if threads { builder.start().unwrap() } else { builder.start_manual(clock) };
        let writer = Arc::new(writer);
        handle.set(Arc::downgrade(&writer)).unwrap();
        writer.write(item("a", 0)).unwrap();
        writer.flush().unwrap();
        writer.flush().unwrap();
        assert_eq!(*told.lock().unwrap(), [true, false]);
        assert_eq!(writer.stats().written, 2);
        writer.close().unwrap();
    }
}

#[test]
fn the_last_handle_may_be_dropped_by_a_callback() {
    let handle: Arc<Mutex<Option<BatchWriter<Scripted>>>> = Arc::default();
    let (done, wait) = std::sync::mpsc::channel();
    let taken = Arc::clone(&handle);
    let (builder, _, _) = Bench::builder(accepted);
    let writer = builder
        .options(WriteOptions::new().batch_size(1))
        .on_success(move |written| {
            drop(taken.lock().unwrap().take());
            done.send(written[0].item.number).unwrap();
        })
        .start()
        .unwrap();
    {
        let mut slot = handle.lock().unwrap();
        slot.insert(writer).write(item("a", 5)).unwrap();
    }
    // The thread ends by itself, and the channel with it.
    drop(handle);
    assert_eq!(wait.iter().collect::<Vec<_>>(), [5]);
}
