"""Writes kpl.jsonl: records of the Kinesis Producer Library's form and the parts they hold.

    pip install aws-kinesis-agg==1.2.3 six
    python make_kpl.py > kpl.jsonl

Whole aggregates are made, and taken apart for comparison, by that package; what is damaged is made
of them here. `parts` is what a consumer has to see, `damage` what it has to say instead.
"""

import base64
import hashlib
import json

from aws_kinesis_agg import MAGIC, aggregator, deaggregator, messages_pb2


def text(data):
    return base64.b64encode(data).decode()


def hash_key(key, explicit):
    return explicit or str(int.from_bytes(hashlib.md5(key.encode()).digest(), "big"))


def part(key, explicit, data):
    return {"partition_key": key, "explicit_hash_key": explicit, "data": text(data), "hash_key": hash_key(key, explicit)}


def write(name, data, parts=None, damage=None):
    case = {"name": name, "partition_key": "outer", "data": text(data), "parts": parts, "damage": damage}
    print(json.dumps({key: value for key, value in case.items() if value is not None}))


def plain(name, data):
    write(name, data, [part("outer", None, data)])


def put_together(records):
    whole = aggregator.AggRecord()
    for key, explicit, data in records:
        assert whole.add_user_record(key, data, explicit)
    return whole.get_contents()[2]


def whole(name, records):
    """The package's own way back must agree, except for the hash key of records without one."""
    data = put_together(records)
    record = {"SequenceNumber": "1", "PartitionKey": "outer", "ApproximateArrivalTimestamp": 0, "Data": data}
    back = list(deaggregator.iter_deaggregate_records([record], data_format="Boto3"))
    seen = [(r["kinesis"]["partitionKey"], base64.b64decode(r["kinesis"]["data"])) for r in back]
    assert seen == [(key, value) for key, _, value in records], name
    write(name, data, [part(*record) for record in records])


def sealed(message):
    return MAGIC + message + hashlib.md5(message).digest()


def message(keys, records):
    made = messages_pb2.AggregatedRecord()
    made.partition_key_table.extend(keys)
    for key, explicit, data in records:
        record = made.records.add(partition_key_index=key, data=data)
        if explicit is not None:
            record.explicit_hash_key_index = explicit
    return made.SerializeToString()


whole("one part", [("a", None, b'{"user_id": 20}')])
whole("many parts", [(f"k{i}", None, f"data {i}".encode()) for i in range(25)])
whole("shared keys", [(f"k{i % 3}", None, bytes([i])) for i in range(12)])
whole("explicit hash keys", [("a", "0", b"x"), ("b", str(2**128 - 1), b"y"), ("c", "0", b"z")])
whole("some with an explicit hash key", [("a", "12", b"x"), ("b", None, b"y")])
whole("empty data", [("a", None, b""), ("a", None, b"x"), ("b", None, b"")])
whole("keys beyond ASCII", [("Zürich", None, b"1"), ("東京", None, "é".encode()), ("🍺", "7", b"3")])
whole("bytes of all values", [("a", None, bytes(range(256)))])
whole("a thousand parts", [(str(i % 300), str(i) if i % 7 == 0 else None, b"%d" % i) for i in range(1000)])
whole("an aggregate within", [("a", None, put_together([("b", None, b"x")]))])

good = put_together([("a", None, b"first"), ("b", "5", b"second")])
plain("not an aggregate", b'{"user_id": 20}\n')
plain("cut short", good[:-1])
plain("only the magic number", MAGIC)
plain("wrong checksum", good[:-1] + bytes([good[-1] ^ 1]))
plain("wrong magic number", b"\xf3\x89\x9a\xc3" + good[4:])
write("keys without records", sealed(message(["a"], [])), [])
write(
    "no such partition key",
    sealed(message(["a"], [(0, None, b"x"), (1, None, b"y")])),
    damage="an aggregated record is damaged: part 1 names partition key 1, and there are 1, counted from 0",
)
write(
    "no such explicit hash key",
    sealed(message(["a"], [(0, 3, b"x")])),
    damage="an aggregated record is damaged: part 0 names explicit hash key 3, and there are 0, counted from 0",
)
