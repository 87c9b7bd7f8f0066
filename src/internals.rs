//! Decoders for the fuzz targets, levels of MD5 for a benchmark, segments for `riverbed dump`. No part of the API.

#[cfg(feature = "internals")]
pub mod dump;
#[cfg(feature = "internals")]
pub mod md5;

use crate::log::frame::{Check, Frame};
use crate::log::header::{IDENTITY_LEN, Identity, SLOT_LEN, Slot};
use crate::store::manifest::{self, StoreManifest, StreamManifest};

/// Decodes `bytes` as the frame at `offset` of a segment, with every degree of checking, and as the parts of a header page.
pub fn decode_log(bytes: &[u8], offset: usize) {
    let identity = Identity {
        id: [7; 16],
        ordinal: 0,
        shard: 0,
        capacity: 1 << 20,
        span: 1 << 15,
        created: Default::default(),
    };
    for check in [Check::Bounds, Check::Header, Check::All] {
        if let Ok(frame) = Frame::decode(bytes, offset, identity.signature(), check) {
            let end = frame.key().len() + frame.metadata().len() + frame.padding() + frame.data().len();
            assert!(end <= bytes.len() && frame.padded_len() <= bytes.len().next_multiple_of(8));
            assert!(frame.row_count() >= 1);
        }
    }
    if let Some(page) = bytes.first_chunk::<IDENTITY_LEN>() {
        std::hint::black_box(Identity::decode(page).is_ok());
    }
    if let Some(slot) = bytes.first_chunk::<SLOT_LEN>() {
        std::hint::black_box(Slot::decode(slot, identity.signature()));
    }
}

/// How many rows a record is, where it is a batch of them.
#[cfg(feature = "arrow")]
pub fn row_count(record: &crate::Record<'_>) -> Option<u32> {
    record.schema_id_and_rows().map(|(_, rows)| rows)
}

/// Decodes `bytes` as each kind of manifest.
pub fn decode_manifests(bytes: &[u8]) {
    drop(manifest::decode::<StoreManifest>(bytes));
    if let Ok(manifest) = manifest::decode::<StreamManifest>(bytes) {
        assert!(manifest::encode(&manifest).is_ok());
    }
}

/// Decodes `bytes` as a measure, and what it says again as bytes.
#[cfg(feature = "measures")]
pub fn decode_measure(bytes: &[u8]) {
    crate::payload::measures::check_one_form(bytes);
}

/// Reads `bytes` as an Arrow IPC stream or file of anybody. Returns the rows found.
#[cfg(feature = "arrow")]
pub fn read_foreign_ipc(bytes: &[u8]) -> usize {
    crate::payload::columns::read_foreign(bytes)
}

/// Decodes `bytes` as the data of a batch of this schema, as if they had not been validated before. Returns the rows found.
#[cfg(feature = "arrow")]
pub fn decode_columns(bytes: &[u8], schema: &arrow_schema::SchemaRef) -> usize {
    crate::payload::columns::decode_unvalidated(bytes, schema)
}
