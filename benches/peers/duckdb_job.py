"""One job by DuckDB, for run.py: `memory text|codes step|gap FILE` or `whole step|gap FILE OUT`.

Several forms of each query were tried, on one million clicks and on ten million; the fastest is kept.
CPU ns per event in memory with one thread, text / codes, at ten million clicks of a million users:

  step  GROUP BY with arg_min, arg_max                                       309 / 275
        GROUP BY with first and last, ordered within the aggregate           306 / 239
        (ordered before the GROUP BY: 462 / 228, but the first and last were then not always right)
  gap   LAG and running sum, over windows per key, then GROUP BY             750 / 348
        the first and last event of each session, over windows per key       583 / 250
        the same over one sort of everything                                 543 / 198

From file to file (719 to 836 for the gap, as busy as the machine is) the windows per key are taken,
because only they use both cores. `preserve_insertion_order = false` and a declared `timestampformat`
changed nothing beyond the noise. With `memory_limit = '900MB'` the steps take 803 MiB instead of 1,750,
and 1,157 ns instead of 830.

Arrival order within one time is left out: it would cost DuckDB a row number (a third more).
"""

import sys

from measured import DIGEST_SQL, GAP_US, STEP_US, Clock, report, started

# The last import, so that starting up ends here.
import duckdb

AGGREGATES = {
    "arg": "arg_min(client_event, client_timestamp) AS first_event, arg_max(client_event, client_timestamp) AS last_event",
    "ordered": "first(client_event ORDER BY client_timestamp) AS first_event, last(client_event ORDER BY client_timestamp) AS last_event",
}


def step(clicks, form):
    return f"""
        SELECT user_id, device_id, epoch_us(client_timestamp) // {STEP_US} AS bucket, count(*) AS count,
            {AGGREGATES[form]}, min(client_timestamp) AS first_time, max(client_timestamp) AS last_time
        FROM {clicks} GROUP BY ALL"""


# Only the first and the last event of each session are kept, so that nothing is aggregated: the count
# is the difference of their row numbers.
SESSIONS = """
    marked AS (SELECT *, row - 1 AS before, {starts} AS starts, {ends} AS ends FROM neighbours),
    edges AS (SELECT * FROM marked WHERE starts OR ends)
    SELECT user_id, device_id,
        CASE WHEN ends THEN row ELSE lead(row) OVER ({window}) END - before AS count,
        client_event AS first_event,
        CASE WHEN ends THEN client_event ELSE lead(client_event) OVER ({window}) END AS last_event,
        client_timestamp AS first_time,
        CASE WHEN ends THEN client_timestamp ELSE lead(client_timestamp) OVER ({window}) END AS last_time
    FROM edges QUALIFY starts"""
SILENT_BEFORE = f"previous IS NULL OR epoch_us(client_timestamp) - epoch_us(previous) >= {GAP_US}"
SILENT_AFTER = f"next IS NULL OR epoch_us(next) - epoch_us(client_timestamp) >= {GAP_US}"


def gap_by_key(clicks):
    window = "PARTITION BY user_id, device_id ORDER BY client_timestamp"
    return f"""
        WITH neighbours AS (
            SELECT user_id, device_id, client_event, client_timestamp, row_number() OVER ({window}) AS row,
                lag(client_timestamp) OVER ({window}) AS previous, lead(client_timestamp) OVER ({window}) AS next
            FROM {clicks}),
        {SESSIONS.format(starts=SILENT_BEFORE, ends=SILENT_AFTER, window=window)}"""


def gap_by_sort(clicks):
    return f"""
        WITH sorted AS (
            SELECT user_id, device_id, client_event, client_timestamp FROM {clicks}
            ORDER BY user_id, device_id, client_timestamp),
        neighbours AS (
            SELECT *, row_number() OVER () AS row,
                lag(client_timestamp) OVER () AS previous, lead(client_timestamp) OVER () AS next,
                lag(user_id) OVER () != user_id OR lag(device_id) OVER () != device_id AS other_before,
                lead(user_id) OVER () != user_id OR lead(device_id) OVER () != device_id AS other_after
            FROM sorted),
        {SESSIONS.format(starts=f"({SILENT_BEFORE} OR other_before)", ends=f"({SILENT_AFTER} OR other_after)", window="")}"""


def lines(file):
    """The file as a table, its schema declared."""
    name = file.replace("'", "''")
    return f"""read_json('{name}', format = 'newline_delimited',
        columns = {{user_id: 'BIGINT', device_id: 'VARCHAR', client_event: 'VARCHAR', client_timestamp: 'TIMESTAMP'}})"""


def memory(form, job, file):
    """Loads the clicks, then makes a table of sessions; only that is timed."""
    db = duckdb.connect(config={"threads": 1})
    db.execute("SET enable_progress_bar = false")
    db.execute(f"CREATE TABLE clicks AS SELECT * FROM {lines(file)}")
    if form == "codes":
        for name in ("device_id", "client_event"):
            db.execute(f"CREATE TYPE {name}_type AS ENUM (SELECT DISTINCT {name} FROM clicks ORDER BY ALL)")
            db.execute(f"ALTER TABLE clicks ALTER {name} TYPE {name}_type")
        # A fresh table: altered columns are not laid out as loaded ones are.
        db.execute("CREATE TABLE fresh AS FROM clicks; DROP TABLE clicks; ALTER TABLE fresh RENAME TO clicks")
    query = step("clicks", "ordered" if form == "codes" else "arg") if job == "step" else gap_by_sort("clicks")
    clock = Clock()
    db.execute(f"CREATE TEMP TABLE sessions AS {query}")
    nanos = clock.nanos()
    (clicks,) = db.execute("SELECT count(*) FROM clicks").fetchall()[0]
    result = db.execute(f"SELECT count(*), sum(count)::BIGINT, sum({DIGEST_SQL})::BIGINT FROM sessions").fetchall()[0]
    report(events=clicks, cpu_ns=nanos, result=result)


def whole(job, file, out):
    """JSON lines to CSV."""
    started()
    db = duckdb.connect()
    db.execute("SET enable_progress_bar = false")
    query = step(lines(file), "arg") if job == "step" else gap_by_key(lines(file))
    name = out.replace("'", "''")
    db.execute(f"COPY ({query}) TO '{name}' (FORMAT csv, HEADER)")


{"memory": memory, "whole": whole}[sys.argv[1]](*sys.argv[2:])
