"""Counts and checks the rows of a CSV of sessions, for run.py: `rows.py FILE`. In a process of its own,
because what run.py holds in memory would count for the processes that it starts."""

import csv
import datetime
import functools
import sys

from measured import digest, report

EPOCH = datetime.date(1970, 1, 1)


@functools.cache
def day_us(text):
    return (datetime.date.fromisoformat(text) - EPOCH).days * 86_400_000_000


def micros(text):
    """Of `2018-11-29T23:35:10.123456Z`, also with a blank for the T, without the Z, with fewer digits."""
    second = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
    return day_us(text[:10]) + second * 1_000_000 + int(text[20:].rstrip("Z").ljust(6, "0"))


def main(file):
    sessions = events = checksum = 0
    with open(file, newline="") as opened:
        rows = csv.reader(opened)
        header = next(rows)
        first, last, count = (header.index(name) for name in ("first_time", "last_time", "count"))
        for row in rows:
            sessions += 1
            events += int(row[count])
            checksum += digest(micros(row[first]), micros(row[last]), int(row[count]))
    report(result=(sessions, events, checksum))


main(sys.argv[1])
