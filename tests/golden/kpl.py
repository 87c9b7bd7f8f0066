"""Packs five user records with AWS's own Python library: pip install aws_kinesis_agg six 'protobuf<4'."""
import sys

from aws_kinesis_agg.aggregator import RecordAggregator

aggregator = RecordAggregator()
for key, data, explicit_hash_key in [
    ("user-42", b"hello", None),
    ("user-7", "größer".encode(), "340282366920938463463374607431768211455"),
    ("user-42", b"", None),
    ("\u2713", bytes(range(256)), "0"),
    ("user-7", b"last", "0"),
]:
    assert aggregator.add_user_record(key, data, explicit_hash_key) is None
sys.stdout.buffer.write(aggregator.clear_and_get().get_contents()[2])
