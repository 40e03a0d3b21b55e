#!/usr/bin/env python3
"""Rows of `kinesis consume` against those of a reference that shares no code with it.

    python3 .ci/reference.py target/debug/kinesis [--histories N] [--seed N]

Clicks go onto a stream of `kinesis serve` while its shards are split, merged and counted anew, those that
are still empty too. One consumer reads live, one is killed again and again, one reads later. The reference
reads the stream with boto3, sorts all of it, and finds windows, gap sessions and windows on the clock of
arrival by going through the list. Everybody must have the same rows, once each.

Needs boto3 from PyPI.
"""

import argparse
import collections
import datetime
import gzip
import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time

import boto3
import botocore.config

STREAM = "clicks"
BATCHES, IN_A_BATCH = 130, 25
START = datetime.datetime(2026, 1, 5, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)
GAP, STEP, BUCKET, RANGE = 3_000_000, 10_000_000, 30_000_000, 2  # the last one in seconds of arrival
TABLES = {"gap": "gap_3s", "step": "step_10s", "stagger": "stagger_step_30s_range_2s"}
IDLE_AFTER = 3
RULES = f"--gap 3s --step 10s --stagger step=30s/2s --out-of-order 6s --max-delay never --idle-after {IDLE_AFTER}s".split()
READING = "--poll-every 50ms --unpaced --checkpoint-every 200ms --buffer-interval 0s".split()
KILLS = 12
SPLIT_TWICE = (20, 70)  # after these batches
# Farther back than the watermark can be: 6 seconds, 3 of silence and 2 of slack, at 40 seconds each.
LONG_AGO = 600_000_000


def text(micros):
    return (START + micros * MICROSECOND).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def micros(moment):
    return (datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")) - START) // MICROSECOND


class Server:
    """`kinesis serve` with one stream."""

    def __init__(self, kinesis):
        command = [kinesis, "serve", "--port", "0", "--stream", STREAM, "--shards", "2"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        endpoint, *_ = [self.process.stdout.readline().strip() for _ in range(3)]  # the last one tells of the stream
        self.endpoint = endpoint.removeprefix("Kinesis listens at ")
        self.client = boto3.client(
            "kinesis",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=botocore.config.Config(retries={"mode": "standard", "max_attempts": 5}),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def shards(self):
        return self.client.list_shards(StreamName=STREAM)["Shards"]

    def open(self):
        open_shards = [shard for shard in self.shards() if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
        return sorted(open_shards, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))

    def settle(self):
        until = time.monotonic() + 600
        while self.client.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
            if time.monotonic() > until:
                raise SystemExit("FAILED: the stream does not become active")
            time.sleep(0.02)

    def split(self, shard):
        first, last = (int(shard["HashKeyRange"][end]) for end in ("StartingHashKey", "EndingHashKey"))
        middle = str((first + last) // 2 + 1)
        self.client.split_shard(StreamName=STREAM, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
        self.settle()

    def merge(self, first, second):
        self.client.merge_shards(
            StreamName=STREAM, ShardToMerge=first["ShardId"], AdjacentShardToMerge=second["ShardId"]
        )
        self.settle()

    def reshard(self, chance):
        """Some of it at once, so that shards without records have children."""
        while True:
            shards = self.open()
            which = chance.choice(["split", "split", "merge", "merge", "count"])
            if which == "split" and len(shards) < 8:
                self.split(chance.choice(shards))
            elif which == "merge" and len(shards) > 1:
                first = chance.randrange(len(shards) - 1)
                self.merge(*shards[first : first + 2])
            elif which == "count":
                count = chance.randint((len(shards) + 1) // 2, min(2 * len(shards), 6))
                if count != len(shards):
                    self.client.update_shard_count(
                        StreamName=STREAM, TargetShardCount=count, ScalingType="UNIFORM_SCALING"
                    )
                    self.settle()
            if chance.random() < 0.5:
                return

    def split_twice(self, chance):
        """Splits a shard, and its children after some seconds in which nobody got a record."""
        before = {shard["ShardId"] for shard in self.shards()}
        self.split(chance.choice(self.open()))
        time.sleep(2.1)
        for shard in self.open():
            if shard["ShardId"] not in before:
                self.split(shard)

    def records(self):
        """All records: arrival in seconds, shard, place in it, and data; in that order."""
        found = []
        for shard in self.shards():
            name = shard["ShardId"]
            iterator = self.client.get_shard_iterator(StreamName=STREAM, ShardId=name, ShardIteratorType="TRIM_HORIZON")
            iterator, arrival, place, empty = iterator["ShardIterator"], 0, 0, 0
            while iterator and empty < 2:
                page = self.client.get_records(ShardIterator=iterator)
                for record in page["Records"]:
                    arrival = max(arrival, int(record["ApproximateArrivalTimestamp"].timestamp()))
                    found.append((arrival, name, place, record["Data"].decode()))
                    place += 1
                empty = 0 if page["Records"] else empty + 1
                iterator = page.get("NextShardIterator")
        return sorted(found)


class Clicks:
    """25 a second, up to five seconds out of order; some very late, some that are none."""

    def __init__(self, chance):
        self.chance, self.number = chance, 0

    def next(self):
        self.number += 1
        user = self.chance.randrange(40)
        at = 40_000 * self.number - self.chance.randrange(5_000_000)
        if self.number > BATCHES * IN_A_BATCH // 2 and self.chance.random() < 0.01:
            at -= LONG_AGO
        if self.chance.random() < 0.005:
            return str(user), f"no click {self.number}"
        click = {
            "user_id": user,
            "device_id": f"d{user % 3}",
            "client_event": f"e{self.number}",
            "client_timestamp": text(at // 100 * 100 + self.number % 100),  # no two at one time
        }
        return str(user), json.dumps(click)


class Consumer:
    def __init__(self, kinesis, server, place):
        self.kinesis, self.place = kinesis, place
        self.environment = os.environ | {"AWS_ENDPOINT_URL": server.endpoint}

    def start(self, *more):
        place = ["--state", self.place / "state", "--output", self.place / "output"]
        command = [self.kinesis, "consume", "--stream", STREAM, *RULES, *READING, *place, *more]
        return subprocess.Popen(
            [str(word) for word in command], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def finish(self):
        process = self.start("--stop-when-idle", "3s", "--flush")
        _, messages = process.communicate(timeout=600)
        if process.returncode != 0 or "ruled out" in messages:
            raise SystemExit(f"FAILED: {messages}")
        return self.rows()

    def rows(self):
        """By table, sorted."""
        tables = collections.defaultdict(list)
        for file in (self.place / "output").rglob("*.json.gz"):
            table = file.relative_to(self.place / "output").parts[0]
            tables[table] += map(json.loads, gzip.open(file, "rt", encoding="utf-8"))
        return tables


def found(rows):
    """Rows of the consumer, as the reference has them."""
    tables = {}
    for kind, table in TABLES.items():
        names = "user_id device_id timeagg events beginnavigation endnavigation beginsession endsession duration_sec".split()
        tables[kind] = sorted([row[name] if name != "user_id" else int(row[name]) for name in names] for row in rows[table])
        ids = [row["session_id"] for row in rows[table]]
        if len(set(ids)) < len(ids):
            raise SystemExit(f"FAILED: an id comes twice in {table}")
    strategies = {table: kind for kind, table in TABLES.items()}
    tables["errors"] = sorted([row["kind"], strategies.get(row.get("strategy"), ""), row["data"]] for row in rows["errors"])
    return tables


def row(clicks, begins=None):
    """A session of clicks that are in the order that makes one of them the first."""
    times = [click["at"] for click in clicks]
    return [
        clicks[0]["user"],
        clicks[0]["device"],
        text(min(times) if begins is None else begins),
        len(clicks),
        clicks[0]["event"],
        clicks[-1]["event"],
        text(min(times)),
        text(max(times)),
        (max(times) - min(times)) // 1_000_000,
    ]


def reference(records):
    errors, by_user = [], collections.defaultdict(list)
    for arrival, _, _, data in records:
        try:
            click = json.loads(data)
        except ValueError:
            errors.append(["rejected", "", data])
            continue
        at = micros(click["client_timestamp"])
        one = {"user": click["user_id"], "device": click["device_id"], "event": click["client_event"], "at": at, "arrival": arrival}
        by_user[click["user_id"]].append(one)
        if at < -LONG_AGO // 4:
            errors += [["late", kind, data] for kind in ("gap", "step")]
    tables = {"gap": [], "step": [], "stagger": [], "errors": sorted(errors)}
    for clicks in by_user.values():
        # On the arrival clock nothing is late, and the first is that which arrived first.
        parts = {}
        for click in clicks:
            bucket = click["at"] // BUCKET * BUCKET
            part = parts.get(bucket)
            if part and click["arrival"] < part[0]["arrival"] + RANGE:
                part.append(click)
            else:
                if part:
                    tables["stagger"].append(row(part, bucket))
                parts[bucket] = [click]
        tables["stagger"] += [row(part, bucket) for bucket, part in parts.items()]
        clicks = sorted((click for click in clicks if click["at"] >= -LONG_AGO // 4), key=lambda click: click["at"])
        windows, session = collections.defaultdict(list), []
        for click in clicks:
            windows[click["at"] // STEP * STEP].append(click)
            if session and click["at"] - session[-1]["at"] >= GAP:
                tables["gap"].append(row(session))
                session = []
            session.append(click)
        tables["gap"] += [row(session)] if session else []
        tables["step"] += [row(window, begins) for begins, window in windows.items()]
    return {kind: sorted(rows) for kind, rows in tables.items()}


def compare(who, got, expected):
    for table, rows in expected.items():
        if got[table] != rows:
            missing = [row for row in rows if row not in got[table]]
            more = [row for row in got[table] if row not in rows]
            raise SystemExit(
                f"{who}, {table}: FAILED: {len(got[table])} rows, not {len(rows)}; missing {missing[:3]}, too many {more[:3]}"
            )


def history(kinesis, folder, seed):
    chance = random.Random(seed)
    clicks = Clicks(chance)
    with Server(kinesis) as server:
        live, killed, later = (Consumer(kinesis, server, folder / name) for name in ("live", "killed", "later"))
        reading, victim, kills = live.start(), killed.start(), 0
        for batch in range(BATCHES):
            records = [{"PartitionKey": key, "Data": data} for key, data in (clicks.next() for _ in range(IN_A_BATCH))]
            put = server.client.put_records(StreamName=STREAM, Records=records)
            if put["FailedRecordCount"]:
                raise SystemExit("FAILED: the server took not all records")
            began = time.monotonic()
            if batch in SPLIT_TWICE:
                server.split_twice(chance)
            elif chance.random() < 0.08:
                server.reshard(chance)
            if time.monotonic() - began > IDLE_AFTER / 2:
                # The server stamps the first records of a new shard up to a second later. Where the
                # old shards are idle by then, the clicks of others in that second would make it late.
                time.sleep(1.1)
            if batch % (BATCHES // KILLS) == 0:
                victim.send_signal(signal.SIGKILL)
                victim.communicate()
                victim, kills = killed.start(), kills + 1
            time.sleep(chance.uniform(0, 0.08))
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        reading.send_signal(signal.SIGTERM)
        reading.communicate(timeout=600)
        records = server.records()
        if len(records) != BATCHES * IN_A_BATCH:
            raise SystemExit(f"FAILED: {len(records)} records on the stream, not {BATCHES * IN_A_BATCH}")
        expected = reference(records)
        for who, consumer in (("live", live), ("killed", killed), ("later", later)):
            compare(f"history {seed}, {who}", found(consumer.finish()), expected)
        counts = ", ".join(f"{len(rows)} {kind}" for kind, rows in expected.items())
        print(f"ok: history {seed}: {len(server.shards())} shards, {kills + 1} kills; live, killed and later have {counts}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kinesis", type=pathlib.Path, help="the program")
    parser.add_argument("--histories", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of the first history")
    options = parser.parse_args()
    for seed in range(options.seed, options.seed + options.histories):
        with tempfile.TemporaryDirectory() as folder:
            history(options.kinesis.resolve(), pathlib.Path(folder), seed)


if __name__ == "__main__":
    main()
