//! Analytics on Arrow batches: rides are put as batches of columns and read where they lie in the mapped segments; sums and a
//! group-by go over the columns without a copy; what was put is exported as an Arrow IPC stream that any Arrow library reads.
//!
//! `cargo run --release --example arrow_analytics --features arrow [DIRECTORY: a new one, to keep the store and the export in]`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::reader::StreamReader;
use riverbed::columns::{BatchReaderOptions, Columns, IpcOptions};
use riverbed::{Position, Store, Stream, StreamOptions};

const BATCHES: i32 = 40;
const ROWS: i32 = 5_000;
const ZONES: i32 = 6;

/// Of the rides of a zone, how many there were, what they cost and how far they went.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Zone {
    rides: u64,
    cents: i64,
    miles: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or_else(|| directory.path().to_owned(), PathBuf::from);
    fs::create_dir_all(&path)?;
    let store = Store::open(path.join("data"))?;
    let stream = store.create_stream("rides", StreamOptions::new())?;
    let rides = stream.columns();

    // Batches in. Each row gets a sequence number.
    let started = Instant::now();
    let mut expected = BTreeMap::new();
    for number in 0..BATCHES {
        let batch = batch(number)?;
        group(&batch, &mut expected)?;
        rides.put_batch("rides", &batch)?;
    }
    println!("{BATCHES} batches of {ROWS} rows put in {:?}", started.elapsed());

    in_place(&stream, &rides)?;
    let zones = analyse(&rides)?;
    let exported = export(&rides, &path.join("rides.arrows"))?;
    store.close()?;
    if zones == expected && exported == expected {
        Ok(())
    } else {
        Err("what was read is not what was put".into())
    }
}

/// Some rides.
fn batch(number: i32) -> Result<RecordBatch, Box<dyn Error>> {
    let rows = number * ROWS..(number + 1) * ROWS;
    let zones = Int32Array::from_iter_values(rows.clone().map(|row| row * 7 % ZONES));
    let cents = Int64Array::from_iter_values(rows.clone().map(|row| 250 + i64::from(row) * 37 % 9_000));
    let miles = Float64Array::from_iter_values(rows.clone().map(|row| f64::from(row % 160) / 4.0));
    let riders = StringArray::from_iter_values(rows.map(|row| format!("rider {}", row % 1_000)));
    let columns: [(&str, ArrayRef); 4] = [
        ("zone", Arc::new(zones)),
        ("cents", Arc::new(cents)),
        ("miles", Arc::new(miles)),
        ("rider", Arc::new(riders)),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// Adds the rides of a batch to their zones. The columns are slices of numbers, wherever they lie.
fn group(rides: &RecordBatch, zones: &mut BTreeMap<i32, Zone>) -> Result<(), Box<dyn Error>> {
    let column = |name| rides.column_by_name(name).ok_or(format!("no column '{name}'"));
    let zone = column("zone")?.as_primitive_opt::<Int32Type>().ok_or("zones are integers")?;
    let cents = column("cents")?.as_primitive_opt::<Int64Type>().ok_or("cents are integers")?;
    let miles = column("miles")?.as_primitive_opt::<Float64Type>().ok_or("miles are floats")?;
    for ((zone, cents), miles) in zone.values().iter().zip(cents.values()).zip(miles.values()) {
        let zone = zones.entry(*zone).or_default();
        zone.rides += 1;
        zone.cents += cents;
        zone.miles += miles;
    }
    Ok(())
}

/// Looks where a column lies: in the bytes of its record, which lie in the mapped segment.
fn in_place(stream: &Stream, rides: &Columns) -> Result<(), Box<dyn Error>> {
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon)?;
        while let Some(record) = reader.next()? {
            let stored = rides.decode(&record)?;
            let cents = stored.rows().column_by_name("cents").ok_or("no column 'cents'")?;
            let cents = cents.as_primitive_opt::<Int64Type>().ok_or("cents are integers")?;
            if !record.data().as_ptr_range().contains(&cents.values().as_ptr().cast()) {
                return Err(format!("the batch at {} was copied", stored.sequence_number()).into());
            }
        }
    }
    println!("the columns lie in the mapped segments");
    Ok(())
}

/// Reads three of the four columns, and groups by one of them.
fn analyse(rides: &Columns) -> Result<BTreeMap<i32, Zone>, Box<dyn Error>> {
    let started = Instant::now();
    let options = BatchReaderOptions::new().columns(["zone", "cents", "miles"]);
    let mut reader = rides.merged_reader(Position::TrimHorizon, options)?;
    let mut zones = BTreeMap::new();
    while let Some(batch) = reader.next()? {
        group(batch.rows(), &mut zones)?;
    }
    println!("grouped by zone in {:?}", started.elapsed());
    let (rides, cents): (Vec<_>, Vec<_>) = zones.values().map(|zone| (zone.rides, zone.cents)).unzip();
    let (rides, cents) = (rides.iter().sum::<u64>(), cents.iter().sum::<i64>());
    println!("in all: {rides} rides, {}.{:02} dollars", cents / 100, cents % 100);
    for (zone, Zone { rides, cents, miles }) in &zones {
        println!("zone {zone}: {rides} rides, {}.{:02} dollars, {miles} miles", cents / 100, cents % 100);
    }
    Ok(zones)
}

/// Writes everything as one Arrow IPC stream, and reads that as anybody else would.
fn export(rides: &Columns, path: &Path) -> Result<BTreeMap<i32, Zone>, Box<dyn Error>> {
    let mut file = BufWriter::new(File::create_new(path)?);
    let mut reader = rides.merged_reader(Position::TrimHorizon, BatchReaderOptions::new())?;
    let written = reader.write_ipc(&mut file, IpcOptions::new())?;
    file.flush()?;
    println!(
        "exported {} rows, {} KiB, to {}: {} of {} batches as they lie in the log",
        written.rows,
        written.bytes >> 10,
        path.display(),
        written.copied,
        written.batches
    );
    let mut zones = BTreeMap::new();
    for batch in StreamReader::try_new(BufReader::new(File::open(path)?), None)? {
        group(&batch?, &mut zones)?;
    }
    Ok(zones)
}
