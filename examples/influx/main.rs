//! Writing as InfluxDB's Python client does, in all the ways that its introduction shows: configured from a file, from
//! the environment and in code; with data prepared in every way; in batches, synchronously, asynchronously, with callbacks.
//!
//! `cargo run --example influx --features config,line-protocol`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

mod prepare;
mod writing;

use std::error::Error;
use std::path::Path;

use riverbed::config::{Config, Environment};
use riverbed::{Store, StreamOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let config = configuration(directory.path())?;
    let store = Store::open(config.path().unwrap_or(directory.path()))?;

    let testing = store.create_stream(config.stream().unwrap_or("testing"), config.stream_options())?;
    prepare::run(&testing)?;
    let sensors = store.create_stream("sensors", StreamOptions::new())?;
    writing::run(&sensors, &config)?;
    store.close()?;
    Ok(())
}

/// From a file, from the environment, in code: what comes later wins.
fn configuration(directory: &Path) -> Result<Config, Box<dyn Error>> {
    let toml = directory.join("config.toml");
    let data = directory.join("data");
    std::fs::write(
        &toml,
        format!(
            "[riverbed]\npath = {data:?}\nstream = \"testing\"\nshards = 4\n\n[tags]\nsite = \"north\"\n"
        ),
    )?;
    // A file of the client will do; its connection is kept for those who send to a server.
    let ini = directory.join("config.ini");
    std::fs::write(&ini, "[influx2]\nurl = http://localhost:8086\norg = my-org\ntoken = my-token\n")?;

    let environment = Environment::of_process(); // such as RIVERBED_BATCH_SIZE=500, INFLUXDB_V2_TAG_HOST=a
    Ok(Config::new()
        .with_file(toml, &environment)?
        .with_file(ini, &environment)?
        .with_environment(&environment)?)
}
