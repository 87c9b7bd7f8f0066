//! Writing as Timestream's clients do: common attributes, versions, and what is rejected, read out.
//!
//! `cargo run --example timestream --features measures`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use riverbed::measures::{
    MeasureRecord, MeasureTable, MeasureType, RecordsIngested, Series, TableOptions, TimeUnit,
    WriteRecordsError,
};
use riverbed::{Durability, Store, StreamOptions, Timestamp};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path().join("data"))?;
    let stream = store.create_stream("devops", StreamOptions::new().shards(2))?;
    // 12 hours of memory store, 5 days of magnetic store behind it; what a call says is on disk when it returns.
    let options = TableOptions::new()
        .memory_store(12 * HOUR)
        .magnetic_store(5 * 24 * HOUR)
        .durability(Durability::Immediate);
    let table = MeasureTable::open(&stream, options.clone())?;

    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let time = now.to_string();

    // What all records of a call have in common is said once.
    let common = MeasureRecord::new()
        .dimension("region", "us-east-1")
        .dimension("az", "az1")
        .dimension("hostname", "host1")
        .time(&time)
        .time_unit(TimeUnit::Milliseconds);
    let records = [
        MeasureRecord::new().measure_name("cpu_utilization").measure_value("13.5"),
        MeasureRecord::new().measure_name("memory_utilization").measure_value("40"),
        MeasureRecord::new()
            .measure_name("process")
            .value("name", "riverbed", MeasureType::Varchar)
            .value("pid", "4711", MeasureType::BigInt)
            .value("healthy", "true", MeasureType::Boolean),
    ];
    show("three records", &table.write_records(&common, &records));
    show("the same call again", &table.write_records(&common, &records));

    // Upserts: the same data point with another value is rejected, unless its version is higher.
    let changed = [
        MeasureRecord::new().measure_name("cpu_utilization").measure_value("14.5"),
        MeasureRecord::new().measure_name("memory_utilization").measure_value("50").version(2),
    ];
    show("other values, one with a version", &table.write_records(&common, &changed));
    show("the first with version 3", &table.write_records(&common.clone().version(3), &changed[..1]));

    // Some records are rejected, the others are stored: times and values that the table does not take.
    let (old, older) = ((now - 86_400_000).to_string(), (now - 30 * 86_400_000).to_string());
    let mixed = [
        MeasureRecord::new().measure_name("cpu_utilization").measure_value("11.5").time(&old),
        MeasureRecord::new().measure_name("cpu_utilization").measure_value("10.5").time(&older),
        MeasureRecord::new().measure_name("memory_utilization").measure_value("many"),
    ];
    show("a day old, a month old, no number", &table.write_records(&common, &mixed));

    // A call that breaks the request's rules is refused whole.
    let overlapping = [MeasureRecord::new().dimension("az", "az2").measure_name("x").measure_value("1")];
    show("a dimension that is common, too", &table.write_records(&common, &overlapping));

    // What is there survives the table, and each data point is read once, at its latest version.
    drop(table);
    let table = MeasureTable::open(&stream, options)?;
    println!("the last two hours:");
    for stored in table.scan(Timestamp::from_millis(u64::try_from(now - 7_200_000)?)..) {
        let stored = stored?;
        let measure = stored.measure();
        println!("  {} version {}: {:?}", measure.measure_name(), measure.version(), measure.value());
    }
    let cpu = Series::new([("region", "us-east-1"), ("az", "az1"), ("hostname", "host1")], "cpu_utilization");
    let first = table.as_of(&cpu, Timestamp::from_millis(u64::try_from(now)?), 1)?;
    println!("cpu_utilization as of version 1: {:?}", first.as_ref().map(|stored| stored.measure().value()));
    Ok(())
}

/// Says what became of a call, as the service's code samples do.
fn show(what: &str, outcome: &Result<RecordsIngested, WriteRecordsError>) {
    println!("{what}:");
    match outcome {
        Ok(ingested) => println!(
            "  WriteRecords Status: {} ingested ({} memory, {} magnetic), {} of them there already",
            ingested.total, ingested.memory_store, ingested.magnetic_store, ingested.unchanged
        ),
        Err(WriteRecordsError::Rejected(call)) => {
            println!("  RejectedRecords: {call}");
            for rejected in &call.rejected {
                println!("    Rejected Index {}: {}", rejected.index, rejected.reason);
                if let Some(version) = rejected.existing_version {
                    println!("    Rejected record existing version: {version}");
                }
            }
            println!("  Other records were written successfully: {}", call.ingested.total);
        }
        Err(error) => println!("  Error: {error}"),
    }
}
