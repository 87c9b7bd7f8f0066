"""The peers' side of the interchange test: reads what riverbed has written, writes what it shall read."""

import json
import os
import sys

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc

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


def read_the_log():
    """The segment itself: a message where the record's data begin, with the schema from its own file."""
    with open(path("log.json")) as source:
        log = json.load(source)
    schema_file = pa.memory_map(log["schema"])
    schema_file.seek(64)
    schema = ipc.read_schema(schema_file)
    segment = pa.memory_map(log["segment"])
    before = pa.total_allocated_bytes()
    seen = []
    for offset in log["offsets"]:
        segment.seek(offset)
        seen.append(ipc.read_record_batch(ipc.read_message(segment), schema))
    allocated = pa.total_allocated_bytes() - before
    say("log_allocated.json", allocated)
    say("log_rows.json", [list(row.values()) for batch in seen for row in batch.to_pylist()])


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
read_the_log()
write_theirs()
say("versions.json", {"pyarrow": pa.__version__, "polars": pl.__version__, "duckdb": duckdb.__version__})
