#!/usr/bin/env python3
"""The whole way, with the programs as a user has them: events to sessions, to files, to answers.

    python3 .ci/together.py target/debug

Clicks become sessions twice, by `files` and by `kinesis` through a stream, written as Parquet and as
JSON, under every rule with the same rows and ids. DuckDB, Polars and pandas read the Parquet, `query` and
`picture` all of it, and everybody must have the same numbers. A program of the library reads events that
DuckDB wrote, and DuckDB computes the same sessions. Then the real events of ../shared/data, where they are
there, against sessions that other programs computed.

Needs duckdb, polars, pandas, pyarrow and boto3 from PyPI.
"""

import collections
import contextlib
import csv
import datetime
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import boto3
import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared/data"
FIELDS = ["--key", "user_id:int,device_id", "--time", "client_timestamp", "--value", "client_event"]
TIMES = ("timeagg", "beginsession", "endsession")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
TYPES = {
    "user_id": "int64",
    "timeagg": "utc",
    "events": "int64",
    "beginsession": "utc",
    "endsession": "utc",
    "duration_sec": "int64",
    "revision": "int32",
}  # the others are texts


def check(what, found, expected):
    if found != expected:
        raise SystemExit(f"{what}: FAILED: {str(found)[:2000]}\nexpected: {str(expected)[:2000]}")
    print(f"ok: {what}", flush=True)


def run(*command, **more):
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


def micros(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def day_of(row):
    return (EPOCH + datetime.timedelta(microseconds=row["beginsession"])).date()


class Programs:
    def __init__(self, folder):
        self.files, self.generate = folder / "files", folder / "generate"
        self.beside_duckdb = folder / "examples/beside_duckdb"
        self.kinesis, self.query, self.picture = folder / "kinesis", folder / "query", folder / "picture"

    def ask(self, folder, sql, today):
        """The rows of an answer, each as a list of texts."""
        out = run(self.query, folder, "--sql", sql, "--today", today, "--format", "csv")
        return list(csv.reader(out.splitlines()))[1:]

    def totals(self, folder, place):
        """What the page says."""
        page = place / "page.html"
        run(self.picture, folder, "--output", page)
        sums = re.search(r"(\d+) sessions, (\d+) events, (\d+) seconds in sessions", page.read_text())
        return [int(number) for number in sums.groups()]


@contextlib.contextmanager
def stream(programs):
    """A server with an empty stream. Gives where it listens."""
    server = [programs.kinesis, "serve", "--port", "0", "--stream", "clicks", "--shards", "3"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as serving:
        try:
            endpoint, *_ = [serving.stdout.readline().strip() for _ in range(3)]  # the last one tells of the stream
            yield endpoint.removeprefix("Kinesis listens at ")
        finally:
            serving.kill()


def through_a_stream(programs, clicks, place, form, rules=("--step", "30s"), also=lambda endpoint: None):
    """What `kinesis` makes of the clicks: a folder with a table for each rule."""
    with stream(programs) as endpoint:
        environment = os.environ | {"AWS_ENDPOINT_URL": endpoint}
        run(programs.kinesis, "produce", "--stream", "clicks", clicks, env=environment)
        consume = [programs.kinesis, "consume", "--stream", "clicks", *FIELDS, *rules, "--out-of-order", "1h"]
        consume += ["--state", place / f"state-{form}", "--output", place / form, "--format", form]
        run(*consume, "--unpaced", "--stop-when-idle", "2s", "--flush", env=environment)
        also(endpoint)
    return place / form


def as_it_arrived(endpoint, path):
    """Writes the events of the stream to a file, in order of arrival, each with the time of it."""
    client = boto3.client(
        "kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local"
    )
    records = []
    for shard in client.list_shards(StreamName="clicks")["Shards"]:
        of_shard = {"StreamName": "clicks", "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        page = {"NextShardIterator": client.get_shard_iterator(**of_shard)["ShardIterator"], "MillisBehindLatest": 1}
        while page["MillisBehindLatest"] > 0 or page["Records"]:
            page = client.get_records(ShardIterator=page["NextShardIterator"])
            for record in page["Records"]:
                arrival = record["ApproximateArrivalTimestamp"]
                records.append((arrival, shard["ShardId"], int(record["SequenceNumber"]), json.loads(record["Data"])))
    with path.open("w") as lines:
        for arrival, _, _, event in sorted(records, key=lambda record: record[:3]):
            lines.write(json.dumps(event | {"arrived": arrival.timestamp()}) + "\n")


def rows_of_json(folder):
    """Of all files, as they would be in Parquet."""
    for file in folder.rglob("*.json.gz"):
        for line in gzip.open(file, "rt", encoding="utf-8"):
            row = json.loads(line)
            yield row | {name: micros(row[name]) for name in TIMES} | {"revision": 0, "supersedes": None}


def rows_of_files(out):
    """JSON lines of `files`, as they would be in Parquet."""
    for row in map(json.loads, out.splitlines()):
        yield {
            "session_id": row["session_id"],
            "user_id": row["user_id"],
            "device_id": row["device_id"],
            "timeagg": micros(row["bucket"] or row["window_start"]),
            "events": row["count"],
            "beginnavigation": row["first_event"],
            "endnavigation": row["last_event"],
            "beginsession": micros(row["first_time"]),
            "endsession": micros(row["last_time"]),
            "duration_sec": row["duration_us"] // 1_000_000,
            "reason": row["reason"],
            "revision": 0,
            "supersedes": None,
        }


def in_order(rows, without=()):
    return sorted([value for name, value in row.items() if name not in without] for row in rows)


# Table, options of `kinesis` and of `files`.
RULES = [
    ("step_30s", ["--step", "30s"], ["--step", "30s"]),
    ("floor_hour", ["--floor", "hour"], ["--floor", "hour"]),
    ("gap_5m", ["--gap", "5m"], ["--gap", "5m"]),
    # Stragglers open a window again while the events arrive, within seconds.
    ("stagger_step_1h_range_1s", ["--stagger", "step=1h/1s"], ["--stagger", "step=1h", "--range", "1s"]),
]


def same_rows(programs, clicks, place):
    """`files` and `kinesis` find the same sessions, under the same ids, so that their rows can be joined."""
    arrived = place / "arrived.jsonl"
    rules = [option for _, options, _ in RULES for option in options]
    folder = through_a_stream(programs, clicks, place, "json", rules, lambda endpoint: as_it_arrived(endpoint, arrived))
    for table, _, options in RULES:
        command = [programs.files, arrived, *FIELDS, "--arrival", "arrived", *options, "--output-format", "jsonl"]
        expected = list(rows_of_files(run(*command)))
        found = list(rows_of_json(folder / table))
        # The arrival clock goes on in a stream, and ends with the last event in a file.
        without = ["reason"] if "--stagger" in options else []
        check(f"{table}: {len(found)} rows and ids of files", in_order(found, without), in_order(expected, without))


def read_by_others(folder, name, rows):
    """DuckDB, Polars and pandas."""
    script = ROOT / "examples/rows/src/parquet/readers.py"
    found = json.loads(run(sys.executable, script, folder))
    names = list(rows[0])
    expected = sorted([[row[name] for name in names] for row in rows], key=lambda row: row[0])
    types = {column: TYPES.get(column, "text") for column in names}
    for reader in ("duckdb", "polars", "pandas"):
        check(f"{reader} has the types of {name}", found[reader]["types"], types)
        check(f"{reader} has its {len(rows)} rows", found[reader]["rows"], expected)


def answered(programs, folder, name, rows, place):
    """By `query` and `picture`."""
    sums = [len(rows), sum(row["events"] for row in rows), sum(row["duration_sec"] for row in rows)]
    sql = "SELECT count(1), sum(events), sum(duration_sec) FROM aggregated"
    check(f"query has the sums of {name}", [list(map(int, row)) for row in programs.ask(folder, sql, "2018-11-30")], [sums])
    check(f"picture has the sums of {name}", programs.totals(folder, place), sums)
    days = collections.Counter(map(day_of, rows))
    for day, count in days.items():
        found = programs.ask(folder, "SELECT count(1) FROM clicks_today", day.isoformat())
        check(f"clicks_today has {count} rows of {name} on {day}", found, [[str(count)]])
    today = max(days, key=days.get)
    durations = collections.Counter(row["duration_sec"] for row in rows if day_of(row) == today and row["duration_sec"] > 0)
    found = programs.ask(folder, (ROOT / "examples/query/sql/durations.sql").read_text(), today.isoformat())
    check(f"the article's durations of {name}", {int(row[0]): int(row[1]) for row in found}, dict(durations))


def made_up(programs, place):
    clicks = place / "clicks.jsonl.gz"
    shape = ["--users", "200", "--rate", "3", "--duration", "2h", "--disorder", "20s", "--start", "2018-11-29T22:30:00Z"]
    run(programs.generate, *shape, "--output", clicks)
    command = [programs.files, clicks, *FIELDS, "--step", "30s"]
    reference = list(rows_of_files(run(*command, "--output-format", "jsonl")))
    run(*command, "--output-format", "parquet", "--output", place / "visits")
    read_by_others(place / "visits", "Parquet by files", reference)
    answered(programs, place / "visits", "Parquet by files", reference, place)

    json_folder = through_a_stream(programs, clicks, place, "json")
    streamed = list(rows_of_json(json_folder))
    check(f"the stream gives the {len(streamed)} sessions of the file", in_order(streamed), in_order(reference))
    answered(programs, json_folder, "JSON by kinesis", streamed, place)
    parquet_folder = through_a_stream(programs, clicks, place, "parquet")
    read_by_others(parquet_folder, "Parquet by kinesis", streamed)
    answered(programs, parquet_folder, "Parquet by kinesis", streamed, place)


def beside_duckdb(programs, clicks, place):
    """A program of the library between two queries of DuckDB, which then computes the sessions itself."""
    events, visits = place / "events.parquet", place / "beside-duckdb.parquet"
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute(
        f"""COPY (SELECT user_id::BIGINT AS user_id, client_timestamp::TIMESTAMP AS event_time
                 FROM read_json('{clicks}') ORDER BY event_time) TO '{events}'"""
    )
    run(programs.beside_duckdb, events, visits)
    columns = "user_id, begins::TIMESTAMP, ends::TIMESTAMP, events"
    found = database.execute(f"SELECT {columns} FROM '{visits}' ORDER BY user_id, begins").fetchall()
    expected = database.execute(
        f"""WITH marked AS (SELECT user_id, event_time, CASE WHEN event_time < lag(event_time) OVER visits + INTERVAL 30 MINUTE THEN 0 ELSE 1 END AS is_first
                 FROM '{events}' WINDOW visits AS (PARTITION BY user_id ORDER BY event_time)),
               numbered AS (SELECT user_id, event_time, sum(is_first) OVER (PARTITION BY user_id ORDER BY event_time) AS visit FROM marked)
            SELECT user_id, min(event_time), max(event_time), count(*) FROM numbered GROUP BY user_id, visit ORDER BY 1, 2"""
    ).fetchall()
    check(f"beside DuckDB: {len(found)} sessions of its own SQL", found, expected)
    ids = database.execute(f"SELECT count(DISTINCT session_id), count(*) FROM '{visits}'").fetchone()
    check("each with an id of its own", *ids)


def real(programs, name, place):
    """Sessions after 30 minutes of silence, as other programs found them."""
    expected = []
    for row in csv.DictReader(gzip.open(SHARED / f"expected/{name}.gap30m.user.csv.gz", "rt", encoding="utf-8")):
        start, end = micros(row["start"]), micros(row["end"])
        expected.append({"beginsession": start, "events": int(row["count"]), "duration_sec": (end - start) // 1_000_000})
    visits = place / name
    fields = ["--key", "user_id:int", "--time", "client_timestamp", "--value", "client_event"]
    events = SHARED / f"{name}.events.jsonl.gz"
    run(programs.files, events, *fields, "--gap", "30m", "--inclusive", "--output-format", "parquet", "--output", visits)
    answered(programs, visits, name, expected, place)


def main():
    programs = Programs(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        made_up(programs, place)
        beside_duckdb(programs, place / "clicks.jsonl.gz", place)
        (place / "rules").mkdir()
        same_rows(programs, place / "clicks.jsonl.gz", place / "rules")
        if not SHARED.exists():
            print("SKIPPED: the real events, since ../shared/data is not there")
            return
        for name in ("apache", "rees46", "gharchive"):
            real(programs, name, place)


if __name__ == "__main__":
    main()
