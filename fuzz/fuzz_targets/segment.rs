//! Whatever damage a segment has, opening its store and reading everything ends, without a panic, with whole records or
//! with errors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use riverbed::testing::Disk;
use riverbed::{
    Durability, Maintenance, Position, PutRecord, ReaderOptions, Store, StoreOptions, StreamOptions,
};
use std::sync::OnceLock;

const SEGMENT: &str = "data/streams/s/shard-000000/00000000000000000000.segment";

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
}

/// A store that was killed and one that was closed.
fn bases() -> [Disk; 2] {
    [true, false].map(|kill| {
        let disk = Disk::new();
        let store = options(&disk).open("data").expect("a store");
        let stream = store.create_stream("s", StreamOptions::new()).expect("a stream");
        for index in 0_u8..12 {
            let data = vec![index; usize::from(index) * 20];
            let record = PutRecord::new("key", &data).metadata(b"m").durability(Durability::Immediate);
            stream.put_record(&record).expect("a put");
        }
        if kill {
            // The store is dropped after that, and can do nothing any more.
            return disk.kill();
        }
        store.close().expect("a close");
        disk
    })
}

/// Places (in words of 8 bytes) and what is written there; then where the file is cut, if it is.
type Input<'a> = (bool, Vec<(u16, &'a [u8])>, Option<u16>);

fuzz_target!(|input: Input<'_>| {
    static BASES: OnceLock<[Disk; 2]> = OnceLock::new();
    let (killed, patches, cut) = input;
    let base = &BASES.get_or_init(bases)[usize::from(!killed)];
    let disk = base.duplicate().expect("a copy");
    for (word, bytes) in patches {
        // Most of the file is zeros: aim at the header pages and at the first frames.
        let at = usize::from(word % 2048) * 8;
        drop(disk.damage(SEGMENT, at, bytes));
    }
    if let Some(cut) = cut {
        drop(disk.truncate(SEGMENT, usize::from(cut)));
    }
    let Ok(store) = options(&disk).open("data") else { return };
    let Ok(stream) = store.open_stream("s") else { return };
    for verify in [true, false] {
        let options = ReaderOptions::new().verify(verify);
        let mut reader = stream
            .reader_with(stream.shards()[0].id, Position::TrimHorizon, options)
            .expect("a reader at the oldest record");
        let mut errors = 0;
        loop {
            match reader.next() {
                Ok(Some(record)) => {
                    std::hint::black_box((record.data(), record.metadata(), record.to_bytes()));
                }
                Ok(None) => break,
                Err(_) => {
                    errors += 1;
                    assert!(errors < 10_000, "the reader does not get past the damage");
                    if reader.skip_damage().is_err() {
                        break;
                    }
                }
            }
        }
    }
    drop(stream.put("key", b"after"));
    assert!(options(&disk).verify("data").is_ok());
});
