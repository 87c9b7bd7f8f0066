//! `riverbed put`.

use std::io::{self, IsTerminal};
use std::path::Path;

use riverbed::{Durability, HashKey, PutRecord, Stream};
use serde::Serialize;

use crate::error::CliError;
use crate::feed::{Feed, FeedOptions, Item};
use crate::framing::Framing;
use crate::input::Input;
use crate::key_source::KeyArgs;
use crate::output::{self, Output};
use crate::{Outcome, opening, units, values};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  riverbed --store data put clicks --key user-42 'hello'\n  \
                        tail -f access.log | riverbed --store data put requests --key-field 1\n  \
                        riverbed --store data put orders --key-json /customer/id < orders.jsonl")]
pub(crate) struct Args {
    /// The stream's name
    stream: String,
    /// The data; without it, records come from standard input
    data: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    /// What is between the fields of --key-field, if not white space
    #[arg(long, requires = "key_field")]
    delimiter: Option<String>,
    /// How records follow each other on standard input
    #[arg(long, value_enum, default_value_t = Framing::Lines)]
    framing: Framing,
    /// Choose the shard by this hash key, a number below 2^128, instead of the partition key
    #[arg(long, value_name = "NUMBER")]
    hash_key: Option<HashKey>,
    /// What the puts promise, instead of what the stream says: buffered, immediate, or a time such as 1s
    #[arg(long, value_parser = values::durability)]
    durability: Option<Durability>,
    /// Go on behind a record that cannot be put for what it is like, and say so
    #[arg(long)]
    keep_going: bool,
}

#[derive(Serialize)]
struct PutOne {
    shard_id: String,
    sequence_number: String,
}

#[derive(Serialize)]
struct PutMany {
    records: u64,
    left_out: u64,
    interrupted: bool,
}

pub(crate) fn run(path: &Path, mut args: Args, out: &mut Output) -> Result<Outcome, CliError> {
    let store = opening::write(path)?;
    let stream = store.open_stream(&args.stream)?;
    let outcome = match args.data.take() {
        Some(data) => put_one(&stream, args, &data, out),
        None => put_input(&stream, args, out),
    }?;
    store.close()?;
    Ok(outcome)
}

fn put_one(stream: &Stream, args: Args, data: &str, out: &mut Output) -> Result<Outcome, CliError> {
    let mut keys = args.key.required(args.delimiter)?;
    let key = keys.key(data.as_bytes()).map_err(|problem| CliError::Input { index: 1, problem })?;
    let mut record = PutRecord::new(&*key, data);
    if let Some(hash_key) = args.hash_key {
        record = record.explicit_hash_key(hash_key);
    }
    if let Some(durability) = args.durability {
        record = record.durability(durability);
    }
    let put = stream.put_record(&record)?;
    if out.is_json() {
        let (shard_id, sequence_number) = (put.shard_id.to_string(), put.sequence_number.to_string());
        out.json(&PutOne { shard_id, sequence_number })?;
    } else {
        out.line(&format!("{} in {}", put.sequence_number, put.shard_id))?;
    }
    Ok(Outcome::Fine)
}

fn put_input(stream: &Stream, args: Args, out: &mut Output) -> Result<Outcome, CliError> {
    let mut keys = args.key.required(args.delimiter)?;
    if args.framing == Framing::Lines && io::stdin().is_terminal() {
        output::note("reading records from the terminal, one in a line: Ctrl-D ends them");
    }
    let mut input = Input::open(None)?;
    let mut feed =
        Feed::new(stream, FeedOptions { durability: args.durability, keep_going: args.keep_going });
    let hash_key = args.hash_key;
    let taken = feed.take_all(&mut input, args.framing, |data, feed| match keys.key(data) {
        Ok(key) => feed.take(Ok(Item { key: &key, data, hash_key, ..Item::default() })),
        Err(problem) => feed.take(Err(problem)),
    });
    let interrupted = input.get_ref().is_interrupted();
    drop(input);
    feed.finish(taken)?;
    if out.is_json() {
        out.json(&PutMany { records: feed.put(), left_out: feed.left_out(), interrupted })?;
    } else {
        out.line(&format!("{} put", units::counted(feed.put(), "record")))?;
    }
    Ok(if feed.left_out() > 0 || interrupted { Outcome::NotFine } else { Outcome::Fine })
}
