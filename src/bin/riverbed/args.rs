//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::{
    bench, completions, consumers, create, delete, describe, doctor, dump, export, get, import, list, man,
    merge, put, repair, reshard, retention, split, stats, tail, trim, verify,
};

/// Looks at stores of streams, and works on them.
#[derive(Debug, Parser)]
#[command(
    name = "riverbed",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 it worked, and nothing is wrong; 1 it failed, or it found damage; 2 the command line is \
                  wrong.\nNO_COLOR and pipes are respected. Every command has an example in its --help."
)]
pub(crate) struct Cli {
    /// The store's directory
    #[arg(short, long, value_name = "DIR", env = "RIVERBED_STORE", default_value = ".", global = true)]
    pub(crate) store: PathBuf,
    /// Print facts as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a stream, and the store if there is none
    Create(create::Args),
    /// List the streams
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Describe a stream: shards, hash key ranges, lineage, retention, sizes
    Describe(describe::Args),
    /// Delete a stream with all its records
    Delete(delete::Args),
    /// Put a record, or those of standard input
    Put(put::Args),
    /// Put the records of a file: lines, JSON, line protocol, CSV, Parquet, Arrow
    Import(import::Args),
    /// Write records to a file: lines, JSON, line protocol, CSV, Parquet, Arrow
    Export(export::Args),
    /// Get one record by its sequence number
    Get(get::Args),
    /// Show records from a position on, those of all shards merged
    Tail(tail::Args),
    /// Show what the shards have, once or again and again
    Stats(stats::Args),
    /// Show or change how long a stream keeps its records
    Retention(retention::Args),
    /// Remove the oldest records of a shard
    Trim(trim::Args),
    /// Split a shard in two
    Split(split::Args),
    /// Merge two neighbouring shards
    Merge(merge::Args),
    /// Split and merge to a number of even shards
    Reshard(reshard::Args),
    /// Look after a stream's consumers
    Consumers(consumers::Args),
    /// Check every byte of the store
    Verify(verify::Args),
    /// Move damaged files out of the way
    Repair(repair::Args),
    /// Show a segment's file piece by piece
    Dump(dump::Args),
    /// Measure puts and reads against what this machine can do
    Bench(bench::Args),
    /// Look whether a directory suits a store
    Doctor(doctor::Args),
    /// Write completions for a shell
    Completions(completions::Args),
    /// Write the manual's pages
    Man(man::Args),
}
