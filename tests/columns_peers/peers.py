"""The peers' side of the interchange test: reads what riverbed has written, writes what it shall read."""

import json
import os
import struct
import sys

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

directory = sys.argv[1]


def path(name):
    return os.path.join(directory, name)


def rows(table):
    return [list(row.values()) for row in table.to_pylist()]


def say(name, value):
    with open(path(name), "w") as out:
        json.dump(value, out)


def read_ours():
    with pa.memory_map(path("plain.arrows")) as source:
        before = pa.total_allocated_bytes()
        stream = ipc.open_stream(source)
        batches = list(stream)
        say("stream_allocated.json", pa.total_allocated_bytes() - before)
        table = pa.Table.from_batches(batches)
        say("pyarrow_stream.json", rows(table))
    with pa.memory_map(path("plain.arrow")) as source:
        reader = ipc.open_file(source)
        middle = reader.get_batch(1)
        say("pyarrow_file.json", rows(reader.read_all()))
        say("pyarrow_batch.json", [list(row.values()) for row in middle.to_pylist()])
    say("polars_stream.json", [list(row) for row in pl.read_ipc_stream(path("plain.arrows")).rows()])
    say("polars_file.json", [list(row) for row in pl.read_ipc(path("plain.arrow")).rows()])
    say("polars_mapped.json", [list(row) for row in pl.scan_ipc(path("plain.arrow")).collect().rows()])
    say("duckdb.json", [list(row) for row in duckdb.from_arrow(table).order("f0").fetchall()])
    with ipc.open_stream(path("numbered.arrows")) as stream:
        numbered = stream.read_all()
    say("numbered.json", [str(field.type) for field in numbered.schema])
    say("numbers.json", numbered.column("seq_number").to_pylist())
    # Every type, back as pyarrow writes it.
    for name, opened, new in [
        ("every.arrows", ipc.open_stream, ipc.new_stream),
        ("every.arrow", ipc.open_file, ipc.new_file),
    ]:
        with opened(path(name)) as reader:
            table = reader.read_all()
        table.validate(full=True)
        with new(path("back_" + name), table.schema) as writer:
            for batch in table.to_batches():
                writer.write_batch(batch)
    # What polars has types for, compared by pyarrow.
    plain = ipc.open_file(path("common.arrow")).read_all()
    seen = pl.read_ipc(path("common.arrow")).to_arrow().cast(plain.schema)
    assert seen.equals(plain), "polars"
    common = duckdb.from_arrow(plain).to_arrow_table().cast(plain.schema)
    assert common.equals(plain), "duckdb"
    dictionaries = ipc.open_stream(path("dictionary.arrows")).read_all().to_pylist()
    say("dictionary_pyarrow.json", [row["kind"] for row in dictionaries])
    say("dictionary_polars.json", pl.read_ipc_stream(path("dictionary.arrows"))["kind"].to_list())


ROWS, EXPLICIT_HASH_KEY, METADATA = 2, 1, 4


def batches_of_rows(segment):
    """Where the data of each batch of rows begin in a segment, by docs/FORMAT.md alone, with schema id and number of rows."""
    at = 8192
    while at + 32 <= len(segment):
        (length,) = struct.unpack_from("<I", segment, at)
        if length == 0:
            return
        key_len, kind, flags = struct.unpack_from("<HBB", segment, at + 28)
        then = at + 32 + (16 if flags & EXPLICIT_HASH_KEY else 0)
        if flags & ROWS:
            rows, schema_id = struct.unpack_from("<II", segment, then)
            then += 8
            metadata_len = 0
            if flags & METADATA:
                (metadata_len,) = struct.unpack_from("<I", segment, then)
                then += 8
            assert kind == 2
            yield -(-(then + key_len + metadata_len) // 64) * 64, schema_id, rows
        at += -(-length // 8) * 8


def read_the_log(stream):
    """The segment itself: a message where the record's data begin, with the schema from its own file. Nothing is allocated for
    the columns, which lie in the mapping."""
    schemas = {}
    for name in os.listdir(path(stream + "/streams/rows/schemas")):
        schema_file = pa.memory_map(path(f"{stream}/streams/rows/schemas/{name}"))
        schema_file.seek(64)
        schemas[int(name.removesuffix(".schema"))] = ipc.read_schema(schema_file)
    shard = path(stream + "/streams/rows/shard-000000")
    seen = []
    buffers = 0
    for name in sorted(name for name in os.listdir(shard) if name.endswith(".segment")):
        segment = pa.memory_map(os.path.join(shard, name))
        mapping = segment.read_buffer()
        found = list(batches_of_rows(memoryview(mapping)))
        before = pa.total_allocated_bytes()
        batches = []
        for offset, schema_id, rows in found:
            segment.seek(offset)
            batch = ipc.read_record_batch(ipc.read_message(segment), schemas[schema_id])
            assert batch.num_rows == rows
            batches.append(batch)
        allocated = pa.total_allocated_bytes() - before
        assert allocated == 0, f"{stream}: {allocated} bytes allocated"
        for batch in batches:
            for buffer in [buffer for column in batch.columns for buffer in column.buffers() if buffer]:
                assert mapping.address <= buffer.address <= mapping.address + mapping.size - buffer.size, stream
                buffers += 1
        seen += batches
    assert pa.Table.from_batches(seen).equals(ipc.open_stream(path(stream + ".arrows")).read_all()), stream
    return {"batches": len(seen), "rows": sum(batch.num_rows for batch in seen), "buffers": buffers}


def read_our_files():
    plain = ipc.open_stream(path("plain.arrows")).read_all()
    common = ipc.open_file(path("common.arrow")).read_all()
    assert pq.read_table(path("common.parquet")).equals(common), "pyarrow"
    assert pl.read_parquet(path("common.parquet")).to_arrow().cast(common.schema).equals(common), "polars"
    ours = duckdb.from_parquet(path("common.parquet")).to_arrow_table()
    assert ours.cast(common.schema).equals(common), "duckdb"
    for frame in [pl.read_csv(path("plain.csv")), pl.read_ndjson(path("plain.jsonl"))]:
        assert frame.to_arrow().cast(plain.schema).equals(plain), "polars, text"


def write_their_files():
    table = ipc.open_stream(path("plain.arrows")).read_all()
    frame = pl.from_arrow(table)
    pq.write_table(table, path("pyarrow.parquet"))
    frame.write_parquet(path("polars.parquet"))
    duckdb.from_arrow(table).order("f0").to_parquet(path("duckdb.parquet"))
    frame.write_csv(path("polars.csv"))
    frame.write_ndjson(path("polars.jsonl"))


def write_theirs():
    # The example of pyarrow's documentation of its stream writer.
    data = [
        pa.array([1, 2, 3, 4]),
        pa.array(["foo", "bar", "baz", None]),
        pa.array([True, None, False, True]),
    ]
    batch = pa.record_batch(data, names=["f0", "f1", "f2"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        for _ in range(5):
            writer.write_batch(batch)
    with open(path("seed.arrows"), "wb") as out:
        out.write(sink.getvalue())
    with ipc.new_file(path("seed.arrow"), batch.schema) as writer:
        writer.write_batch(batch)
    for codec in ["lz4", "zstd"]:
        options = ipc.IpcWriteOptions(compression=codec)
        long = pa.table({"f0": list(range(5000)), "f1": ["text"] * 5000, "f2": [True, None] * 2500})
        with ipc.new_stream(path(f"seed_{codec}.arrows"), long.schema, options=options) as writer:
            writer.write_table(long)
    options = ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    first = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", "b"]))
    second = pa.DictionaryArray.from_arrays(pa.array([2, 0]), pa.array(["a", "b", "c"]))
    schema = pa.schema([("kind", first.type)])
    with ipc.new_stream(path("deltas.arrows"), schema, options=options) as writer:
        for kinds in [first, second]:
            writer.write_batch(pa.record_batch([kinds], schema=schema))
    frame = pl.from_arrow(pa.Table.from_batches([batch]))
    frame.write_ipc_stream(path("seed_polars.arrows"))
    frame.write_ipc(path("seed_polars.arrow"))
    through = duckdb.from_arrow(pa.Table.from_batches([batch])).to_arrow_table()
    with ipc.new_stream(path("seed_duckdb.arrows"), through.schema) as writer:
        writer.write_table(through)


read_ours()
say("log.json", {stream: read_the_log(stream) for stream in ["plain", "most", "taxis"] if os.path.exists(path(stream + ".arrows"))})
write_theirs()
if os.path.exists(path("common.parquet")):
    read_our_files()
    write_their_files()
say("versions.json", {"pyarrow": pa.__version__, "polars": pl.__version__, "duckdb": duckdb.__version__})
