//! Every way to write: in batches, synchronously, asynchronously, with callbacks.

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use riverbed::Stream;
use riverbed::config::Config;
use riverbed::line_protocol::Dialect;
use riverbed::point::{DefaultTags, Point, PointEncoder, PointOptions, Precision, TagPrecedence};
use riverbed::write::{BatchWriter, WriteOptions};

pub(crate) fn run(stream: &Stream, config: &Config) -> Result<(), Box<dyn Error>> {
    let tags: DefaultTags = config.default_tags().collect();
    let points = PointEncoder::new(PointOptions::new().default_tags(tags, TagPrecedence::Default));
    batches(stream, config, &points)?;
    batches_with_options(stream, &points)?;
    synchronous(stream, &points)?;
    asynchronous(stream, &points)?;
    callbacks(stream, &points)
}

/// Up to 1,000 items every second, unless the configuration says otherwise.
fn batches(stream: &Stream, config: &Config, points: &PointEncoder) -> Result<(), Box<dyn Error>> {
    let writer = BatchWriter::builder(stream.clone()).options(config.write_options().clone()).start()?;
    let lines = points.encode_lines("sensor temp=23.3", Dialect::V2Server, Precision::Nanoseconds);
    writer.write_all(lines.records)?;
    writer.flush()?; // what was written is on disk
    writer.close()?;
    Ok(())
}

fn batches_with_options(stream: &Stream, points: &PointEncoder) -> Result<(), Box<dyn Error>> {
    let options = WriteOptions::new()
        .batch_size(500)
        .flush_interval(Duration::from_millis(10_000))
        .jitter_interval(Duration::from_millis(2_000))
        .retry_interval(Duration::from_millis(5_000))
        .max_retries(5)
        .max_retry_delay(Duration::from_millis(30_000))
        .exponential_base(2);
    let writer = BatchWriter::builder(stream.clone()).options(options).start()?;
    writer.write(points.encode(&Point::new("sensor").field("temp", 23.3))?)?;
    Ok(()) // dropping the writer writes what waits
}

/// Each write returns once the stream has the point, and gives it back if not.
fn synchronous(stream: &Stream, points: &PointEncoder) -> Result<(), Box<dyn Error>> {
    let writer = BatchWriter::builder(stream.clone()).start()?;
    let put = writer.write_sync(points.encode(&Point::new("sensor").field("temp", 23.3))?)?;
    println!("synchronous: {} in {}", put.sequence_number, put.shard_id);
    let refused = writer.write_sync(("", "a record needs a key")).err();
    println!("synchronous: {}", refused.map_or_else(String::new, |failed| failed.to_string()));
    Ok(())
}

/// The same as a future, for whatever runtime there is.
fn asynchronous(stream: &Stream, points: &PointEncoder) -> Result<(), Box<dyn Error>> {
    let writer = BatchWriter::builder(stream.clone()).start()?;
    block_on(async {
        let put = writer.write_async(points.encode(&Point::new("sensor").field("temp", 23.3))?).await?;
        println!("asynchronous: {} in {}", put.sequence_number, put.shard_id);
        writer.flush_async().await?;
        Ok(())
    })
}

/// Each callback gets the batch that it speaks of.
fn callbacks(stream: &Stream, points: &PointEncoder) -> Result<(), Box<dyn Error>> {
    let writer = BatchWriter::builder(stream.clone())
        .on_success(|written| println!("written: a batch of {}", written.len()))
        .on_error(|failed| failed.iter().for_each(|failed| println!("not written: {:?}", failed.reason)))
        .on_retry(|retry| println!("{} will be tried again in {:?}", retry.items.len(), retry.delay))
        .start()?;
    writer.write(points.encode(&Point::new("sensor").field("temp", 23.3))?)?;
    writer.write(("", "a record needs a key"))?;
    writer.close()?;
    Ok(())
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest of all runtimes; take the one that you have.
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
