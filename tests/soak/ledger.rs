//! What the writers and consumers of a process that may be killed at any moment have done, in files beside the store:
//! what a process has written to a file survives its death.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::record::{KEYS, Place};

/// How much of one key was put in one life of the writing process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Puts {
    /// Puts that began: no more can be stored.
    pub begun: u64,
    /// Puts that were acknowledged: no less.
    pub acknowledged: u64,
}

/// A file of entries of one size, for each key.
#[derive(Debug)]
struct Table<const N: usize>(File);

impl<const N: usize> Table<N> {
    fn open(path: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        file.set_len((KEYS * N * 8) as u64).unwrap();
        Self(file)
    }

    fn read(&self, key: usize) -> [u64; N] {
        let mut bytes = vec![0; N * 8];
        self.0.read_exact_at(&mut bytes, (key * N * 8) as u64).unwrap();
        let mut parts = bytes.chunks_exact(8);
        std::array::from_fn(|_| u64::from_le_bytes(parts.next().unwrap().try_into().unwrap()))
    }

    fn write(&self, key: usize, parts: [u64; N]) {
        let bytes: Vec<u8> = parts.into_iter().flat_map(u64::to_le_bytes).collect();
        self.0.write_all_at(&bytes, (key * N * 8) as u64).unwrap();
    }
}

/// What was put, life by life.
#[derive(Debug)]
pub struct PutLedger {
    now: Table<2>,
    /// Of the lives before this one, for each key.
    before: Vec<Vec<Puts>>,
}

impl PutLedger {
    /// The ledger for this life, and those of the lives before it.
    pub fn open(directory: &Path, run: u64) -> Self {
        let table = |run| Table::open(&directory.join(format!("puts-{run}")));
        let all = |table: Table<2>| (0..KEYS).map(|key| of(&table, key)).collect();
        Self { now: table(run), before: (0..run).map(|run| all(table(run))).collect() }
    }

    pub fn note(&self, key: usize, puts: Puts) {
        self.now.write(key, [puts.begun, puts.acknowledged]);
    }

    /// What was put of a key in this life.
    pub fn now(&self, key: usize) -> Puts {
        of(&self.now, key)
    }

    /// Acknowledgements of all lives.
    pub fn acknowledged(&self) -> u64 {
        let now = (0..KEYS).map(|key| self.now(key).acknowledged).sum::<u64>();
        now + self.before.iter().flatten().map(|puts| puts.acknowledged).sum::<u64>()
    }

    /// Whether `place` may be the next record of the key when `expected` was to come: that one; or the first one of a later life, if
    /// everything that was acknowledged until then has come.
    pub fn follows(&self, key: usize, expected: Place, place: Place) -> bool {
        if place.run == expected.run || place.index > 0 {
            return place == expected;
        }
        let all_came = |run: u64, came: u64| {
            let puts = self.before[usize::try_from(run).unwrap()][key];
            (puts.acknowledged..=puts.begun).contains(&came)
        };
        let skipped = expected.run + 1..place.run;
        place.run > expected.run
            && all_came(expected.run, expected.index)
            && skipped.clone().all(|run| all_came(run, 0))
    }
}

fn of(table: &Table<2>, key: usize) -> Puts {
    let [begun, acknowledged] = table.read(key);
    Puts { begun, acknowledged }
}

/// What may be delivered again of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Again {
    /// Nothing.
    #[default]
    No,
    /// A worker has ended: everything behind its last checkpoint.
    FromCheckpoint,
    /// The process was killed, perhaps between a checkpoint and the note of it.
    Killed,
}

/// How far a consumer has come with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyProgress {
    /// What comes next.
    pub at: Place,
    /// What comes next by the last checkpoint.
    pub checkpointed: Place,
    /// What comes next of what was never delivered.
    pub furthest: Place,
    /// How many records were delivered, and how many deliveries there were of those.
    pub records: u64,
    pub again: u64,
    /// The least that the next number may be.
    pub above: u128,
    pub may_repeat: Again,
}

/// A consumer's progress with all keys.
#[derive(Debug)]
pub struct ConsumerLedger {
    file: Table<16>,
    pub keys: Vec<KeyProgress>,
    /// Records that the consumer was told retention had taken from it; of a shard that went as a whole, any number.
    pub told: u64,
    told_file: PathBuf,
}

impl ConsumerLedger {
    /// The ledger as the life before has left it.
    pub fn open(directory: &Path, consumer: &str) -> Self {
        let file = Table::<16>::open(&directory.join(format!("consumer-{consumer}")));
        let keys = (0..KEYS).map(|key| KeyProgress::from_parts(file.read(key))).collect();
        let told_file = directory.join(format!("told-{consumer}"));
        let told = std::fs::read_to_string(&told_file).map_or(0, |text| text.parse().unwrap());
        Self { file, keys, told, told_file }
    }

    pub fn save(&self, key: usize) {
        self.file.write(key, self.keys[key].parts());
    }

    /// Takes note that retention has taken records, of which the consumer was told.
    pub fn tell(&mut self, records: u64) {
        self.told = self.told.saturating_add(records);
        let temporary = self.told_file.with_extension("new");
        std::fs::write(&temporary, self.told.to_string()).unwrap();
        std::fs::rename(&temporary, &self.told_file).unwrap();
    }

    /// Takes note of a delivery, having checked that it is the one that comes next.
    pub fn deliver(&mut self, puts: &PutLedger, key: usize, place: Place, number: u128) {
        let progress = &mut self.keys[key];
        let in_order = match progress.may_repeat {
            Again::No => puts.follows(key, progress.at, place),
            Again::FromCheckpoint => puts.follows(key, progress.checkpointed, place),
            Again::Killed => {
                puts.follows(key, progress.at, place)
                    || (progress.checkpointed <= place && place <= progress.at)
            }
        };
        let behind = if progress.may_repeat == Again::No { progress.at } else { progress.checkpointed };
        let told_of_gap = self.told > 0 && place > behind;
        assert!(
            in_order || told_of_gap,
            "{place:?} of key {key} ({number}) is not what comes next for {}: {progress:?}, told {}",
            self.told_file.display(),
            self.told
        );
        if progress.may_repeat == Again::Killed || !in_order {
            // Here is the checkpoint, then.
            progress.checkpointed = place;
        }
        progress.may_repeat = Again::No;
        progress.at = place.next();
        if progress.at > progress.furthest {
            assert!(number >= progress.above, "{number} of key {key} was to be above {}", progress.above);
            (progress.furthest, progress.above) = (progress.at, number + 1);
            progress.records += 1;
        } else {
            progress.again += 1;
        }
    }
}

impl KeyProgress {
    fn parts(&self) -> [u64; 16] {
        let low = u64::try_from(self.above & u128::from(u64::MAX)).unwrap();
        let high = u64::try_from(self.above >> 64).unwrap();
        let mut parts = [0; 16];
        let places =
            [self.at, self.checkpointed, self.furthest].into_iter().flat_map(|it| [it.run, it.index]);
        for (part, value) in parts.iter_mut().zip(places.chain([self.records, self.again, low, high])) {
            *part = value;
        }
        parts
    }

    fn from_parts(parts: [u64; 16]) -> Self {
        let place = |at: usize| Place { run: parts[at], index: parts[at + 1] };
        Self {
            at: place(0),
            checkpointed: place(2),
            furthest: place(4),
            records: parts[6],
            again: parts[7],
            above: u128::from(parts[8]) | u128::from(parts[9]) << 64,
            may_repeat: Again::Killed,
        }
    }
}
