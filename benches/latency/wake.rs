//! Waking a reader that waits, in this process and in another one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use riverbed::{Durability, Position, Reader, Store, Stream, StreamOptions};

use crate::clock;
use crate::distribution::Distribution;

/// The argument that makes this program the other process.
pub(crate) const FOLLOW: &str = "follow";
/// Long enough for a reader to be asleep again.
const PAUSE: Duration = Duration::from_micros(500);
const FOR_EVER: Duration = Duration::from_secs(3600);

pub(crate) fn measure(wakes: usize) -> Vec<Distribution> {
    vec![condvar(wakes), threads(wakes), processes(wakes)]
}

/// What the machine takes to wake a thread.
fn condvar(wakes: usize) -> Distribution {
    let mut woken = Distribution::new("a condition variable, between threads");
    let shared = Arc::new((Mutex::new(None), Condvar::new()));
    let sender = Arc::clone(&shared);
    let sending = std::thread::spawn(move || {
        for _ in 0..wakes {
            std::thread::sleep(PAUSE);
            *sender.0.lock() = Some(clock::now());
            sender.1.notify_one();
        }
    });
    let (sent, changed) = &*shared;
    while woken.len() < wakes as u64 {
        let mut sent = sent.lock();
        while sent.is_none() {
            // The last one may have come in time for the one before it.
            if changed.wait_for(&mut sent, Duration::from_secs(1)).timed_out() && sending.is_finished() {
                return woken;
            }
        }
        woken.record(clock::now() - sent.take().unwrap());
    }
    sending.join().unwrap();
    woken
}

fn store(path: &Path) -> (Store, Stream) {
    let store = Store::options().durability(Durability::Buffered).open(path).unwrap();
    let stream = store.create_stream("bench", StreamOptions::new()).unwrap();
    (store, stream)
}

/// Puts records that say when they were put.
fn send(stream: &Stream, wakes: usize) {
    for _ in 0..wakes {
        std::thread::sleep(PAUSE);
        stream.put("user-42", clock::now().as_nanos().to_le_bytes()).unwrap();
    }
}

/// Takes note of how long ago each record was put.
fn receive(reader: &mut Reader, wakes: usize, mut each: impl FnMut(Duration)) {
    for _ in 0..wakes {
        assert!(reader.wait(FOR_EVER).unwrap());
        let record = reader.next().unwrap().unwrap();
        let sent = u128::from_le_bytes(record.data().try_into().unwrap());
        each(clock::now() - Duration::from_nanos(sent.try_into().unwrap()));
    }
}

fn threads(wakes: usize) -> Distribution {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (store, stream) = store(&directory.path().join("data"));
    let mut woken = Distribution::new("`Reader::wait`, between threads");
    let mut reader = stream.reader(stream.shards().first().unwrap().id, Position::TrimHorizon).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| send(&stream, wakes));
        receive(&mut reader, wakes, |took| woken.record(took));
    });
    drop(stream);
    store.close().unwrap();
    woken
}

/// The other process prints how many nanoseconds each record took to come to it.
fn processes(wakes: usize) -> Distribution {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("data");
    let (store, stream) = store(&path);
    let mut woken = Distribution::new("`Reader::wait`, between processes");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(FOLLOW)
        .args([path.as_os_str(), wakes.to_string().as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It says that it is there before it waits.
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    send(&stream, wakes);
    for line in lines {
        woken.record(Duration::from_nanos(line.unwrap().parse().unwrap()));
    }
    assert!(child.wait().unwrap().success());
    drop(stream);
    store.close().unwrap();
    woken
}

/// The other process.
pub(crate) fn follow(path: &Path, wakes: usize) {
    let store = Store::options().open_read_only(path).unwrap();
    let stream = store.open_stream("bench").unwrap();
    let shard = stream.shards().unwrap().first().unwrap().id;
    let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
    println!("ready");
    let mut took = Vec::with_capacity(wakes);
    receive(&mut reader, wakes, |duration| took.push(duration));
    for duration in took {
        println!("{}", duration.as_nanos());
    }
}
