#!/usr/bin/env python3
"""Runs stagger, DuckDB and Polars on the same clicks and prints what each costs, as Markdown.

Two jobs, key (user, device), per session the count, the first and last event, and their times:
STEP 30 s and GAP 30 min. Once in memory on one core, with the clicks loaded before; once from JSON
lines to CSV, on all cores. Each measurement is a process of its own, contestants take turns, and no
figure is printed unless all results agree.

    python3 benches/peers/run.py --venv target/peers/venv
    python3 benches/peers/run.py --quick
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# As many clicks per second as ten million a day: about 25,000 visits are open at once.
CLICKS_PER_SECOND = 115.74
DISORDER = "10s"
FIELDS = ["--key", "user_id,device_id", "--time", "client_timestamp", "--value", "client_event"]
JOBS = {"step": "J1", "gap": "J2"}
FILES_JOBS = {"step": ["--step", "30s"], "gap": ["--gap", "30m"]}
PEERS = {"duckdb": "DuckDB", "polars": "Polars"}


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--events", type=int, default=10_000_000, help="clicks in each file [10000000]")
    parser.add_argument("--users", default="1000000,10000", help="numbers of users, a file for each [1000000,10000]")
    parser.add_argument("--data", nargs="+", metavar="FILE", help="clicks made before; take these instead")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each, for the median [3]")
    parser.add_argument("--only", default="stagger,duckdb,polars", help="contestants [stagger,duckdb,polars]")
    parser.add_argument("--skip", choices=["memory", "whole"], help="leave one of the two tables out")
    parser.add_argument("--venv", metavar="DIR", help="install requirements.txt there and use it")
    parser.add_argument("--quick", action="store_true", help="100,000 clicks, one run: a check, not a measurement")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.events, chosen.runs = 100_000, 1
    chosen.only = chosen.only.split(",")
    if unknown := set(chosen.only) - {"stagger", *PEERS}:
        parser.error(f"there is no contestant {', '.join(sorted(unknown))}")
    return chosen


def say(text):
    print(text, file=sys.stderr, flush=True)


class Tools:
    """The programs that are run: ours, and a Python with the peers."""

    def __init__(self, chosen):
        names = [f"--package={name}" for name in ("generate", "measure", "files")]
        subprocess.run(["cargo", "build", "--release", "--quiet", *names], cwd=ROOT, check=True)
        about = subprocess.check_output(["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=ROOT)
        self.target = pathlib.Path(json.loads(about)["target_directory"])
        self.python = make_venv(pathlib.Path(chosen.venv)) if chosen.venv else sys.executable
        self.versions = {name: version for name in PEERS if name in chosen.only and (version := self.version(name))}

    def program(self, name):
        return str(self.target / "release" / name)

    def version(self, name):
        """Of a peer; none if it is not there."""
        look = subprocess.run(
            [self.python, "-c", f"import {name}; print({name}.__version__)"], capture_output=True, text=True
        )
        if look.returncode != 0:
            say(f"{PEERS[name]} is left out: `import {name}` fails (see --venv)")
        return look.stdout.strip()

    def clicks(self, events, users):
        """A file of clicks, made unless it is there."""
        folder = self.target / "peers"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"clicks_{events}_{users}.jsonl"
        if not file.exists():
            say(f"making {file.name}")
            part = file.with_suffix(".part")
            sizes = ["--users", str(users), "--events", str(events), "--rate", str(CLICKS_PER_SECOND)]
            command = [self.program("generate"), *sizes, "--disorder", DISORDER, "--no-arrival", "--output", str(part)]
            subprocess.run(command, check=True)
            part.rename(file)
        return str(file)


def make_venv(folder):
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    requirements = str(HERE / "requirements.txt")
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
    return str(python)


# --- one process ---


class Process:
    """A process that has ended: what it printed, CPU and wall seconds, peak memory in MiB."""

    def __init__(self, command, **environment):
        start = time.time()
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
            pipes = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": errors}
            child = subprocess.Popen(command, env=environment, **pipes)
            status, usage, self.memory = wait(child.pid)
            end = time.time()
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode != 0:
                sys.exit(f"{' '.join(command)}\nfailed with status {child.returncode}:\n{read(errors)}")
            text = read(output)
        self.says = json.loads(text) if text.strip() else {}
        # What Python did before the job of a peer, the import above all, is not counted.
        self.cpu = usage.ru_utime + usage.ru_stime - self.says.get("startup_cpu", 0)
        self.wall = end - self.says.get("startup_end", start)


def wait(pid):
    """Waits for a process. Its ru_maxrss is at least that of this one, from which it was made; while it
    is not more, the kernel's own note of the peak serves, looked at now and then."""
    noted, pause = 0, 0.001
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            break
        noted = max(noted, peak_kib(pid))
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1024 if sys.platform == "darwin" else 1
    exact = usage.ru_maxrss if usage.ru_maxrss > here or not noted else noted
    return status, usage, exact / 1024 / unit


def peak_kib(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        return 0


def read(file):
    file.seek(0)
    return file.read()


# --- the contestants ---


def memory_stagger(tools, file):
    """Both jobs, with numbers and with text, by the program `measure`."""
    command = [tools.program("measure"), file, *FIELDS, "--only", "step,gap", "--runs", "1", "--json"]
    said = Process([*command, "--out-of-order", DISORDER]).says
    for measured in said["strategies"]:
        result = (measured["sessions"], measured["events_in_sessions"], measured["checksum"])
        for form in ("text", "numbers"):
            yield f"stagger, {form}", measured["name"], measured["cpu_ns_per_event"][form]["median"], result


def memory_peer(tools, peer, file):
    """Each job with each form of the texts, by one of the peers."""
    for job in JOBS:
        for form, words in (("codes", "dictionary"), ("text", "text")):
            command = [tools.python, str(HERE / f"{peer}_job.py"), "memory", form, job, file]
            said = Process(command, POLARS_MAX_THREADS="1").says
            yield f"{PEERS[peer]}, {words}", job, said["cpu_ns"] / said["events"], tuple(said["result"])


def whole_commands(tools, chosen, job, file, out):
    """From JSON lines to CSV: (contestant, command)."""
    if "stagger" in chosen.only:
        files = [tools.program("files"), file, *FIELDS, *FILES_JOBS[job], "--output", out]
        yield f"files, --out-of-order {DISORDER}", [*files, "--out-of-order", DISORDER]
        yield "files, exact", files
    for peer in tools.versions:
        yield PEERS[peer], [tools.python, str(HERE / f"{peer}_job.py"), "whole", job, file, out]


# --- measurements and tables ---


class Results:
    """The results of each job on each file: (sessions, events in them, checksum)."""

    def __init__(self):
        self.all = {}

    def add(self, file, job, who, result):
        self.all.setdefault((file, job), {}).setdefault(tuple(result), set()).add(who)

    def check(self):
        for (file, job), found in self.all.items():
            if len(found) > 1:
                lines = [f"  {', '.join(sorted(who))}: {result}" for result, who in found.items()]
                sys.exit(f"{job} on {file}: the results differ (sessions, events, checksum)\n" + "\n".join(lines))


def measure_memory(tools, chosen, files, results):
    """CPU ns per event by contestant, then by (file, job): a list of runs."""
    figures = {}
    for run in range(chosen.runs):
        for file in files:
            turns = [memory_stagger(tools, file)] if "stagger" in chosen.only else []
            turns += [memory_peer(tools, peer, file) for peer in tools.versions]
            for turn in turns:
                for who, job, nanos, result in turn:
                    say(f"in memory, run {run + 1}, {pathlib.Path(file).name}: {who}, {job}: {nanos:.0f} ns")
                    figures.setdefault(who, {}).setdefault((file, job), []).append(nanos)
                    results.add(file, job, who, result)
    return figures


def measure_whole(tools, chosen, file, results):
    """(CPU ns per event, wall seconds, MiB) by contestant and job: a list of runs."""
    figures = {}
    with tempfile.TemporaryDirectory(dir=tools.target) as folder:
        out = os.path.join(folder, "sessions.csv")
        for run in range(chosen.runs):
            for job in JOBS:
                for who, command in whole_commands(tools, chosen, job, file, out):
                    ended = Process(command)
                    if run == 0:
                        results.add(file, job, who, Process([sys.executable, str(HERE / "rows.py"), out]).says["result"])
                    say(f"from file to file, run {run + 1}: {who}, {job}: {ended.cpu:.2f} s CPU, {ended.wall:.2f} s")
                    figures.setdefault(who, {}).setdefault(job, []).append((ended.cpu, ended.wall, ended.memory))
                    os.remove(out)
    return figures


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def memory_table(figures, names):
    columns = [(file, job) for file in names for job in JOBS]
    header = ["in memory, one core, CPU ns per event", *(f"{JOBS[job]}, {names[file]}" for file, job in columns)]
    rows = [[who, *(f"{statistics.median(by[column]):.0f}" for column in columns)] for who, by in figures.items()]
    return table(header, rows)


def whole_table(figures, events, name):
    header = [f"JSON lines to CSV, {name}"]
    for job in JOBS.values():
        header += [f"{job}: CPU ns per event", "wall s", "peak MiB"]
    rows = []
    for who, by in figures.items():
        row = [who]
        for job in JOBS:
            cpu, wall, memory = map(statistics.median, zip(*by[job]))
            row += [f"{cpu * 1e9 / events:.0f}", f"{wall:.2f}", f"{memory:.0f}"]
        rows.append(row)
    return table(header, rows)


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()


def versions(tools):
    rust = subprocess.check_output(["rustc", "--version"], cwd=ROOT, text=True).split("(")[0].strip()
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    peers = [f"{PEERS[name]} {version}" for name, version in tools.versions.items()]
    return ", ".join([f"stagger {revision.stdout.strip()}".strip(), rust, *peers, f"Python {platform.python_version()}"])


def size(number):
    for unit, name in ((1_000_000, " M"), (1_000, " k")):
        if number >= unit and number % (unit // 10) == 0:
            return f"{number / unit:g}{name}"
    return f"{number:,}"


def count_lines(file):
    with open(file, "rb") as opened:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: opened.read(1 << 20), b""))


def main():
    chosen = options()
    tools = Tools(chosen)
    if chosen.data:
        names = {os.path.abspath(file): pathlib.Path(file).stem for file in chosen.data}
    else:
        users = [int(number) for number in chosen.users.split(",")]
        names = {tools.clicks(chosen.events, number): f"{size(number)} users" for number in users}
    files, results = list(names), Results()
    events = count_lines(files[0])
    memory = measure_memory(tools, chosen, files, results) if chosen.skip != "memory" else {}
    whole = measure_whole(tools, chosen, files[0], results) if chosen.skip != "whole" else {}
    results.check()
    print(f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores; {versions(tools)}.")
    print(f"{size(events)} clicks; J1: STEP 30 s, J2: GAP 30 min; medians of {chosen.runs}. All results agree.")
    if memory:
        print("\n" + memory_table(memory, names))
    if whole:
        print("\n" + whole_table(whole, events, names[files[0]]))
    if chosen.quick:
        print("\nA quick check: the figures mean little.")


main()
