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
# Calls of the generator, and their files.
GENERATOR_CALLS = {"kinesis:DescribeStreamSummary": "stream/about.rs", "kinesis:PutRecords": "produce/producer.rs"}
# Endpoints that stand for the services of the program, and those that ECS needs before it runs.
ENDPOINTS = {"kinesis": "kinesis-streams", "cloudwatch": "monitoring", "s3": "s3"}
ENDPOINTS_OF_ECS = {"ecr.api", "ecr.dkr", "logs"}
MOST_PARTITIONS = 4_000  # that Athena lists for a query without a date
# Actions whose name is not that of the call.
ACTIONS = {"s3:ListObjectsV2": "s3:ListBucket"}
# Calls that only happen with an option.
WITH_OPTION = {"cloudwatch:PutMetricData": "--metrics", "firehose:PutRecordBatch": "--firehose"}
CHECKPOINT = ("s3://sessions-bucket/state/", "/checkpoint")  # what the consumer reads first
SIZES = {"BufferInterval": (60, 900), "BufferSize": (1, 128)}  # the article's


def check(what, holds, otherwise=""):
    if not holds:
        raise SystemExit(f"{what}: FAILED{f': {otherwise}' if otherwise else ''}")
    print(f"ok: {what}")


def without_tests(path):
    return path.read_text().split("#[cfg(test)]\nmod tests")[0]


def module_of(name):
    """The module at the top of the program that a file belongs to."""
    return name.split("/")[0].removesuffix(".rs")


def sources(command="consume"):
    """The files that a command can reach: those of its module, and of all that these name, however often removed."""
    files = {path.relative_to(SOURCE).as_posix(): without_tests(path) for path in sorted(SOURCE.rglob("*.rs"))}
    modules = {module_of(name) for name in files} - {"main"}
    reached, waiting = set(), {command}
    while waiting:
        module = waiting.pop()
        reached.add(module)
        text = "".join(text for name, text in files.items() if module_of(name) == module)
        named = set(re.findall(r"\bcrate::(\w+)", text))
        for group in re.findall(r"\bcrate::\{([^;]*)\};", text):
            named |= set(re.findall(r"\w+", group))
        waiting |= (named & modules) - reached
    return [(name, text) for name, text in files.items() if module_of(name) in reached]


def calls(texts):
    """Every call of the SDK that is made in these texts, as an action of IAM."""
    found = {}
    for name, text in texts:
        service = re.search(r"use aws_sdk_(\w+)::", text)
        for call in re.findall(r"\bclient\s*\.\s*([a-z][a-z0-9_]*)\(\)\s*\.", text):
            if call == "clone":
                continue
            if not service:
                raise SystemExit(f"{name} calls {call} and does not say of which service")
            action = f"{service[1]}:{''.join(word.capitalize() for word in call.split('_'))}"
            found.setdefault(ACTIONS.get(action, action), set()).add(name)
    return found


def check_modules():
    """Programs for trying out make streams and fill them: a consumer that reached them would need permissions for it."""
    reached = {module_of(name) for name, _ in sources()}
    beside = {module_of(path.relative_to(SOURCE).as_posix()) for path in SOURCE.rglob("*.rs")} - reached - {"main"}
    check(f"`consume` does without {', '.join(sorted(beside))}", {"admin", "demo", "produce", "replay", "serve"} <= beside, reached)


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(stack):
    for role in stack.of_type("AWS::IAM::Role"):
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
    made, command = calls(sources()), stack.command()
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
        ("s3:PutObject", f"{stack.values['Prefix']}/.writable", True),
        ("s3:GetObject", f"{folder}2026/11/24/08/x.json.gz", False),
        ("s3:DeleteObject", f"{folder}2026/11/24/08/x.json.gz", False),
        ("s3:PutObject", "rawdata/2026/11/24/08/x.gz", False),
        ("s3:GetObject", "athena-results/x.csv", False),
    ]:
        check(f"the task {'may' if expected else 'may not'} {action} {name}", may(action, objects + name) == expected)


def check_command(kinesis, command, *reached):
    """The program itself reads the command: it must get as far as to what it calls first, which is not there."""
    what = command[0]
    help_text = subprocess.run([kinesis, what, "--help"], capture_output=True, text=True, timeout=300, check=True).stdout
    known = set(re.findall(r"--[a-z-]+", help_text))
    options = [word for word in command if word.startswith("--")]
    check(f"`{what}` knows {' '.join(options)}", set(options) <= known, sorted(set(options) - known))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    environment |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    tried = subprocess.run(
        [kinesis, *command, "--give-up-after", "1ms"], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    as_far = tried.returncode == 1 and all(word in tried.stderr for word in reached)
    check(f"`{what}` takes {' '.join(command[1:])}", as_far, f"{tried.returncode}: {tried.stderr}")


def check_columns(stack):
    rows = (SOURCE.parents[1] / "rows/src/columns.rs").read_text()
    table = re.search(r"static SESSION: [^=]+= \[(.*?)\n\];", rows, re.S)[1]
    constants = dict(re.findall(r'const (\w+): &str = "(\w+)";', rows))
    cells = [(constants.get(name, name.strip('"')), cell) for name, cell in re.findall(r"name: (\S+), cell: Cell::(\w+)", table)]
    others = [name for name, _ in cells]
    key = stack.command()[stack.command().index("--key") + 1].split(",")
    fields = [field.partition(":") for field in key]
    expected = [others[0], *(name for name, _, _ in fields), *others[1:]]
    columns = stack.table("Aggregated")["StorageDescriptor"]["Columns"]
    names = [column["Name"] for column in columns]
    check("the table has the columns of a row, in order", names == expected, f"{names}, not {expected}")
    types = {column["Name"]: column["Type"] for column in columns}
    for name, _, kind in fields:
        check(f"{name} has its type", types[name] == ("bigint" if kind == "int" else "string"), types[name])
    time, texts = ("timestamp", "string") if stack.values["Format"] == "parquet" else ("string", "array<string>")
    kinds = {"Text": "string", "Texts": texts, "Time": time, "Long": "bigint", "Int": "int"}
    for name, cell in cells:
        check(f"{name} has its type", types[name] == kinds[cell], f"{types[name]}, not {kinds[cell]}")
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
    help_text = subprocess.run([kinesis, "health", "--help"], capture_output=True, text=True, timeout=300, check=True).stdout
    check("the health check is the program's", asked == ["CMD", "/usr/local/bin/kinesis", "health"], asked)
    check(f"and asks at {listens}", f"[default: {listens}]" in help_text, help_text)


def check_first_deployment(stack):
    check("no consumer starts before there is an image", stack.properties("Service")["DesiredCount"] == 0)
    check("and its absence is no alarm", stack.properties("Behind")["ActionsEnabled"] is False)


def check_alerts(template, kinesis):
    """The rule and the webhook reach the program; without them it gets no option."""
    without = Stack(template).command()
    check("without AlertRule there is no alert", not {"--alert", "--webhook"} & set(without), without)
    rule = {"AlertRule": "duration < 20s and events > 1"}
    told = Stack(template, **rule).command()
    check("AlertRule is one rule", told == [*without, "--alert", rule["AlertRule"]], told)
    check_command(kinesis, told, *CHECKPOINT)
    # By http, since the program that is checked may have been built without TLS.
    posted = Stack(template, **rule, AlertWebhook="http://127.0.0.1:9/hook").command()
    check("AlertWebhook is its webhook", posted == [*told, "--webhook", "http://127.0.0.1:9/hook"], posted)
    check_command(kinesis, posted, *CHECKPOINT)
    pattern, hidden = template["Parameters"]["AlertWebhook"]["AllowedPattern"], template["Parameters"]["AlertWebhook"]["NoEcho"]
    for address, expected in [
        ("", True),
        ("https://example.com", True),
        ("https://example.com/hook?token=1", True),
        ("https://example.com:443/hook", True),
        ("https://example.com:8443/hook", False),
        ("http://example.com/hook", False),
    ]:
        check(f"AlertWebhook {'may' if expected else 'may not'} be {address!r}", bool(re.fullmatch(pattern, address)) == expected)
    check("nobody reads the webhook in the console", hidden is True)
    hook = {"AlertWebhook": "https://example.com/hook"}
    for chosen, count in [({}, 0), (rule, 0), (rule | hook, 0), (hook, 1), (rule | hook | {"PrivateNetwork": "yes"}, 1)]:
        refused = list(Stack(template, **chosen).refusals())
        check(f"{chosen or 'the defaults'}: {refused or 'taken'}", len(refused) == count)


def check_generator(template, kinesis):
    made = {"AWS::Events::Rule", "AWS::ECS::TaskDefinition"}
    usual = {resource["Type"]: name for name, resource in Stack(template).resources.items() if resource["Type"] in made}
    check("there is no generator unless it is asked for", usual == {"AWS::ECS::TaskDefinition": "Task"}, usual)
    stack = Stack(template, ClicksPerSecond=20, DesiredCount=1)
    check_command(kinesis, stack.command("GeneratorTask"), "sessionsblog")
    check_policies(stack)
    given = {action for role, statement in statements(stack) if role == "GeneratorRole" for action in listed(statement["Action"])}
    check("the generator has a permission for each call", given == set(GENERATOR_CALLS), given)
    for action, file in GENERATOR_CALLS.items():
        check(f"{file} makes the call {action}", action in calls([(file, without_tests(SOURCE / file))]))
    schedule = stack.properties("GeneratorSchedule")
    check("it is scheduled", schedule["State"] == "ENABLED" and schedule["ScheduleExpression"] == "rate(5 minutes)")
    check("for as long as it clicks", stack.command("GeneratorTask")[-2:] == ["--duration", "5m"])
    paused = Stack(template, ClicksPerSecond=20).properties("GeneratorSchedule")["State"]
    check("and not while there is no image", paused == "DISABLED", paused)


def check_network(template):
    def addresses(stack):
        """Whether each task gets a public address."""
        service = stack.properties("Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
        target, = stack.properties("GeneratorSchedule")["Targets"]
        generator = target["EcsParameters"]["NetworkConfiguration"]["AwsVpcConfiguration"]
        return {service["AssignPublicIp"], generator["AssignPublicIp"]}

    def stack_with(**chosen):
        return Stack(template, ClicksPerSecond=1, **chosen)

    public, private = stack_with(), stack_with(PrivateNetwork="yes")
    check("through the internet a task has a public address", addresses(public) == {"ENABLED"}, addresses(public))
    check("and no endpoints", not public.of_type("AWS::EC2::VPCEndpoint"))
    check("with an endpoint of S3 it has none", addresses(private) == {"DISABLED"}, addresses(private))
    check("and no way to the internet", not private.of_type("AWS::EC2::InternetGateway") and not private.of_type("AWS::EC2::Route"))
    called = {action.split(":")[0] for role, statement in statements(private) if role == "TaskRole" for action in listed(statement["Action"])}
    needed = {f"com.amazonaws.us-east-1.{name}" for name in ENDPOINTS_OF_ECS | {ENDPOINTS[service] for service in called}}
    there = {made["ServiceName"] for made in private.of_type("AWS::EC2::VPCEndpoint").values()}
    check(f"but {len(needed)} endpoints, those of what is called", there == needed, there ^ needed)
    for asked in ("ENABLED", "DISABLED"):
        yours = stack_with(VpcId="vpc-1", SubnetIds="subnet-1", AssignPublicIp=asked, PrivateNetwork="yes")
        check(f"in your VPC it is {asked} as asked", addresses(yours) == {asked}, addresses(yours))
        check("and nothing is added to it", not yours.of_type("AWS::EC2::VPCEndpoint") and not yours.of_type("AWS::EC2::Subnet"))


def check_partitions(stack):
    for name, table in stack.of_type("AWS::Glue::Table").items():
        parameters, keys = table["TableInput"]["Parameters"], [key["Name"] for key in table["TableInput"]["PartitionKeys"]]
        count = 1
        for key in keys:
            least, most = map(int, parameters[f"projection.{key}.range"].split(","))
            count *= most - least + 1
        check(f"a query of {name} without a date lists {count} partitions", count <= MOST_PARTITIONS)
        template = parameters["storage.location.template"]
        check("a partition is a day, with a folder for it", template.endswith("/".join(f"${{{key}}}" for key in keys) + "/"), template)


def check_years(template):
    """Rows lie in the folder of their first event: none may be from before the first year that tables look at."""
    for years in ("2026,2035", "2018,2040"):
        stack = Stack(template, Years=years)
        earliest = stack.command()[stack.command().index("--earliest") + 1]
        first = stack.table("Aggregated")["Parameters"]["projection.partition_0.range"].split(",")[0]
        check(f"with Years {years} events from before {first} are refused", earliest == f"{first}-01-01T00:00:00Z", earliest)


def check_alarms(template):
    topic, email = "arn:aws:sns:us-east-1:123456789012:mine", "ops@example.com"
    for chosen, expected in [({}, "<AlarmTopic>"), ({"AlarmEmail": email}, "<AlarmTopic>"), ({"AlarmTopicArn": topic}, topic)]:
        stack = Stack(template, **chosen)
        actions = {name: alarm.get("AlarmActions") for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items()}
        check(f"{len(actions)} alarms go to {expected}", all(action == [expected] for action in actions.values()), actions)
        check("its topic is made if it is the stack's own", ("AlarmTopic" in stack.resources) == ("AlarmTopicArn" not in chosen))
        mails = [(mail["Protocol"], mail["Endpoint"]) for mail in stack.of_type("AWS::SNS::Subscription").values()]
        check("and mailed to whoever is named", mails == ([("email", email)] if "AlarmEmail" in chosen else []), mails)
    refused = list(Stack(template, AlarmTopicArn=topic, AlarmEmail=email).refusals())
    check(f"a topic and an address: {refused}", len(refused) == 1)


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
    check_modules()
    check_calls(whole)
    check_reach(whole)
    for chosen in choices(template, "SecondsOrMinutes", "Format"):
        for interval, size in zip(*SIZES.values()):
            stack = Stack(template, **chosen, BufferInterval=interval, BufferSize=size)
            check_command(kinesis, stack.command(), *CHECKPOINT)
        check_columns(stack)
        check_metrics(stack)
    check_first_deployment(whole)
    check_alerts(template, kinesis)
    check_generator(template, kinesis)
    check_network(template)
    check_partitions(whole)
    check_years(template)
    check_alarms(template)
    check_that_only_one_runs(whole)
    check_health(whole, kinesis)
    check_bucket(whole)
    check_queries(whole)
    check_image()


if __name__ == "__main__":
    main()
