"""Products from products: which ones a query names, its answer as batches, rows as one file."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow.csv
import pyarrow.dataset
import pyarrow.ipc
import pyarrow.parquet

from workbench.core import Context, Invalid, Limited

from .products import dataset, find_product, products
from .query import check_select, tables
from .readers import BATCH_ROWS, Reading, _for_delta


def named(ctx: Context, sql: str) -> dict[str, pyarrow.dataset.Dataset]:
    """The project's products that a query may name, as tables.

    Only what occurs in the text is opened; `"customers@2"` opens that version.
    """
    found: dict[str, pyarrow.dataset.Dataset] = {}
    for name in sorted(set(re.findall(r'"((?:[^"]|"")+@\d+)"', sql))):
        found[name] = dataset(ctx, find_product(ctx, name.replace('""', '"')))
    words = {word.lower() for word in re.findall(r"[\w-]+", sql)}
    after: str | None = None
    while True:
        page = products.page(ctx.store, ctx.project, limit=200, after=after)
        for product in page.items:
            if product.name.lower() in words:
                found[product.name] = dataset(ctx, product)
        if page.next is None:
            return found
        after = page.next


@contextmanager
def derived(ctx: Context, sql: str) -> Iterator[Reading]:
    """A query's whole answer as a stream of batches, under the limits of time and memory."""
    with tables(named(ctx, sql), ctx.settings) as connection:
        check_select(connection, sql)
        limit_s = ctx.settings.query_limit_s
        alarm = threading.Timer(limit_s, connection.interrupt)
        alarm.start()
        try:
            reader = connection.sql(sql).to_arrow_reader(BATCH_ROWS)
            yield _for_delta(Reading("query", reader.schema, iter(reader)))
        except duckdb.InterruptException as error:
            raise Limited(
                f"The query took longer than {limit_s:g} s and was stopped.",
                hint="Aggregate or filter; the limit is `query_limit_s`.",
            ) from error
        except duckdb.Error as error:
            first = str(error).partition("\n")[0].rstrip(".")
            raise Invalid(
                f"The query cannot be run: {first[:300]}.",
                hint="Products are tables by name.",
            ) from error
        finally:
            alarm.cancel()


def written(files: list[str], format: str) -> Path:
    """The rows of Parquet files as one file of a format, batch by batch."""
    source = pyarrow.dataset.dataset(files, format="parquet")
    handle, name = tempfile.mkstemp(prefix="workbench-", suffix=f".{format}")
    try:
        with open(handle, "wb") as out:
            if format == "parquet":
                writer = pyarrow.parquet.ParquetWriter(out, source.schema)
            elif format == "csv":
                writer = pyarrow.csv.CSVWriter(out, source.schema)
            else:
                writer = pyarrow.ipc.new_file(out, source.schema)
            with writer:
                for batch in source.to_batches(batch_size=BATCH_ROWS):
                    writer.write_batch(batch)
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)
