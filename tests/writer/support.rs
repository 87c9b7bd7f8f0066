//! A sink that does what a test says, and keeps what it was given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverbed::Clock;
use riverbed::testing::ManualClock;
use riverbed::write::{BatchWriter, Item, NotWritten, Outcome, Reason, Sink, WriteOptions, WriterBuilder};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// An item: a number under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) key: &'static str,
    pub(crate) number: u64,
}

pub(crate) fn item(key: &'static str, number: u64) -> Numbered {
    Numbered { key, number }
}

impl Item for Numbered {
    fn key(&self) -> &[u8] {
        self.key.as_bytes()
    }

    fn size(&self) -> usize {
        10
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) &'static str);

pub(crate) type Answer = Outcome<u64, Refused>;

pub(crate) fn accepted(items: &[Numbered]) -> Vec<Answer> {
    items.iter().map(|item| Outcome::Accepted(item.number)).collect()
}

pub(crate) fn later(items: &[Numbered]) -> Vec<Answer> {
    items.iter().map(|_| Outcome::Retry { error: Refused("busy"), retry_after: None }).collect()
}

/// Asks for each batch to come again, so many times, and accepts from then on.
pub(crate) fn later_times(mut times: usize) -> impl FnMut(&[Numbered]) -> Vec<Answer> + Send + 'static {
    move |batch| {
        if times > 0 {
            times -= 1;
            later(batch)
        } else {
            accepted(batch)
        }
    }
}

type Script = Box<dyn FnMut(&[Numbered]) -> Vec<Answer> + Send>;

/// One call of the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// At which second, and the numbers of the items.
    Write(u64, Vec<u64>),
    Flush(u64),
}

/// A sink that does what a script says.
pub(crate) struct Scripted {
    pub(crate) script: Script,
    pub(crate) flush: Box<dyn FnMut() -> Result<(), Refused> + Send>,
    pub(crate) clock: ManualClock,
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
}

impl Sink for Scripted {
    type Item = Numbered;
    type Ack = u64;
    type Error = Refused;

    fn write(&mut self, batch: &[Numbered]) -> Vec<Answer> {
        let numbers = batch.iter().map(|item| item.number).collect();
        self.calls.lock().unwrap().push(Call::Write(seconds(&self.clock), numbers));
        (self.script)(batch)
    }

    fn flush(&mut self) -> Result<(), Refused> {
        self.calls.lock().unwrap().push(Call::Flush(seconds(&self.clock)));
        (self.flush)()
    }
}

fn seconds(clock: &ManualClock) -> u64 {
    clock.now().as_millis() / 1000
}

type Lost = (u64, Reason<Refused>);

/// A writer to a scripted sink, with everything that it tells.
pub(crate) struct Bench {
    pub(crate) writer: Option<BatchWriter<Scripted>>,
    pub(crate) clock: ManualClock,
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
    pub(crate) lost: Arc<Mutex<Vec<Lost>>>,
}

impl Bench {
    pub(crate) fn builder(
        script: impl FnMut(&[Numbered]) -> Vec<Answer> + Send + 'static,
    ) -> (WriterBuilder<Scripted>, ManualClock, Arc<Mutex<Vec<Call>>>) {
        let clock = ManualClock::default();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let sink = Scripted {
            script: Box::new(script),
            flush: Box::new(|| Ok(())),
            clock: clock.clone(),
            calls: Arc::clone(&calls),
        };
        (BatchWriter::builder(sink).seed(1), clock, calls)
    }

    /// A writer without a thread, whose error callback keeps what is lost.
    pub(crate) fn new(
        options: WriteOptions,
        script: impl FnMut(&[Numbered]) -> Vec<Answer> + Send + 'static,
    ) -> Self {
        let (builder, clock, calls) = Self::builder(script);
        let lost = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&lost);
        let writer = builder
            .options(options)
            .on_error(move |failed| keep.lock().unwrap().extend(failed.into_iter().map(parts)))
            .start_manual(clock.clone());
        Self { writer: Some(writer), clock, calls, lost }
    }

    pub(crate) fn writer(&self) -> &BatchWriter<Scripted> {
        self.writer.as_ref().expect("the writer was not closed")
    }

    /// Lets time pass, a second at a time, and the writer do what is due.
    pub(crate) fn pass(&self, seconds: u64) {
        self.writer().run_due();
        for _ in 0..seconds {
            self.clock.advance(SECOND);
            self.writer().run_due();
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    pub(crate) fn lost(&self) -> Vec<Lost> {
        std::mem::take(&mut *self.lost.lock().unwrap())
    }
}

fn parts(lost: NotWritten<Numbered, Refused>) -> Lost {
    (lost.item.number, lost.reason)
}
