//! Whatever was cut off or flipped in an Arrow IPC stream or file, or in the data of a batch, reading it neither panics nor
//! gives arrays that reach outside.
#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::SchemaRef;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/columns/arrays.rs"]
#[allow(dead_code)]
mod arrays;

/// A stream of one batch; where its schema ends.
struct Base {
    bytes: Vec<u8>,
    schema: SchemaRef,
    schema_len: usize,
}

fn stream(batch: &RecordBatch, compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), batch.schema_ref(), options).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

static STREAMS: LazyLock<Vec<Base>> = LazyLock::new(|| {
    let mut batches: Vec<_> =
        arrays::every_type(7, true).into_iter().map(|column| arrays::batch_of(vec![column])).collect();
    batches.push(arrays::batch_of_every_type(5, true));
    batches
        .iter()
        .map(|batch| {
            let bytes = stream(batch, None);
            // As it is decoded: with the ids of its dictionaries.
            let schema = StreamReader::try_new(Cursor::new(&bytes), None).unwrap().schema();
            let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
            Base { bytes, schema, schema_len: 8 + length as usize }
        })
        .collect()
});

static OTHERS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for column in arrays::every_type(40, true) {
        let batch = arrays::batch_of(vec![column]);
        let mut file = FileWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
        file.write(&batch).unwrap();
        all.push(file.into_inner().unwrap());
        all.push(stream(&batch, Some(CompressionType::LZ4_FRAME)));
        all.push(stream(&batch, Some(CompressionType::ZSTD)));
    }
    all
});

fn change(base: &[u8], cut: u16, changes: &[(u16, u8)]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for &(at, value) in changes.iter().take(8) {
        let at = usize::from(at) % bytes.len();
        bytes[at] = value;
    }
    if cut < 0x4000 {
        bytes.truncate(usize::from(cut) % base.len());
    }
    bytes
}

fuzz_target!(|input: (u8, u8, u16, Vec<(u16, u8)>)| {
    let (how, which, cut, changes) = input;
    match how % 4 {
        0 => {
            riverbed::internals::read_foreign_ipc(&change(&OTHERS[usize::from(which) % OTHERS.len()], cut, &changes));
        }
        1 => {
            let base = &STREAMS[usize::from(which) % STREAMS.len()];
            riverbed::internals::read_foreign_ipc(&change(&base.bytes, cut, &changes));
        }
        _ => {
            let base = &STREAMS[usize::from(which) % STREAMS.len()];
            // Between the schema and what ends the stream.
            let messages = &base.bytes[base.schema_len..base.bytes.len() - 8];
            let bytes = change(messages, cut, &changes);
            let rows = riverbed::internals::decode_columns(&bytes, &base.schema);
            assert!(bytes != messages || rows > 0);
        }
    }
});
