#!/usr/bin/env python3
"""Compares the template with the program: permissions with calls, options, columns, metrics, queries.

    python3 check.py --kinesis target/debug/kinesis

Needs cfn-lint and parliament from PyPI. It reaches nothing outside of this machine.
"""

import argparse
import fnmatch
import json
import os
import pathlib
import re
import subprocess

import parliament

from stack import HERE, Stack, choices, load

SOURCE = HERE.parent / "src"
ARTICLE = HERE.parents[3] / "shared/reference/aws-clickstream-sessions.txt"

# The only statements for all resources, since AWS knows no others for these actions.
ALL_RESOURCES = {
    "cloudwatch:PutMetricData": "metrics have no ARN; the statement is bound to a namespace",
    "ecr:GetAuthorizationToken": "a token is of the whole registry; what it opens is bound to a repository",
}
# Files that `consume` does not come through: they make streams and fill them, for trying out.
NOT_CONSUME = ("admin.rs", "produce.rs", "produce/", "demo/", "serve.rs", "server.rs", "stand_in.rs")
# Actions whose name is not that of the call.
ACTIONS = {"s3:ListObjectsV2": "s3:ListBucket"}
# Calls that only happen with an option.
WITH_OPTION = {"cloudwatch:PutMetricData": "--metrics", "firehose:PutRecordBatch": "--firehose"}
SIZES = {"BufferInterval": (60, 900), "BufferSize": (1, 128)}  # the article's


def check(what, holds, otherwise=""):
    if not holds:
        raise SystemExit(f"{what}: FAILED{f': {otherwise}' if otherwise else ''}")
    print(f"ok: {what}")


def without_tests(path):
    return path.read_text().split("#[cfg(test)]\nmod tests")[0]


def sources():
    for path in sorted(SOURCE.rglob("*.rs")):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith(NOT_CONSUME):
            yield name, without_tests(path)


def calls():
    """Every call of the SDK that the consumer can make, as an action of IAM."""
    found = {}
    for name, text in sources():
        service = re.search(r"use aws_sdk_(\w+)::", text)
        for call in re.findall(r"\bclient\s*\.\s*([a-z][a-z0-9_]*)\(\)\s*\.", text):
            if call == "clone":
                continue
            if not service:
                raise SystemExit(f"{name} calls {call} and does not say of which service")
            action = f"{service[1]}:{''.join(word.capitalize() for word in call.split('_'))}"
            found.setdefault(ACTIONS.get(action, action), set()).add(name)
    return found


def check_that_others_are_not_reached():
    for name, text in sources():
        for other in ("admin", "produce", "demo", "serve"):
            if name != "main.rs" and re.search(rf"\bcrate::{other}\b", text):
                check(f"{name} does without {other}", False, "then its calls need permissions too")


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(stack):
    for role in ("TaskRole", "ExecutionRole", "RawDeliveryRole"):
        if role in stack.resources:
            for document in stack.policies(role):
                for statement in document["Statement"]:
                    yield role, statement


def check_policies(stack):
    for role, statement in statements(stack):
        sid, actions = statement["Sid"], listed(statement["Action"])
        stars = [action for action in actions if "*" in action]
        check(f"{role}, {sid}: each action is named", not stars, stars)
        if "*" in listed(statement["Resource"]):
            unknown = [action for action in actions if action not in ALL_RESOURCES]
            check(f"{role}, {sid}: for all resources only where AWS knows no other", not unknown, unknown)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        findings = parliament.analyze_policy_string(policy).findings
        check(f"{role}, {sid}: parliament has nothing to say", not findings, findings)


def check_calls(stack):
    made, command = calls(), stack.command()
    needed = {action for action in made if WITH_OPTION.get(action, command[0]) in command}
    given = {action for role, statement in statements(stack) if role == "TaskRole" for action in listed(statement["Action"])}
    check("every call has its permission", needed <= given, f"missing: {sorted(needed - given)}")
    check("every permission has its call", given <= needed, f"nobody calls {sorted(given - needed)}")
    print(f"    {', '.join(sorted(needed))}; not used, so not allowed: {', '.join(sorted(set(made) - needed)) or 'nothing'}")


def check_reach(stack):
    """Where the task may read and write, and where not."""
    bucket, table = stack.values["BucketName"], stack.table("Aggregated")["StorageDescriptor"]["Location"]
    objects, folder = f"arn:aws:s3:::{bucket}/", table.removeprefix(f"s3://{bucket}/")
    state = stack.command()[stack.command().index("--state") + 1].removeprefix(f"s3://{bucket}/")

    def may(action, resource):
        return any(
            role == "TaskRole"
            and action in listed(statement["Action"])
            and any(fnmatch.fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
            for role, statement in statements(stack)
        )

    for action, name, expected in [
        ("s3:GetObject", f"{state}/checkpoint", True),
        ("s3:PutObject", f"{state}/checkpoint", True),
        ("s3:DeleteObject", f"{state}/segments/stagger_step_30s-0000000001-0", True),
        ("s3:PutObject", f"{folder}2026/11/24/08/clicks-1-2026-11-24-08-00-00-00000001.json.gz", True),
        ("s3:PutObject", f"{stack.values['Prefix']}/errors/2026/11/24/08/x.json.gz", True),
        ("s3:GetObject", f"{folder}2026/11/24/08/x.json.gz", False),
        ("s3:DeleteObject", f"{folder}2026/11/24/08/x.json.gz", False),
        ("s3:PutObject", "rawdata/2026/11/24/08/x.gz", False),
        ("s3:GetObject", "athena-results/x.csv", False),
    ]:
        check(f"the task {'may' if expected else 'may not'} {action} {name}", may(action, objects + name) == expected)


def check_command(stack, kinesis):
    """The program itself reads the command: it must get as far as to S3, which is not there."""
    command = stack.command()
    help_text = subprocess.run([kinesis, "consume", "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"--[a-z-]+", help_text))
    options = [word for word in command if word.startswith("--")]
    check(f"`consume` knows {' '.join(options)}", set(options) <= known, sorted(set(options) - known))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    environment |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    tried = subprocess.run(
        [kinesis, *command, "--give-up-after", "1ms"], capture_output=True, text=True, env=environment, check=False
    )
    as_far = tried.returncode == 1 and "/checkpoint" in tried.stderr and "s3://sessions-bucket/state/" in tried.stderr
    check(f"`consume` takes {' '.join(command[1:])}", as_far, f"{tried.returncode}: {tried.stderr}")


def check_columns(stack):
    rows = (SOURCE.parents[1] / "files/columns.rs").read_text()
    others = re.findall(r'"(\w+)"', re.search(r"const SESSION: [^=]+= \[(.*?)\];", rows, re.S)[1])
    key = stack.command()[stack.command().index("--key") + 1].split(",")
    fields = [field.partition(":") for field in key]
    expected = [others[0], *(name for name, _, _ in fields), *others[1:]]
    columns = stack.table("Aggregated")["StorageDescriptor"]["Columns"]
    names = [column["Name"] for column in columns]
    check("the table has the columns of a row, in order", names == expected, f"{names}, not {expected}")
    types = {column["Name"]: column["Type"] for column in columns}
    for name, _, kind in fields:
        check(f"{name} has its type", types[name] == ("bigint" if kind == "int" else "string"), types[name])
    error = re.search(r"fn error\(.*?\n    }\n", (SOURCE / "consume/mod.rs").read_text(), re.S)[0]
    expected = {*re.findall(r'insert\(\s*"(\w+)"', error), "strategy"}
    names = {column["Name"] for column in stack.table("Errors")["StorageDescriptor"]["Columns"]}
    check("the table of errors has the columns of an error", names == expected, names ^ expected)


def looked_at(stack):
    """Namespace and name of each metric in the dashboard and the alarms."""
    for widget in json.loads(stack.properties("Dashboard")["DashboardBody"])["widgets"]:
        before = []
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], dict):
                space, name = re.search(r'{([^,]+),.*MetricName="(\w+)"', metric[0]["expression"]).groups()
                yield space, name
                continue
            words = [word for word in metric if isinstance(word, str)]
            if words[0] == "...":
                words = before
            before = [old if word == "." else word for word, old in zip(words, before or words)]
            yield before[0], before[1]
    for resource in stack.resources.values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            alarm = resource["Properties"]
            if "MetricName" in alarm:
                yield alarm["Namespace"], alarm["MetricName"]
            for query in alarm.get("Metrics", []):
                if "MetricStat" in query:
                    yield query["MetricStat"]["Metric"]["Namespace"], query["MetricStat"]["Metric"]["MetricName"]
                elif query["Expression"].startswith("SELECT"):
                    name, space = re.search(r'\((\w+)\) FROM SCHEMA\("([^"]+)"', query["Expression"]).groups()
                    yield space, name


def check_metrics(stack):
    program = "".join(text for _, text in sources())
    namespace = stack.command()[stack.command().index("--metrics") + 1]
    names = {name for metric, name in looked_at(stack) if metric == namespace}
    unknown = sorted(name for name in names if f'"{name}"' not in program)
    check(f"the program sends {', '.join(sorted(names))}", len(names) >= 7 and not unknown, unknown)
    bound = [s["Condition"] for _, s in statements(stack) if "cloudwatch:PutMetricData" in listed(s["Action"])]
    check("its namespace is the one that it may send to", bound == [{"StringEquals": {"cloudwatch:namespace": namespace}}], bound)
    others = {space for space, _ in looked_at(stack)} - {namespace}
    check("nothing is looked at elsewhere but what AWS measures", all(space.startswith("AWS/") for space in others), others)


def check_that_only_one_runs(stack):
    deployment = stack.properties("Service")["DeploymentConfiguration"]
    limits = (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"])
    check("a deployment stops the old consumer first", limits == (0, 100), limits)
    rebalancing = stack.properties("Service")["AvailabilityZoneRebalancing"]
    check("and no rebalancing starts a second", rebalancing == "DISABLED", rebalancing)
    counts = stack.template["Parameters"]["DesiredCount"]["AllowedValues"]
    check("nobody can ask for two", counts == [0, 1], counts)
    patience = stack.properties("Task")["ContainerDefinitions"][0]["StopTimeout"]
    check("it has two minutes for its last checkpoint", patience == 120, patience)


def check_health(stack, kinesis):
    """The health check asks where the consumer listens."""
    asked = stack.properties("Task")["ContainerDefinitions"][0]["HealthCheck"]["Command"]
    listens = stack.command()[stack.command().index("--listen") + 1]
    help_text = subprocess.run([kinesis, "health", "--help"], capture_output=True, text=True, check=True).stdout
    check("the health check is the program's", asked == ["CMD", "/usr/local/bin/kinesis", "health"], asked)
    check(f"and asks at {listens}", f"[default: {listens}]" in help_text, help_text)


def check_bucket(stack):
    bucket = stack.properties("Bucket")
    blocked = list(bucket["PublicAccessBlockConfiguration"].values())
    check("nothing is public", blocked == [True] * 4, blocked)
    statement, = stack.properties("BucketPolicy")["PolicyDocument"]["Statement"]
    check("only over TLS", statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}})
    rules = bucket["LifecycleConfiguration"]["Rules"]
    expired = [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule or "Transitions" in rule]
    check("no rule touches the checkpoint", expired and not any("state/".startswith(prefix) for prefix in expired), expired)


def check_queries(stack):
    if not ARTICLE.exists():
        print("NOT CHECKED: the queries are the article's (its text is not there)")
        return
    flat = lambda text: " ".join(text.split())  # noqa: E731
    article = flat(ARTICLE.read_text())
    for name in ("ClicksToday", "ClicksMonth", "Durations"):
        check(f"{name} is the article's", flat(stack.properties(name)["QueryString"]) in article)


def check_image():
    text = (HERE / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", text, re.M)
    check("both stages are of one release of Debian", all("trixie" in stage for stage in stages), stages)
    check("it is built with TLS, and with the versions of Cargo.lock", "--locked" in text and "--features tls" in text)
    check("it does not run as root", re.search(r"^USER [1-9]\d*", text, re.M))
    check("no shell stands before it", 'ENTRYPOINT ["/usr/local/bin/kinesis"]' in text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kinesis", required=True, type=pathlib.Path, help="the program")
    kinesis = parser.parse_args().kinesis.resolve()
    template = load()
    for name, (least, most) in SIZES.items():
        given = template["Parameters"][name]
        check(f"{name} is from {least} to {most}, as in the article", (given["MinValue"], given["MaxValue"]) == (least, most))
    whole = Stack(template)
    check_policies(whole)
    check_that_others_are_not_reached()
    check_calls(whole)
    check_reach(whole)
    for chosen in choices(template, "SecondsOrMinutes", "Format"):
        for interval, size in zip(*SIZES.values()):
            stack = Stack(template, **chosen, BufferInterval=interval, BufferSize=size)
            check_command(stack, kinesis)
        check_columns(stack)
        check_metrics(stack)
    check_that_only_one_runs(whole)
    check_health(whole, kinesis)
    check_bucket(whole)
    check_queries(whole)
    check_image()


if __name__ == "__main__":
    main()
