"""SQL over products: DuckDB on Delta, read-only, under limits."""

import datetime as dt
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow.dataset

from workbench.core import Invalid, Limited, Settings

from .types import Column, Preview

CELL_LIMIT = 2_000
INSTANT = "TIMESTAMP WITH TIME ZONE"


@contextmanager
def tables(
    named: Mapping[str, pyarrow.dataset.Dataset], settings: Settings
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that sees these tables and nothing else: no files, no network, no settings."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute(f"SET memory_limit = '{settings.memory_limit_mb}MB'")
        connection.execute("SET threads = 2; SET temp_directory = ''")
        # Times come out the same on every machine.
        connection.execute("SET TimeZone = 'UTC'")
        for name, table in named.items():
            connection.register(name, table)
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def select(
    connection: duckdb.DuckDBPyConnection, sql: str, settings: Settings, *, limit: int
) -> Preview:
    """The rows of one SELECT.

    Args:
        connection: From `tables`.
        sql: One SELECT statement.
        settings: For the time and memory limits.
        limit: At most how many rows; at most `query_limit_rows`.

    Raises:
        Invalid: It is no single SELECT, or SQL that DuckDB cannot run.
        Limited: It took too long or too much memory.
    """
    check_select(connection, sql)
    started = time.monotonic()
    with limited(connection, settings):
        relation = connection.sql(sql)
        zoned = [str(each) if "TIME ZONE" in str(each) else "" for each in relation.types]
        result = connection.execute(_in_utc(sql, zoned) if any(zoned) else sql)
        names = [each[0] for each in result.description or []]
        types = [str(each[1]) for each in result.description or []]
        if any(zoned):
            names = list(relation.columns)
            types = [was or type for was, type in zip(zoned, types, strict=True)]
        rows = result.fetchmany(limit + 1)
    return Preview(
        columns=[
            Column(name=name, type=type, kind=_kind(type))
            for name, type in zip(names, types, strict=True)
        ],
        rows=[
            [
                _utc(cell) if type == INSTANT else plain(cell)
                for cell, type in zip(row, types, strict=True)
            ]
            for row in rows[:limit]
        ],
        total=None if len(rows) > limit else len(rows),
        truncated=len(rows) > limit,
        elapsed_s=time.monotonic() - started,
    )


@contextmanager
def limited(connection: duckdb.DuckDBPyConnection, settings: Settings) -> Iterator[None]:
    """Run queries under the limits of time and memory; what breaks is one of our errors.

    Raises:
        Invalid: SQL that DuckDB cannot run.
        Limited: It took too long or too much memory.
    """
    alarm = threading.Timer(settings.query_limit_s, connection.interrupt)
    alarm.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise Limited(
            f"The query took longer than {settings.query_limit_s:g} s and was stopped.",
            hint="Ask for fewer rows or columns, or aggregate; the limit is `query_limit_s`.",
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise Limited(
            f"The query needs more than {settings.memory_limit_mb:,} MB.",
            hint="Ask for fewer rows or columns, or aggregate first.",
        ) from error
    except duckdb.Error as error:
        raise Invalid(_sentence(error), hint=_hint(error)) from error
    finally:
        alarm.cancel()


def _in_utc(sql: str, zoned: list[str]) -> str:
    """The same rows with times as DuckDB gives them to Python without another package."""
    columns = [f"c{place}" for place in range(len(zoned))]
    shown = ", ".join(
        f"{column} AT TIME ZONE 'UTC' AS {column}"
        if type == INSTANT
        else (f"{column}::VARCHAR AS {column}" if type else column)
        for column, type in zip(columns, zoned, strict=True)
    )
    text = sql.encode()
    ends = (at for at, _ in duckdb.tokenize(sql) if text[at : at + 1] == b";")
    alone = text[: next(ends, len(text))].decode()
    return f"SELECT {shown} FROM (\n{alone}\n) AS q({', '.join(columns)})"


def _utc(value: Any) -> Any:
    return f"{value.isoformat()}+00:00" if isinstance(value, dt.datetime) else plain(value)


def check_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise Invalid unless the text is exactly one SELECT."""
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise Invalid(_sentence(error), hint=_hint(error)) from error
    if len(statements) != 1:
        raise Invalid(f"The text holds {len(statements)} statements.", hint="Give one SELECT.")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise Invalid(
            f"Only SELECT is possible here, not {statements[0].type.name}.",
            hint="Products are changed by registering a new version.",
        )


def plain(value: Any) -> Any:
    """A cell as JSON can hold it: times in ISO 8601, no NaN, long texts cut."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value if len(value) <= CELL_LIMIT else f"{value[:CELL_LIMIT]}…"
    if isinstance(value, Decimal):
        near = float(value)
        return near if Decimal(repr(near)) == value else str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value)


def quoted(name: str) -> str:
    """A name as SQL takes it literally."""
    return '"' + name.replace('"', '""') + '"'


def _kind(type: str) -> Any:
    upper = type.upper()
    if upper == "BOOLEAN":
        return "boolean"
    if "INT" in upper and "INTERVAL" not in upper:
        return "integer"
    if upper.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return "number"
    if upper.startswith(("DATE", "TIME")):
        return "time"
    return "text"


def _sentence(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"The query cannot be run: {first.rstrip('.')[:300]}."


def _hint(error: Exception) -> str:
    said = str(error)
    if "disabled" in said or "Permission" in said:
        return "A query sees the project's products and nothing else."
    for line in said.splitlines():
        if line.startswith("Candidate"):
            return line.strip()
    return "Products are tables by name; `name@3` in double quotes is version 3."
