//! A store on the disk in memory, with a clock that is set, and what the tests ask of consumers.

use std::time::Duration;

use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    Consumer, ConsumerOptions, Maintenance, OwnedRecord, SequenceNumber, Store, StoreOptions, Stream,
    StreamOptions, Timestamp,
};

/// Nothing waits this long in a test that passes.
pub(crate) const LONG: Duration = Duration::from_secs(60);
pub(crate) const NOW: Duration = Duration::ZERO;

pub(crate) struct Setup {
    pub(crate) disk: Disk,
    pub(crate) clock: ManualClock,
    pub(crate) store: Store,
    pub(crate) stream: Stream,
}

pub(crate) fn options(disk: &Disk, clock: &ManualClock) -> StoreOptions {
    Store::options()
        .storage(disk)
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .segment_len(64 * 1024, 64 * 1024)
}

pub(crate) fn setup(shards: u32) -> Setup {
    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(shards)).unwrap();
    Setup { disk, clock, store, stream }
}

impl Setup {
    /// Puts so many records under as many keys, a second apart.
    pub(crate) fn put(&self, count: usize) -> Vec<SequenceNumber> {
        (0..count)
            .map(|index| {
                self.clock.advance(Duration::from_secs(1));
                self.stream.put(&format!("key-{index}"), b"data").unwrap().sequence_number
            })
            .collect()
    }

    pub(crate) fn reopen(self) -> Self {
        let Self { disk, clock, store, stream } = self;
        store.close().unwrap();
        drop((store, stream));
        let store = options(&disk, &clock).open("data").unwrap();
        let stream = store.open_stream("s").unwrap();
        Self { disk, clock, store, stream }
    }

    pub(crate) fn consumer(&self) -> Consumer {
        self.stream.consumer("c").unwrap()
    }

    pub(crate) fn with(&self, options: ConsumerOptions) -> Consumer {
        self.stream.consumer_with("c", options).unwrap()
    }
}

pub(crate) fn numbers(records: &[OwnedRecord]) -> Vec<SequenceNumber> {
    records.iter().map(OwnedRecord::sequence_number).collect()
}

pub(crate) fn sorted(mut numbers: Vec<SequenceNumber>) -> Vec<SequenceNumber> {
    numbers.sort_unstable();
    numbers
}

/// Polls until there is nothing more.
pub(crate) fn drain(consumer: &mut Consumer) -> Vec<SequenceNumber> {
    let mut all = Vec::new();
    loop {
        match consumer.poll(7, NOW).unwrap() {
            records if records.is_empty() => return all,
            records => all.extend(numbers(&records)),
        }
    }
}

pub(crate) fn shard_ids(stream: &Stream) -> Vec<riverbed::ShardId> {
    stream.shards().iter().map(|shard| shard.id).collect()
}
