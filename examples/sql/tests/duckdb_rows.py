"""Evaluates queries from standard input with DuckDB, and compares their rows with those beside them.

A line with clicks fills the table anew. Each of the others has a query, the rows of an application that should be the
same, and how many of its rows failed: a query gives NULL in their place.
"""

import datetime
import decimal
import json
import math
import sys

import duckdb


def text(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return str(value)


def is_same(ours, value):
    if isinstance(value, bool) or not isinstance(value, (int, float, decimal.Decimal)):
        return ours == text(value)
    if ours == "NULL":
        return False
    if isinstance(value, float):
        return math.isclose(float(ours), value, rel_tol=1e-9, abs_tol=1e-9)
    return decimal.Decimal(ours) == value


def compare(case, rows, is_ordered):
    ours = case["rows"]
    if case["failed"]:
        # Rows whose cast failed have NULL there, or are left out by a number that is not in ours.
        ids = {row[0] for row in ours}
        rows = [row for row in rows if text(row[0]) in ids]
    if len(ours) != len(rows):
        return f"{len(ours)} rows, not {len(rows)}"
    if not is_ordered:
        keys = lambda row: [text(value) for value in row]
        ours, rows = sorted(ours), sorted(rows, key=keys)
    for one, other in zip(ours, rows):
        if not all(is_same(a, b) for a, b in zip(one, other)):
            if not is_ordered:
                continue_with = [row for row in rows if all(is_same(a, b) for a, b in zip(one, row))]
                if continue_with:
                    continue
            return f"{one}, not {[text(value) for value in other]}"
    return None


def fill(duck, clicks):
    """The clicks, and no others: one statement for all, since each costs a millisecond."""
    time = lambda value: value and datetime.datetime.fromisoformat(value).replace(tzinfo=None)
    for click in clicks:
        click.update({name: time(click[name]) for name in ("t", "u", "arrival")})
    duck.execute("DELETE FROM s")
    row = f"({', '.join('?' * len(clicks[0]))})"
    values = [value for click in clicks for value in click.values()]
    duck.execute(f"INSERT INTO s VALUES {', '.join([row] * len(clicks))}", values)


def problem_of(duck, case):
    try:
        return compare(case, duck.execute(case["duck"]).fetchall(), "GROUP BY" not in case["duck"])
    except Exception as error:
        return f"DuckDB: {error}"


def main(lines):
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    duck.execute("SET threads = 1")
    duck.execute(
        "CREATE TABLE s (id INTEGER, k VARCHAR, a INTEGER, b INTEGER, d DOUBLE, e DECIMAL(9, 2), s VARCHAR, "
        "f BOOLEAN, t TIMESTAMP, u TIMESTAMP, arrival TIMESTAMP)"
    )
    same = wrong = 0
    for line in lines:
        case = json.loads(line)
        if "clicks" in case:
            fill(duck, case["clicks"])
            continue
        problem = problem_of(duck, case)
        if problem:
            wrong += 1
            print(f"{case['sql']}\n{case['duck']}\n{problem}\n")
            if wrong == 5:
                break  # enough to see
        else:
            same += 1
    print(f"{same} applications have the rows of DuckDB, {wrong} do not")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(sys.stdin), 1))
