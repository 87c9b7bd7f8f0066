//! Writing as the streaming backend of v3io Frames does: frames as a list, one by one and out of an iterator, into tables that
//! are streams; and what the original cannot do: nulls and types come back as they were.
//!
//! `cargo run --example frames --features frames`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::error::Error;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampNanosecondArray, record_batch};
use arrow_cast::display::array_value_to_string;
use riverbed::frames::{Client, CreateOptions, Frame, PutArgs, Seek};
use riverbed::{ShardId, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path().join("data"))?;
    let client = Client::new(&store);

    list(&client)?;
    single(&client)?;
    store.sync()?; // all of it is on disk
    Ok(())
}

/// A list of frames, as the first example of the original's documentation; then the same from an iterator.
fn list(client: &Client) -> Result<(), Box<dyn Error>> {
    let stream = "mystream";
    client.create(stream, &CreateOptions::new().shards(2))?;
    let row = |col1, col2, col3| {
        record_batch!(("col1", Utf8, [col1]), ("col2", Int64, [col2]), ("col3", Boolean, [col3]))
    };
    let dfs = [row("A", 1, true)?, row("B", 2, false)?, row("C", 3, true)?, row("D", 4, false)?];
    let written = client.write(stream, &dfs, 0)?;
    println!("{} frames, {} rows", written.frames.len(), written.rows);
    client.write(stream, dfs.iter().rev(), 0)?;

    // A single record of bytes, with a key that chooses its shard.
    let put = client.put(stream, &PutArgs::new("any bytes").client_info("example").partition_key("A"))?;
    println!("put as {} in {}", put.sequence_number, put.shard_id);

    for shard in client.stream(stream)?.shards() {
        for frame in client.read(stream, Seek::Earliest, shard.id, 1024)? {
            show(&frame?)?;
        }
    }
    client.delete(stream)?;
    Ok(())
}

/// One frame with an index of two columns, as the second example.
fn single(client: &Client) -> Result<(), Box<dyn Error>> {
    let stream = "/taxi_streams/rides";
    client.create(stream, &CreateOptions::new().retention_hours(48))?;
    let (july_1, july_2, august_1) = (1_561_939_200, 1_562_025_600, 1_564_617_600);
    let data = [
        (24, july_1, 8, 332.0, 18),
        (24, july_2, 5, 260.0, 11),
        (24, august_1, 7, 352.1, 21),
        (1, july_1, 25, 125.0, 40),
        (1, july_2, 20, 106.0, 46),
        (1, august_1, 28, 106.4, 42),
        (16, july_1, 0, 0.0, 0),
        (6, july_2, 10, 244.0, 45),
        (16, august_1, 6, 193.2, 24),
    ];
    let numbers = |value: fn(&(i64, i64, i64, f64, i64)) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(data.iter().map(value)))
    };
    let dates = TimestampNanosecondArray::from_iter_values(data.iter().map(|row| row.1 * 1_000_000_000));
    let total_km = Float64Array::from_iter_values(data.iter().map(|row| row.3));
    let rows = RecordBatch::try_from_iter([
        ("driver_id", numbers(|row| row.0)),
        ("date", Arc::new(dates) as ArrayRef),
        ("num_rides", numbers(|row| row.2)),
        ("total_km", Arc::new(total_km)),
        ("total_passengers", numbers(|row| row.4)),
    ])?;
    let df = Frame::new(rows).with_index(["driver_id", "date"])?;
    let written = client.write(stream, &df, 0)?;
    println!("{} rows in {stream}", written.rows);

    // From the third row on, by its number.
    if let Some((first, _)) = written.frames.first().and_then(|put| put.sequence_numbers) {
        for frame in client.read(stream, Seek::Sequence(first.counter() + 2), ShardId::new(0), 4)? {
            show(&frame?)?;
        }
    }
    client.delete(stream)?;
    Ok(())
}

fn show(frame: &Frame) -> Result<(), Box<dyn Error>> {
    let names: Vec<_> =
        frame.rows().schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    println!("index {}: {}", frame.index().join(", "), names.join(", "));
    // Without the last column, the time of arrival.
    let columns = frame.rows().columns().split_last().map_or(&[][..], |(_, columns)| columns);
    for row in 0..frame.num_rows() {
        let values = columns.iter().map(|column| array_value_to_string(column, row));
        println!("  {}", values.collect::<Result<Vec<_>, _>>()?.join(", "));
    }
    Ok(())
}
