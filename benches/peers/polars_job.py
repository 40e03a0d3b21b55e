"""One job by Polars, for run.py: `memory text|codes step|gap FILE` or `whole step|gap FILE OUT`.

Several forms of each query were tried, on one million clicks and on ten million; the fastest is kept.
CPU ns per event in memory with one thread, text / codes, at ten million clicks, on the engine that
suited the form better:

  a million users
  step  group_by with min_by, max_by                                         524 / 204 (streaming)
        sort by time, then group_by with first, last                         355 / 252
  gap   running sum of marks over each key, then group_by                    622 / 540
        sort by key and time, running sum of marks, then group_by            441 / 354
        sort by key and time, then the first and last event of each session  419 / 297
  10,000 users
  gap   running sum of marks over each key, then group_by                    337 / 255 (streaming)
        sort by key and time, then the first and last event of each session  533 / 379

So the gap is written in two ways, and the one that suits the number of keys is taken.

Arrival order within one time is left out, so that nothing has to be a stable sort.
"""

import sys

from measured import FIRST_MODULUS, GAP_US, LAST_MODULUS, PRIME, STEP_US, Clock, report, started

# The last import, so that starting up ends here.
import polars as pl

KEY = ["user_id", "device_id"]
TIME, EVENT = pl.col("client_timestamp"), pl.col("client_event")
BUCKET = (TIME.dt.epoch("us") // STEP_US).alias("bucket")


def step_by_min(clicks):
    return clicks.group_by(*KEY, BUCKET).agg(
        pl.len().alias("count"),
        TIME.min().alias("first_time"),
        TIME.max().alias("last_time"),
        EVENT.min_by(TIME).alias("first_event"),
        EVENT.max_by(TIME).alias("last_event"),
    )


def step_by_sort(clicks):
    return clicks.sort("client_timestamp").group_by(*KEY, BUCKET).agg(
        pl.len().alias("count"),
        TIME.first().alias("first_time"),
        TIME.last().alias("last_time"),
        EVENT.first().alias("first_event"),
        EVENT.last().alias("last_event"),
    )


def gap_over_keys(clicks):
    """Numbers the sessions of each key."""
    starts = (TIME.diff() >= pl.duration(microseconds=GAP_US)).fill_null(True)
    clicks = clicks.sort("client_timestamp").with_columns(starts.cum_sum().over(KEY).alias("session"))
    return clicks.group_by(*KEY, "session").agg(
        pl.len().alias("count"),
        TIME.first().alias("first_time"),
        TIME.last().alias("last_time"),
        EVENT.first().alias("first_event"),
        EVENT.last().alias("last_event"),
    )


def gap_by_sort(clicks):
    """Keeps only the first and last event of each session: the count is the difference of their rows."""
    other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in KEY)
    starts = (other | (TIME.diff() >= pl.duration(microseconds=GAP_US))).fill_null(True)
    clicks = clicks.sort(*KEY, "client_timestamp").with_row_index("row").with_columns(starts.alias("starts"))
    clicks = clicks.with_columns(pl.col("starts").shift(-1, fill_value=True).alias("ends"))
    edges = clicks.filter(pl.col("starts") | pl.col("ends"))

    def last(name):
        return pl.when("ends").then(pl.col(name)).otherwise(pl.col(name).shift(-1))

    sessions = edges.select(
        *KEY,
        "starts",
        (last("row") - pl.col("row") + 1).alias("count"),
        TIME.alias("first_time"),
        last("client_timestamp").alias("last_time"),
        EVENT.alias("first_event"),
        last("client_event").alias("last_event"),
    )
    return sessions.filter("starts").drop("starts")


def lines(file):
    """The file, its schema declared. (Times declared as such take three times as long to read.)"""
    schema = {"user_id": pl.Int64, "device_id": pl.String, "client_event": pl.String, "client_timestamp": pl.String}
    return pl.scan_ndjson(file, schema=schema).with_columns(TIME.str.to_datetime("%Y-%m-%dT%H:%M:%S%.6f", time_unit="us"))


def memory(form, job, file):
    """Loads the clicks, then makes a frame of sessions; only that is timed."""
    clicks = lines(file).collect()
    if form == "codes":
        kinds = {name: pl.Enum(clicks[name].unique().sort()) for name in ("device_id", "client_event")}
        clicks = clicks.cast(kinds)
    clicks = clicks.rechunk()
    query, engine = choose(form, job, clicks)
    query = query(clicks.lazy())
    clock = Clock()
    sessions = query.collect(engine=engine)
    nanos = clock.nanos()
    report(events=clicks.height, cpu_ns=nanos, result=(sessions.height, sessions["count"].sum(), checksum(sessions)))


def choose(form, job, clicks):
    """The query and the engine that suit the data, as somebody who knows it would choose."""
    by_form = "streaming" if form == "codes" else "in-memory"
    if job == "step":
        return step_by_min if form == "codes" else step_by_sort, by_form
    if clicks.select(KEY).n_unique() * 50 < clicks.height:
        return gap_over_keys, by_form
    return gap_by_sort, "in-memory"


def checksum(sessions):
    first, last = (pl.col(name).dt.epoch("us") for name in ("first_time", "last_time"))
    times = first % FIRST_MODULUS * (last % LAST_MODULUS + 1)
    digest = times % PRIME * (pl.col("count").cast(pl.Int64) % PRIME + 1) % PRIME
    return sessions.select(digest.sum()).item()


def whole(job, file, out):
    """JSON lines to CSV."""
    started()
    codes = [pl.col(name).cast(pl.Categorical) for name in ("device_id", "client_event")]
    clicks = lines(file).with_columns(codes)
    (step_by_min if job == "step" else gap_by_sort)(clicks).sink_csv(out)


{"memory": memory, "whole": whole}[sys.argv[1]](*sys.argv[2:])
