//! Guards against rows that are read differently beside the process that writes them, and against schemas that it has added since.

use arrow_array::record_batch;
use riverbed::columns::{BatchReaderOptions, IpcOptions, ReadBatchError};
use riverbed::{Position, Store, StreamOptions};

#[test]
fn rows_and_new_schemas_are_read_beside_the_writer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = Store::open(&path).unwrap();
    let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
    let followed = Store::open_read_only(&path).unwrap().open_stream("rows").unwrap().columns();
    assert_eq!(followed.newest_schema().unwrap(), None);

    let first = record_batch!(("a", Int32, [1, 2, 3])).unwrap();
    let put = columns.put_batch("k", &first).unwrap();
    let shard_id = put.shard_id.unwrap();
    let mut reader = followed.reader(shard_id, Position::TrimHorizon).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().rows(), &first);
    assert!(reader.next().unwrap().is_none());

    // A schema that the reader has not met.
    let second = record_batch!(("a", Int32, [4]), ("b", Utf8, ["x"])).unwrap();
    columns.put_batch("k", &second).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().rows(), &second);
    assert_eq!(followed.newest_schema().unwrap(), columns.newest_schema().unwrap());

    // By the number of a row, all shards merged, and as Arrow IPC.
    let (start, _) = put.sequence_numbers.unwrap();
    let mut behind = followed.reader(shard_id, Position::AfterSequenceNumber(start)).unwrap();
    assert_eq!(behind.next().unwrap().unwrap().rows(), &first.slice(1, 2));
    let options = BatchReaderOptions::new().schema(second.schema());
    let mut written = Vec::new();
    let mut merged = followed.merged_reader(Position::TrimHorizon, options.clone()).unwrap();
    assert_eq!(merged.write_ipc(&mut written, IpcOptions::new()).unwrap().rows, 4);
    let mut expected = Vec::new();
    let mut merged = columns.merged_reader(Position::TrimHorizon, options).unwrap();
    merged.write_ipc(&mut expected, IpcOptions::new()).unwrap();
    assert_eq!(written, expected);

    // Records of bytes are told, as inside.
    let raw = columns.stream().put("k", b"bytes").unwrap().sequence_number;
    assert!(matches!(reader.next(), Err(ReadBatchError::NotABatch { number }) if number == raw));
}
