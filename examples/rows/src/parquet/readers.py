#!/usr/bin/env python3
"""Reads Parquet files of sessions with DuckDB, Polars and pandas, and prints what each has found.

    python3 readers.py FOLDER

One JSON object: for each reader the types of the columns (text, int64, int32 or utc; others as the reader
names them), and all rows in the order of their ids. A time is the number of microseconds since 1970 in
UTC, or "no zone" if it came without one. Exit code 77 if a reader is not installed.
"""

import datetime
import json
import pathlib
import sys

try:
    import duckdb
    import pandas
    import polars
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

TYPES = {
    "duckdb": {"VARCHAR": "text", "BIGINT": "int64", "INTEGER": "int32", "DOUBLE": "double", "VARCHAR[]": "texts",
               "TIMESTAMP WITH TIME ZONE": "utc"},
    "polars": {
        "String": "text", "Int64": "int64", "Int32": "int32", "Float64": "double", "List(String)": "texts",
        "Datetime(time_unit='us', time_zone='UTC')": "utc",
    },
    "pandas": {"str": "text", "float64": "double", "object": "texts", "datetime64[us, UTC]": "utc"},
}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(value):
    """Of a value of any reader, what JSON can say."""
    if isinstance(value, datetime.datetime):
        return "no zone" if value.tzinfo is None else (value - EPOCH) // datetime.timedelta(microseconds=1)
    if hasattr(value, "tolist"):
        return value.tolist()
    return None if value is pandas.NaT or value != value else value


def by_duckdb(files):
    database = duckdb.connect()
    table = database.read_parquet([str(file) for file in files])
    return dict(zip(table.columns, map(str, table.types))), table.fetchall()


def by_polars(files):
    table = polars.read_parquet(files)
    return {name: str(kind) for name, kind in table.schema.items()}, table.rows()


def by_pandas(files):
    table = pandas.concat([pandas.read_parquet(file) for file in files])
    types = {name: str(kind) for name, kind in table.dtypes.items()}
    columns = [table[name].astype(object) for name in table.columns]
    return types, list(zip(*columns))


def main():
    files = sorted(pathlib.Path(sys.argv[1]).rglob("*.parquet"))
    found = {}
    for name, read in [("duckdb", by_duckdb), ("polars", by_polars), ("pandas", by_pandas)]:
        types, rows = read(files)
        types = {column: TYPES[name].get(kind, kind) for column, kind in types.items()}
        rows = sorted([[plain(value) for value in row] for row in rows], key=lambda row: row[0])
        found[name] = {"types": types, "rows": rows}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
