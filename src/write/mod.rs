//! Writing in batches: what InfluxDB's clients have between a program and the server, for streams and for any other
//! [`Sink`].
//!
//! A [`BatchWriter`] takes items from any number of threads, gathers them in batches and gives these to its sink, from one
//! thread. What the sink cannot take just now is tried again, with the delays of InfluxDB's Python client; items of
//! the same key stay in order all the while. Nothing is lost silently: every item is accepted by the sink, or reported
//! together with the reason.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let store = riverbed::Store::open(directory.path().join("data"))?;
//! # let clicks = store.create_stream("clicks", riverbed::StreamOptions::new())?;
//! use riverbed::write::{BatchWriter, WriteOptions, WriteRecord};
//!
//! let writer = BatchWriter::builder(clicks.clone())
//!     .options(WriteOptions::new().batch_size(500))
//!     .on_error(|failed| eprintln!("{} records were not written", failed.len()))
//!     .start()?;
//! writer.write(WriteRecord::new("user-42", "hello"))?;
//! writer.flush()?; // what was written before is on disk
//! writer.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! `docs/writing.md` has the rules: batches, delays, what is tried again, order, and what closing does.

mod backoff;
mod builder;
mod callbacks;
mod driver;
mod engine;
mod future;
mod not_written;
mod options;
mod record;
mod schedule;
mod sink;
mod sort;
mod stats;
mod stream_sink;
mod ticket;
mod timer;
mod writer;

pub use builder::{StartError, WriterBuilder};
pub use callbacks::{Retry, Written};
pub use future::{FlushFuture, WriteFuture};
pub use not_written::{FlushError, NotWritten, Reason};
pub use options::{OnFull, WriteOptions};
pub use record::WriteRecord;
pub use sink::{Item, Outcome, Sink};
pub use stats::WriterStats;
#[cfg(feature = "kpl")]
pub(crate) use stream_sink::outcomes;
pub use timer::Timer;
pub use writer::BatchWriter;
