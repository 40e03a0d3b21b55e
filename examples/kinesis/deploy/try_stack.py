#!/usr/bin/env python3
"""Makes the stack in a stand-in for AWS, runs the consumer as its task says, and asks the article's queries.

    python3 try_stack.py --kinesis target/debug/kinesis --files target/debug/files

Once with seconds, JSON and the parameters that are not asked for left alone, once with minutes, Parquet,
clicks of the generator, alerts, a private network and mail. Clicks go on the stream that the template
made; the consumer is stopped by SIGTERM in the middle and started again; its files are found through
the tables of Glue alone and read by DuckDB in Athena's place. The rows must be those of `files` from
the same clicks.

What this cannot show: whether AWS accepts the template (the stand-in checks few properties and no
permission), ECS itself, Firehose from a stream, alarms, and Athena's own SQL and partition projection.

Needs ministack, cbor2, boto3, cfn-lint and duckdb from PyPI.
"""

import argparse
import collections
import copy
import datetime
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
import botocore.exceptions
import duckdb

from stack import HERE, Stack, load

GUIDE = HERE.parents[2] / "docs/MOVING.md"
CASES = [
    {"SecondsOrMinutes": "seconds", "Format": "json"},
    {
        "SecondsOrMinutes": "minutes",
        "Format": "parquet",
        "ClicksPerSecond": 20,
        "AlertRule": "duration < 20s and events > 1",
        "AlarmEmail": "ops@example.com",
        "PrivateNetwork": "yes",
    },
]
# Ends with this process: also when that is killed.
SERVER = """
import os, runpy, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
runpy.run_module('ministack', run_name='__main__', alter_sys=True)
"""
# Athena's functions that DuckDB has under other names.
AS_IN_ATHENA = """
CREATE MACRO from_iso8601_timestamp(text) AS CAST(text AS TIMESTAMP);
CREATE MACRO to_unixtime(time) AS epoch(time);
CREATE MACRO date_format(time, form) AS strftime(time, replace(replace(form, '%i', '%M'), '%s', '%S'));
"""
TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "timestamp": "TIMESTAMP", "array<string>": "VARCHAR[]"}
CLICKS = 3_000


def check(what, holds, otherwise=""):
    if not holds:
        raise SystemExit(f"{what}: FAILED{f': {otherwise}' if otherwise else ''}")
    print(f"ok: {what}", flush=True)


def free_port():
    """None that the system gives to connections: so it stays free until the stand-in listens."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as free:
            if free.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise SystemExit("no port is free")


class StandIn:
    """ministack on a free port."""

    def __enter__(self):
        port = free_port()
        environment = os.environ | {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "S3_PERSIST": "0"}
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.endpoint = f"http://127.0.0.1:{port}"
        for _ in range(3000):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    return self
            time.sleep(0.1)
        raise SystemExit("ministack does not answer")

    def __exit__(self, *_):
        self.server.kill()
        self.server.wait()

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        return kept | credentials | {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": "us-east-1"}


def is_known(resource):
    """Whether the stand-in has it. The queries are run from the template itself."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    return kind != "AWS::Athena::NamedQuery" and not (kind == "AWS::CloudWatch::Alarm" and "Metrics" in properties)


def create(stand_in, template, parameters):
    """Makes the stack and waits for it."""
    body = copy.deepcopy(dict(template))
    left_out = [name for name, resource in body["Resources"].items() if not is_known(resource)]
    body["Resources"] = {name: resource for name, resource in body["Resources"].items() if name not in left_out}
    body["Resources"]["Service"]["Properties"]["DesiredCount"] = 0  # it takes no number from a parameter
    formation = stand_in.client("cloudformation")
    formation.create_stack(
        StackName="sessions",
        TemplateBody=json.dumps(body),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": str(value)} for name, value in parameters.items()],
    )
    for _ in range(120):
        state = formation.describe_stacks(StackName="sessions")["Stacks"][0]["StackStatus"]
        if not state.endswith("IN_PROGRESS"):
            break
        time.sleep(0.5)
    events = formation.describe_stack_events(StackName="sessions")["StackEvents"]
    reasons = [event.get("ResourceStatusReason") for event in events if "FAILED" in event["ResourceStatus"]]
    check("the stand-in makes the stack", state == "CREATE_COMPLETE", f"{state}: {reasons}")
    made = formation.list_stack_resources(StackName="sessions")["StackResourceSummaries"]
    print(f"    {len(made)} resources; left out: {', '.join(left_out)}")


def clicks(folder):
    """In order, of the last ten minutes, as the article's producer makes them."""
    chance = random.Random(7)
    end = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    times = sorted(end - datetime.timedelta(seconds=chance.uniform(0, 600)) for _ in range(CLICKS - 2))
    made = [(moment, chance.randint(50, 280)) for moment in times]
    # 9.9996 seconds, and 10 where times are cut to milliseconds first, as Kinesis SQL does.
    minute = (end - datetime.timedelta(minutes=5)).replace(second=0)
    made += [(minute.replace(second=5, microsecond=816_400), 281), (minute.replace(second=15, microsecond=816_000), 281)]
    path = folder / "clicks.jsonl"
    with path.open("w") as lines:
        for moment, user in sorted(made):
            click = {
                "user_id": user,
                "device_id": "mobile" if user == 281 else chance.choice(["mobile", "computer", "tablet", "mobile", "computer"]),
                "client_event": chance.choice(["beer_vitrine_nav", "beer_checkout", "beer_products", "beer_cart"]),
                "client_timestamp": moment.isoformat(timespec="microseconds"),
            }
            lines.write(json.dumps(click) + "\n")
        lines.write('{"user_id": "not a number"}\n')
    return path


def task_command(stand_in, stack, task="consumer"):
    """As it is registered in ECS."""
    definition = stand_in.client("ecs").describe_task_definition(taskDefinition=f"sessions-{task}")
    command = definition["taskDefinition"]["containerDefinitions"][0]["command"]
    expected = stack.command({"consumer": "Task", "generator": "GeneratorTask"}[task])
    check(f"ECS has the command of the {task} that stack.py works out", command == expected, f"{command}, not {expected}")
    return command


def generate(stand_in, stack, kinesis):
    """The clicks of the generator, fewer than it makes in five minutes."""
    command = task_command(stand_in, stack, "generator")
    made = subprocess.run(
        [kinesis, *command, "--events", "20"], env=stand_in.environment(), capture_output=True, text=True, timeout=300, check=False
    )
    check("the generator's command puts clicks on the stream", made.returncode == 0 and "20 records" in made.stdout, made)


def health_check(kinesis, stack, environment):
    """The check of the container, by the program that is tried. The stand-in does not keep it for its task."""
    _, program, *asked = stack.properties("Task")["ContainerDefinitions"][0]["HealthCheck"]["Command"]
    check(f"the health check is {program} {' '.join(asked)}", program == "/usr/local/bin/kinesis")
    return subprocess.run([kinesis, *asked], env=environment, capture_output=True, text=True, timeout=300, check=False)


def records_read(address):
    """How many the consumer that listens there says that it has read; none before it listens."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            count = re.search(r"^kinesis_consumer_records_total (\d+)$", answer.read().decode(), re.M)
    except OSError:
        return 0
    return int(count[1]) if count else 0


def consume(kinesis, stack, command, environment, checkpoint):
    """Stopped by SIGTERM, as ECS does, and started again to read the rest and close what is open."""
    quick = ["--unpaced", "--poll-every", "100ms"]
    seldom = ["--checkpoint-every", "1h"]  # so that what is kept was kept because of the signal
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    first = subprocess.Popen([kinesis, *command, *quick, *seldom], env=environment, text=True, **both)
    address, patience = command[command.index("--listen") + 1], time.monotonic() + 300
    while first.poll() is None and records_read(address) == 0 and time.monotonic() < patience:
        time.sleep(0.1)
    check("the consumer runs, and has kept nothing yet", first.poll() is None and checkpoint() == 0, checkpoint())
    answer = health_check(kinesis, stack, environment)
    check("its container is healthy", answer.returncode == 0 and answer.stdout == "ok\n", answer)
    first.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    told, _ = first.communicate(timeout=300)
    check(f"SIGTERM ends it in {time.monotonic() - asked:.2f} s", first.returncode == 0, told)
    check(f"its last checkpoint has {checkpoint()} records", checkpoint() > 0, told)
    answer = health_check(kinesis, stack, environment)
    check("a container without a consumer is not healthy", answer.returncode == 1 and "no answer from" in answer.stderr, answer)
    last = [kinesis, *command, *quick, "--stop-when-idle", "2s", "--flush"]
    ended = subprocess.run(last, env=environment, capture_output=True, text=True, timeout=300, check=False)
    check("the next run goes on from there", ended.returncode == 0 and checkpoint() == CLICKS + 1, ended.stderr)
    return told + ended.stdout + ended.stderr


class Tables:
    """Athena, as far as it matters here: Glue says where files are and what they hold."""

    def __init__(self, stand_in, folder):
        self.s3, self.glue, self.folder = stand_in.client("s3"), stand_in.client("glue"), folder
        self.database = duckdb.connect()
        self.database.execute("SET TimeZone = 'UTC'")
        self.database.execute(AS_IN_ATHENA)

    def rows(self, query):
        return self.database.execute(query).fetchall()

    def fill(self, name):
        """Reads what partition projection finds, and nothing else. Returns how many files that were."""
        table = self.glue.get_table(DatabaseName="sessionization", Name=name)["Table"]
        parameters, storage = table["Parameters"], table["StorageDescriptor"]
        keys = [key["Name"] for key in table["PartitionKeys"]]
        columns = {column["Name"]: TYPES[column["Type"]] for column in storage["Columns"]}
        everything = columns | {key["Name"]: TYPES[key["Type"]] for key in table["PartitionKeys"]}
        described = ", ".join(f'"{column}" {kind}' for column, kind in everything.items())
        self.database.execute(f'CREATE TABLE "{name}" ({described})')
        bucket, _, start = storage["Location"].removeprefix("s3://").partition("/")
        form = parameters["storage.location.template"].removeprefix(f"s3://{bucket}/")
        # A partition is all that lies below its folder.
        pattern = re.sub(r"\\\$\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(form)) + ".+"
        found = 0
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start):
            for item in page.get("Contents", []):
                place = re.fullmatch(pattern, item["Key"])
                check(f"{item['Key']} lies where {name} looks", place and self.is_projected(parameters, place))
                self.read(name, bucket, item["Key"], columns, [int(place[key]) for key in keys])
                found += 1
        return found

    @staticmethod
    def is_projected(parameters, place):
        """Whether the table's properties make this very folder of the numbers."""
        for key, text in place.groupdict().items():
            given = {name.split(".")[-1]: value for name, value in parameters.items() if name.startswith(f"projection.{key}.")}
            least, most = map(int, given["range"].split(","))
            if given["type"] != "integer" or not least <= int(text) <= most or text != f"{int(text):0{given['digits']}}":
                return False
        return True

    def read(self, name, bucket, key, columns, partition):
        path = self.folder / key.replace("/", "_")
        self.s3.download_file(bucket, key, str(path))
        if key.endswith(".parquet"):
            there = {column: kind for column, kind, *_ in self.rows(f"DESCRIBE SELECT * FROM '{path}'")}
            there = {column: kind.removesuffix(" WITH TIME ZONE") for column, kind in there.items()}
            check(f"its columns are those of the table {name}", there == columns, f"{there}, not {columns}")
            source = f"'{path}'"
        else:
            declared = ", ".join(f"'{column}': '{kind}'" for column, kind in columns.items())
            source = f"read_json('{path}', format = 'newline_delimited', columns = {{{declared}}})"
            lines = self.rows(f"SELECT json_keys(json) FROM read_ndjson_objects('{path}')")
            found = {field for (fields,) in lines for field in fields}
            check(f"its fields are columns of the table {name}", found <= set(columns), found - set(columns))
        names = ", ".join(f'"{column}"' for column in columns)
        self.database.execute(f'INSERT INTO "{name}" SELECT {names}, {", ".join(map(str, partition))} FROM {source}')


def expected(folder, files, path, seconds):
    """The rows in Kinesis SQL's form, as `files` finds them."""
    bucket = ["step=30s", "30s"] if seconds else ["floor=minute", "1m"]
    output = folder / "expected.csv"
    command = [files, path, "--key", "user_id,device_id", "--time", "client_timestamp", "--value", "client_event"]
    command += ["--stagger", bucket[0], "--range", bucket[1], "--output-format", "kinesis-sql", "--output", output]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return output


def comparison():
    """The query that the guide gives, or that this script would."""
    blocks = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.S)
    query, = [block for block in blocks if "side" in block and "HAVING" in block]
    return query


def ask(tables, stack, output):
    """The article's queries, and the comparison of the guide."""
    rows = tables.rows("SELECT partition_0, partition_1, partition_2, duration_sec FROM aggregated")
    now = tables.rows("SELECT year(current_date), month(current_date), day(current_date)")[0]
    for name in ("ClicksToday", "ClicksMonth", "KinesisSql"):
        tables.database.execute(stack.properties(name)["QueryString"])
    today = [row for row in rows if row[:3] == now]
    check(f"clicks_today has {len(today)} rows", tables.rows("SELECT count(*) FROM clicks_today") == [(len(today),)])
    month = [row for row in rows if row[:2] == now[:2]]
    check(f"clicks_month has {len(month)}", tables.rows("SELECT count(*) FROM clicks_month") == [(len(month),)])
    durations = collections.Counter(row[3] for row in today if row[3] > 0)
    check(f"the durations are {len(durations)}", dict(tables.rows(stack.properties("Durations")["QueryString"])) == durations)
    begin = "beginsession" if stack.values["Format"] == "parquet" else "from_iso8601_timestamp(beginsession)"
    elsewhere = f"SELECT count(*) FROM aggregated WHERE make_date(partition_0, partition_1, partition_2) <> CAST({begin} AS DATE)"
    check("each row is in the day of its first event", tables.rows(elsewhere) == [(0,)])
    check("each event is in one session", tables.rows("SELECT sum(events) FROM aggregated") == [(CLICKS,)])
    check("session ids are unique", tables.rows("SELECT count(*) = count(DISTINCT session_id) FROM aggregated") == [(True,)])
    texts = ", ".join(f"'{column}': 'VARCHAR'" for column in ("timeagg", "beginsession", "endsession"))
    tables.database.execute(f"CREATE TABLE old AS SELECT * FROM read_csv('{output}', types = {{{texts}}})")
    count, = tables.rows("SELECT count(*) FROM old")[0]
    differing = tables.rows(comparison())
    check(f"the comparison of the guide finds no difference in {count} rows", count > 100 and not differing, differing[:4])
    tables.database.execute("UPDATE old SET events = events + 1 WHERE session_id = (SELECT min(session_id) FROM old)")
    check("and finds one that is made", len(tables.rows(comparison())) >= 2)


def run(template, chosen, kinesis, files):
    print(f"\n{chosen}")
    parameters = chosen | {"BucketName": "sessions-bucket", "DesiredCount": 0}
    stack = Stack(template, **parameters)
    with StandIn() as stand_in, tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        create(stand_in, template, parameters)
        path = clicks(folder)
        environment = stand_in.environment()
        produce = [kinesis, "produce", path, "--stream", stack.values["StreamName"]]
        subprocess.run(produce, env=environment, check=True, capture_output=True, timeout=300)

        command = task_command(stand_in, stack)
        bucket, _, state = command[command.index("--state") + 1].removeprefix("s3://").partition("/")

        def checkpoint():
            try:
                kept = stand_in.client("s3").get_object(Bucket=bucket, Key=f"{state}/checkpoint")
            except botocore.exceptions.ClientError:
                return 0
            return json.loads(kept["Body"].read().split(b"\n")[1])["totals"]["records"]

        told = consume(kinesis, stack, command, environment, checkpoint)
        check("alerts are told if a rule is given, and only then", ("alert (" in told) == ("AlertRule" in chosen), told[:1000])
        tables = Tables(stand_in, folder)
        check("there are files", tables.fill("aggregated") > 0)
        tables.fill("errors")
        errors = tables.rows("SELECT kind, strategy, data FROM errors")
        check("what is no event is in the table of errors", errors == [("rejected", None, '{"user_id": "not a number"}')], errors)
        metrics = stand_in.client("cloudwatch").list_metrics(Namespace="Stagger/Sessions")["Metrics"]
        names = {metric["MetricName"] for metric in metrics}
        check("metrics arrived", names == {"Sessions", "EventsPerSession", "SessionDuration", "IteratorAge", "Rejected"}, names)
        ask(tables, stack, expected(folder, files, path, chosen["SecondsOrMinutes"] == "seconds"))
        if "ClicksPerSecond" in chosen:
            generate(stand_in, stack, kinesis)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kinesis", required=True, type=pathlib.Path, help="the program")
    parser.add_argument("--files", required=True, type=pathlib.Path, help="the program `files`")
    options = parser.parse_args()
    template = load()
    for chosen in CASES:
        run(template, chosen, options.kinesis.resolve(), options.files.resolve())


if __name__ == "__main__":
    main()
