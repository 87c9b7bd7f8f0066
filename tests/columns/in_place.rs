//! Guards against copies where there should be none: every buffer of every array that is read lies in a mapped segment, for
//! every type, with and without nulls, whole and sliced; and against columns that change on the way.

use std::ops::Range;

use arrow_array::{Array, RecordBatch};
use arrow_data::ArrayData;
use riverbed::columns::{BatchReaderOptions, RawRecords};
use riverbed::{Position, ReaderOptions, Store, StreamOptions};

use crate::arrays::{batch_of, batch_of_every_type, every_type};

/// Where segments are mapped in this process.
pub(crate) fn mapped_segments() -> Vec<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines()
        .filter(|line| line.contains(".segment"))
        .map(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap()
        })
        .collect()
}

/// How many buffers lie in segments; fails at the first that does not.
fn count_in_place(name: &str, data: &ArrayData, segments: &[Range<usize>]) -> usize {
    let nulls = data.nulls().map(|nulls| nulls.buffer());
    let mut count = 0;
    for buffer in data.buffers().iter().chain(nulls).filter(|buffer| !buffer.is_empty()) {
        let address = buffer.as_ptr() as usize;
        let inside =
            segments.iter().any(|range| range.start <= address && address + buffer.len() <= range.end);
        assert!(inside, "{name}: a buffer of {} bytes is outside all segments", buffer.len());
        count += 1;
    }
    count + data.child_data().iter().map(|child| count_in_place(name, child, segments)).sum::<usize>()
}

fn assert_in_place(batch: &RecordBatch) -> usize {
    let segments = mapped_segments();
    assert!(!segments.is_empty());
    let schema = batch.schema();
    let columns = batch.columns().iter().zip(schema.fields());
    columns.map(|(column, field)| count_in_place(field.name(), &column.to_data(), &segments)).sum()
}

#[test]
fn every_buffer_of_every_type_lies_in_the_mapping() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    for (index, nullable) in [(0, false), (1, true)] {
        let whole = batch_of_every_type(100, nullable);
        let cases = [("whole", whole.clone()), ("sliced", whole.slice(13, 51)), ("tail", whole.slice(99, 1))];
        for (name, batch) in cases {
            let stream = store.create_stream(&format!("{name}-{index}"), StreamOptions::new()).unwrap();
            let columns = stream.columns();
            let put = columns.put_batch("key", &batch).unwrap();
            assert_eq!((put.rows, put.records), (batch.num_rows() as u64, 1));
            // From the writer's own mapping, where nothing is validated, and with validation below.
            let mut reader = columns.reader(put.shard_id.unwrap(), Position::TrimHorizon).unwrap();
            let read = reader.next().unwrap().unwrap();
            assert_eq!(read.rows(), &batch, "{name}");
            let buffers = assert_in_place(read.rows());
            assert!(buffers >= 40, "{name}: {buffers}");
        }
    }
}

#[test]
fn what_another_process_has_written_is_validated_and_read_in_place_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let batch = batch_of_every_type(1000, true).slice(7, 900);
    let store = Store::open(&path).unwrap();
    let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
    let put = columns.put_batch("key", &batch).unwrap();
    store.close().unwrap();
    drop((columns, store));

    let columns = Store::open(&path).unwrap().open_stream("rows").unwrap().columns();
    let options = BatchReaderOptions::new().read(ReaderOptions::new().verify(false));
    for _ in 0..3 {
        let mut reader =
            columns.reader_with(put.shard_id.unwrap(), Position::TrimHorizon, options.clone()).unwrap();
        let read = reader.next().unwrap().unwrap();
        assert_eq!(read.rows(), &batch);
        assert_in_place(read.rows());
        assert!(reader.next().unwrap().is_none());
    }
}

#[test]
fn each_type_alone_and_as_a_projection() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let every = every_type(64, true);
    let together = store.create_stream("together", StreamOptions::new()).unwrap().columns();
    let put = together.put_batch("key", &batch_of(every.clone())).unwrap();
    for (index, (name, array)) in every.into_iter().enumerate() {
        let batch = batch_of(vec![(name.clone(), array)]);
        let alone = store.create_stream(&format!("alone-{index}"), StreamOptions::new()).unwrap().columns();
        let shard_id = alone.put_batch("key", &batch).unwrap().shard_id.unwrap();
        let read = alone.reader(shard_id, Position::TrimHorizon).unwrap().next().unwrap().unwrap();
        assert_eq!(read.rows(), &batch, "{name}");
        assert_in_place(read.rows());

        let options = BatchReaderOptions::new().columns([name.as_str()]);
        let mut reader = together.reader_with(put.shard_id.unwrap(), Position::TrimHorizon, options).unwrap();
        let projected = reader.next().unwrap().unwrap();
        assert_eq!(projected.rows(), &batch, "{name}");
        assert_in_place(projected.rows());
    }
}

#[test]
fn records_of_bytes_are_shown_in_place_as_a_column() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("bytes", StreamOptions::new()).unwrap();
    let put = stream.put("key", b"some bytes").unwrap();
    let options = BatchReaderOptions::new().raw_records(RawRecords::AsColumn);
    let columns = stream.columns();
    let mut reader = columns.reader_with(put.shard_id, Position::TrimHorizon, options).unwrap();
    let read = reader.next().unwrap().unwrap();
    let column = read.rows().column_by_name("raw_data").unwrap().to_data();
    let bytes = &column.buffers()[1];
    assert_eq!(bytes.as_slice(), b"some bytes");
    let address = bytes.as_ptr() as usize;
    assert!(mapped_segments().iter().any(|range| range.contains(&address)));
    assert_eq!((read.sequence_number(), read.schema_id()), (put.sequence_number, None));
}
