//! Whatever bytes a manifest has, opening the store neither panics nor hangs, and a manifest that is taken can be written
//! again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use riverbed::testing::Disk;
use riverbed::{Maintenance, Store, StreamOptions};
use std::sync::OnceLock;

fuzz_target!(|input: (bool, &[u8])| {
    static BASE: OnceLock<Disk> = OnceLock::new();
    let (of_store, bytes) = input;
    riverbed::internals::decode_manifests(bytes);
    let base = BASE.get_or_init(|| {
        let disk = Disk::new();
        let store =
            Store::options().storage(&disk).maintenance(Maintenance::Manual).open("data").expect("a store");
        let stream = store.create_stream("s", StreamOptions::new().shards(2)).expect("a stream");
        stream.put("k", b"data").expect("a put");
        store.close().expect("a close");
        disk
    });
    let disk = base.duplicate().expect("a copy");
    let path = if of_store { "data/store.json" } else { "data/streams/s/stream.json" };
    let len = disk.read(path).expect("a manifest").len().min(bytes.len());
    disk.truncate(path, len).expect("a cut");
    disk.damage(path, 0, &bytes[..len]).expect("damage");
    if let Ok(store) = Store::options().storage(&disk).maintenance(Maintenance::Manual).open("data") {
        drop(store.open_stream("s"));
    }
});
