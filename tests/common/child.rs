//! A child process that writes to a store and reports each acknowledgement, and what must hold of that store once
//! the child is dead.
//!
//! The child is this test binary, started again with one test selected and its task in an environment variable.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(unreachable_pub, reason = "shared by several test binaries, each of which is a crate of its own")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use riverbed::{Durability, Position, PutRecord, Store, Stream, StreamOptions};

/// Where the child finds its task.
const TASK: &str = "RIVERBED_TEST_CHILD";

/// A number from the environment, or the default.
pub fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is '{text}', not a number")),
        Err(_) => default,
    }
}

/// The seed of this run: `RIVERBED_SEED`, or a new one. Printed, so that the run can be repeated.
pub fn seed(test: &str) -> u64 {
    let seed = number("RIVERBED_SEED", fastrand::u64(..));
    println!("{test}: RIVERBED_SEED={seed}");
    seed
}

/// The task of this process, if it is a child.
pub fn task() -> Option<String> {
    std::env::var(TASK).ok()
}

/// Starts this test binary again, to run only the test `test` with a task.
pub fn start(test: &str, task: &str) -> Started {
    let program = std::env::current_exe().expect("a test has a path");
    start_by(&mut Command::new(program), test, task)
}

/// As [`start`], by a command that has been given this test binary.
pub fn start_by(command: &mut Command, test: &str, task: &str) -> Started {
    let mut child = command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(TASK, task)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts");
    let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    Started { child, lines }
}

/// A running child.
pub struct Started {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Started {
    /// The next line; `None` once the child is dead and has been read to its end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).expect("the child writes UTF-8");
        // A line that was cut by the kill says nothing.
        (read > 0 && line.ends_with('\n')).then(|| line.trim_end().to_owned())
    }

    /// The next line that begins with one of these words; panics when the child reports an error or ends.
    pub fn line_starting(&mut self, words: &[&str]) -> String {
        loop {
            let line = self.line().expect("the child ended too early");
            assert!(!line.starts_with("error"), "the child says: {line}");
            if words.iter().any(|word| line.starts_with(word)) {
                return line;
            }
        }
    }

    /// Sends SIGKILL, and returns what the child had still reported.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("a child can be killed");
        let mut rest = Vec::new();
        while let Some(line) = self.line() {
            assert!(!line.starts_with("error"), "the child says: {line}");
            rest.push(line);
        }
        self.child.wait().expect("a child can be waited for");
        rest
    }

    /// Reads what is left and waits for the end.
    pub fn finish(mut self) -> (Vec<String>, ExitStatus) {
        let mut rest = Vec::new();
        while let Some(line) = self.line() {
            rest.push(line);
        }
        (rest, self.child.wait().expect("a child can be waited for"))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // For a test that fails: the child does not outlive it. One that is dead already is no error here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Writes whole lines at once, so that a kill cuts none of a batch's from the others.
pub fn report(lines: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone needs no report.
    if out.write_all(lines.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Which record it is: the child that wrote it, the child's thread, and that thread's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub run: u64,
    pub writer: u64,
    pub index: u64,
}

impl Id {
    /// Every writer has keys of its own, so that the order per key is known.
    pub fn key(self) -> String {
        format!("writer-{}-{}", self.writer, self.index % 5)
    }

    /// The record's data: its identity and noise that follows from it. Mostly short, now and then several pages.
    pub fn data(self) -> Vec<u8> {
        let mut data = Vec::new();
        for part in [self.run, self.writer, self.index] {
            data.extend(part.to_le_bytes());
        }
        let mixed = self.run.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.writer << 48 ^ self.index;
        let mut random = fastrand::Rng::with_seed(mixed);
        let len = match random.u8(..) {
            0..=3 => random.usize(..20_000),
            4..=40 => random.usize(..2_000),
            _ => random.usize(..300),
        };
        let from = data.len();
        data.resize(from + len, 0);
        random.fill(&mut data[from..]);
        data
    }

    pub fn of(data: &[u8]) -> Option<Self> {
        let part = |at: usize| Some(u64::from_le_bytes(data.get(at..at + 8)?.try_into().ok()?));
        Some(Self { run: part(0)?, writer: part(8)?, index: part(16)? })
    }
}

/// What a writing child does.
#[derive(Debug, Clone)]
pub struct Task {
    pub path: PathBuf,
    pub run: u64,
    pub writers: u64,
    pub shards: u32,
    pub segment_len: u64,
    /// One for each writer, in turn: `B`uffered, `P`eriodic, `I`mmediate or `M`ixed.
    pub durabilities: String,
}

impl Task {
    pub fn start(&self, test: &str) -> Started {
        let Self { path, run, writers, shards, segment_len, durabilities } = self;
        let path = path.to_str().expect("a UTF-8 path");
        start(test, &format!("{run},{writers},{shards},{segment_len},{durabilities},{path}"))
    }

    pub fn parse(text: &str) -> Self {
        let parts: Vec<_> = text.splitn(6, ',').collect();
        let number = |at: usize| parts[at].parse::<u64>().expect("a number");
        Self {
            run: number(0),
            writers: number(1),
            shards: u32::try_from(number(2)).expect("few shards"),
            segment_len: number(3),
            durabilities: parts[4].to_owned(),
            path: PathBuf::from(parts[5]),
        }
    }
}

pub fn open(path: &Path, segment_len: u64) -> Store {
    Store::options().segment_len(segment_len, segment_len * 2).open(path).expect("opening never fails")
}

/// The child's side: if this process is one, writes until it is killed.
pub fn write_if_child() {
    let Some(task) = task() else { return };
    let task = Task::parse(&task);
    // libtest has written the beginning of a line.
    report("\nopening\n");
    let store = open(&task.path, task.segment_len);
    let stream = match store.open_stream("s") {
        Ok(stream) => stream,
        Err(_) => store.create_stream("s", StreamOptions::new().shards(task.shards)).expect("a stream"),
    };
    report("ready\n");
    std::thread::scope(|scope| {
        for writer in 0..task.writers {
            let (stream, task) = (&stream, &task);
            scope.spawn(move || write(stream, task, writer));
        }
    });
}

/// Puts records for ever, and reports each acknowledgement.
pub fn write(stream: &Stream, task: &Task, writer: u64) {
    let letters = task.durabilities.as_bytes();
    let letter = letters[usize::try_from(writer).expect("few writers") % letters.len()];
    let mut random = fastrand::Rng::with_seed(task.run << 16 | writer);
    let mut index = 0;
    loop {
        let count = if random.bool() { 1 } else { random.u64(1..20) };
        let batch: Vec<_> = (index..index + count).map(|index| Id { run: task.run, writer, index }).collect();
        index += count;
        let records: Vec<_> = batch.iter().map(|id| (id.key(), id.data())).collect();
        let letter = if letter == b'M' { *random.choice(b"BPI").expect("letters") } else { letter };
        let durability = match letter {
            b'B' => Durability::Buffered,
            b'P' => Durability::Periodic(Duration::from_millis(random.u64(1..20))),
            _ => Durability::Immediate,
        };
        let puts: Vec<_> =
            records.iter().map(|(key, data)| PutRecord::new(key, data).durability(durability)).collect();
        let results = match puts.as_slice() {
            [one] => vec![stream.put_record(one)],
            many => stream.put_records(many).into_results(),
        };
        let mut lines = String::new();
        for (id, result) in batch.iter().zip(results) {
            let letter = char::from(letter);
            match result {
                Ok(put) => {
                    let Id { run, writer, index } = id;
                    let number = put.sequence_number;
                    writeln!(lines, "ack {number} {run} {writer} {index} {letter}").expect("memory");
                }
                Err(error) => writeln!(lines, "error {error}").expect("memory"),
            }
        }
        report(&lines);
    }
}

/// An acknowledgement as the child reported it.
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    pub number: u128,
    pub id: Id,
    pub immediate: bool,
}

impl Ack {
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("ack ")?.split(' ');
        let number = words.next()?.parse().ok()?;
        let mut next = || words.next()?.parse().ok();
        let id = Id { run: next()?, writer: next()?, index: next()? };
        Some(Self { number, id, immediate: words.next()? == "I" })
    }
}

pub type Records = BTreeMap<u128, Id>;

/// The shard that a number is of.
pub fn shard_of(number: u128) -> u32 {
    u32::try_from(number & u128::from(u32::MAX)).expect("32 bits")
}

/// The highest number of each shard.
pub fn highest(records: &Records) -> HashMap<u32, u128> {
    let mut highest = HashMap::new();
    for &number in records.keys() {
        let entry = highest.entry(shard_of(number)).or_insert(number);
        *entry = number.max(*entry);
    }
    highest
}

/// Reads all records of a recovered store, and checks what can be said without knowing what was acknowledged: each
/// is what some child wrote, byte for byte; numbers increase; each was stored once; every key's are in order.
pub fn read_checked(store: &Store) -> Records {
    let report = store.recovery_report();
    assert!(!report.is_damaged(), "a crash is no damage: {report:#?}");
    let mut all = Records::new();
    // Killed before the stream was there.
    if store.list_streams().is_empty() {
        return all;
    }
    let stream = store.open_stream("s").expect("the stream is whole");
    let mut ids = HashSet::new();
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).expect("a reader");
        let mut last = None;
        let mut last_of_key: HashMap<String, Id> = HashMap::new();
        while let Some(record) = reader.next().expect("a readable shard") {
            let number = record.sequence_number().as_u128();
            assert!(last < Some(number), "{number} follows {last:?}");
            last = Some(number);
            let id = Id::of(record.data()).expect("a record that a child wrote");
            assert!(record.data() == id.data(), "the data of {number} is not that of {id:?}");
            assert_eq!(record.partition_key().expect("UTF-8"), id.key());
            assert!(ids.insert(id), "{id:?} is stored twice");
            if let Some(before) = last_of_key.insert(id.key(), id) {
                assert!(before < id, "{id:?} follows {before:?} of the same key");
            }
            all.insert(number, id);
        }
    }
    all
}

/// Checks that all of `must` is in `found`, unchanged.
pub fn check_there(must: &Records, found: &Records, what: &str) {
    let lost: Vec<_> = must.iter().filter(|&(number, id)| found.get(number) != Some(id)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} {what} records are lost or changed, first {:?}, found there: {:?}",
        lost.len(),
        must.len(),
        lost[0],
        found.get(lost[0].0),
    );
}

/// Checks that numbers which were not known before are above all that were.
pub fn check_new_above(before: &Records, now: &Records) {
    let highest = highest(before);
    for (number, id) in now.iter().filter(|(number, _)| !before.contains_key(number)) {
        let highest = highest.get(&shard_of(*number));
        assert!(highest < Some(number), "{id:?} got {number}, not above {highest:?}: it may have been used");
    }
}
