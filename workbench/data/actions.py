"""Register, look at, query and profile products."""

import difflib
import re
from typing import Annotated, Literal

from workbench.core import (
    Blob,
    Context,
    Invalid,
    Page,
    Signer,
    Upload,
    action,
    blobs,
    new_id,
)
from workbench.security.limits import check_disk

from .columns import looks_sensitive
from .products import data_files, dataset, delta_folder, find_product, products
from .sources import open_source
from .types import Guess, Preview, Product, Profile

Format = Literal["auto", "csv", "tsv", "jsonl", "parquet", "arrow", "excel"]
Download = Literal["parquet", "csv", "arrow"]
MEDIA = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.file",
}
GUESS_ROWS = 50
TARGET_NAMES = (
    "target|label|class|outcome|churn|default|decision|survived|response|y|"
    "approved|denied|deny|risk"
)


@action(effect="write", undo="irreversible", on="name", heavy=True)
def register(
    ctx: Context,
    source: Annotated[str, Upload],
    name: str = "",
    description: str = "",
    sensitive: list[str] = [],  # noqa: B006
    format: Format = "auto",
) -> Product:
    """Make a product of a table, or the next version of one that has this name.

    CSV, TSV, JSON lines, Parquet, Arrow and Excel are read, gzip or not; types are told from all
    rows. Nothing is visible until everything is written.

    Args:
        source: A local file or table (it is uploaded), `blob:…`, `sql:SELECT …` over products, or
            a path in the project's files.
        name: Letters, digits, `_` and `-`, at most 64; from the file's name if absent.
        description: A sentence on what it is.
        sensitive: Columns that say something about a person that a model must not decide by.
        format: How it is written; told from its content by default.
    """
    from .ingest import forget, write_version
    from .readers import reading

    found = open_source(ctx, source)
    try:
        name = _name(name or _suggested(found.name))
        before = products.find(ctx.store, ctx.project, name)
        id = before.id if before and before.name == name else new_id("prd")
        folder = delta_folder(ctx, id)
        if before is None or before.id != id:
            ctx.on_abort(lambda: forget(folder))
        folder.parent.mkdir(parents=True, exist_ok=True)
        if found.sql:
            from .derive import derived

            with derived(ctx, found.sql) as read:
                _check_sensitive(sensitive, read.schema.names)
                written = write_version(read, folder, "The query's answer")
                warnings = read.warnings
        else:
            assert found.file is not None
            with reading(found.file, found.name, ctx.settings, format=format) as read:
                _check_sensitive(sensitive, read.schema.names)
                written = write_version(read, folder, found.name)
                warnings = read.warnings
    finally:
        found.close()
    product = Product(
        id=id,
        name=name,
        version=before.version + 1 if before and before.id == id else 0,
        description=description or (before.description if before and before.id == id else ""),
        owner=str(ctx.actor),
        made_at=ctx.now(),
        rows=written.rows,
        bytes=written.bytes,
        columns=[
            each.model_copy(update={"sensitive": each.name in sensitive})
            for each in written.columns
        ],
        sensitive=list(sensitive),
        source=found.name,
        digest=written.digest,
        delta_version=written.delta_version,
        warnings=warnings,
    )
    ctx.stage(lambda tx: products.put(tx, ctx.project, product))
    ctx.note(product=product.ref)
    return product


@action(effect="read", heavy=True)
def inspect(ctx: Context, source: Annotated[str, Upload], format: Format = "auto") -> Guess:
    """What a file looks like before it is registered: its first rows, types and questions.

    Only the beginning of a long text file is read, so types may still change.

    Args:
        source: As for `register`, but no query.
        format: How it is written; told from its content by default.
    """
    from .guess import guessed

    found = open_source(ctx, source)
    try:
        if found.sql or found.file is None:
            raise Invalid("A query has no file to look at.", hint="Use `query` to see its rows.")
        guess = guessed(found.file, found.name, ctx.settings, format, GUESS_ROWS)
    finally:
        found.close()
    names = [each.name for each in guess.columns]
    sensitive = [each for each in names if looks_sensitive(each)]
    questions = []
    if sensitive:
        listed = ", ".join(sensitive)
        verb = "look" if len(sensitive) > 1 else "looks"
        them = "them" if len(sensitive) > 1 else "it"
        questions = [f"{listed} {verb} sensitive: treat {them} so?"]
    return guess.model_copy(
        update={
            "sensitive": sensitive,
            "questions": questions,
            "suggested_name": _suggested(found.name),
            "suggested_target": _target(guess, sensitive),
        }
    )


@action(effect="read")
def list_products(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Product]:
    """This project's products, newest first, each in its latest version.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    if limit < 1:
        raise Invalid(f"A limit of {limit} products makes no sense.", hint="1 or more.")
    return products.page(ctx.store, ctx.project, limit=min(limit, 1_000), after=after)


@action(effect="read", on="id")
def get_product(ctx: Context, id: str) -> Product:
    """One product.

    Args:
        id: Its id, `id@version` or name.
    """
    return find_product(ctx, id)


@action(effect="read", on="product")
def versions(ctx: Context, product: str) -> Page[Product]:
    """Every version of a product, oldest first.

    Args:
        product: Its id or name.
    """
    found = products.get(ctx.store, ctx.project, product.partition("@")[0])
    return Page(items=products.versions(ctx.store, ctx.project, found.id))


@action(effect="read", on="product", heavy=True)
def preview(
    ctx: Context, product: str, version: int | None = None, limit: int = 100, offset: int = 0
) -> Preview:
    """Rows of a product, in their order.

    Args:
        product: Its id, `id@version` or name.
        version: Which version; the latest if absent.
        limit: At most how many rows.
        offset: How many to leave out first.
    """
    from .query import select, tables

    found = find_product(ctx, product, version)
    limit, offset = _within(ctx, limit), min(max(0, offset), found.rows)
    with tables({"product": dataset(ctx, found)}, ctx.settings) as connection:
        shown = select(
            connection,
            f"SELECT * FROM product LIMIT {limit} OFFSET {offset}",
            ctx.settings,
            limit=limit,
        )
    return shown.model_copy(
        update={
            "columns": found.columns,
            "total": found.rows,
            "truncated": offset + len(shown.rows) < found.rows,
        }
    )


@action(effect="read", heavy=True)
def query(ctx: Context, sql: str, limit: int = 1000) -> Preview:
    """The rows of one SELECT over the project's products, each a table by its name.

    Args:
        sql: One SELECT; `"name@3"` in double quotes is version 3.
        limit: At most how many rows.
    """
    from .derive import named
    from .query import select, tables

    with tables(named(ctx, sql), ctx.settings) as connection:
        return select(connection, sql, ctx.settings, limit=_within(ctx, limit))


@action(effect="read", on="product", heavy=True)
def profile(
    ctx: Context, product: str, version: int | None = None, target: str | None = None
) -> Profile:
    """What a product holds, column by column, and which columns tell the target too well.

    Args:
        product: Its id, `id@version` or name.
        version: Which version; the latest if absent.
        target: The column to be predicted, if any.
    """
    from .profile import profile_of
    from .query import tables

    found = find_product(ctx, product, version)
    if target is not None:
        _check_columns([target], [each.name for each in found.columns], "target")
    with tables({"product": dataset(ctx, found)}, ctx.settings) as connection:
        return profile_of(connection, "product", found, target, ctx.settings)


@action(effect="blob")
def upload(
    ctx: Context, name: str, size: int, media_type: str = "application/octet-stream"
) -> Blob:
    """Begin an upload: send its bytes to `PUT …/blobs/{project}/{id}?offset=`, then use `blob:id`.

    Args:
        name: The file's name.
        size: Its size in bytes.
        media_type: What it is, if known.
    """
    from workbench.core import Limited

    if size > ctx.settings.upload_limit_bytes:
        raise Limited(
            f"{name} has {size:,} bytes; at most {ctx.settings.upload_limit_bytes:,} are allowed.",
            hint="Upload it in parts; the limit is `upload_limit_bytes`.",
        )
    check_disk(ctx, size)
    return ctx.engine(blobs).create(ctx.project, name, size, media_type)


@action(effect="blob", on="product", heavy=True)
def download(
    ctx: Context, product: str, version: int | None = None, format: Download = "parquet"
) -> Blob:
    """A product's rows as one file.

    Args:
        product: Its id, `id@version` or name.
        version: Which version; the latest if absent.
        format: Parquet, CSV or Arrow.
    """
    from .derive import written

    found = find_product(ctx, product, version)
    file = written(data_files(ctx, found), format)
    name = f"{found.name}-{found.version}.{format}"
    blob = ctx.engine(blobs).keep(ctx.project, file, name, MEDIA[format])
    return blob.model_copy(update={"url": Signer(ctx.home).url(ctx.project, blob.id)})


def _within(ctx: Context, limit: int) -> int:
    if limit < 1:
        raise Invalid(f"A limit of {limit} rows makes no sense.", hint="1 or more.")
    return min(limit, ctx.settings.query_limit_rows)


def _name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", name):
        return name
    raise Invalid(
        f"A product cannot be called {name[:80]!r}.",
        hint=f"Letters, digits, _ and -, at most 64: for example {_suggested(name)}.",
    )


def _suggested(file: str) -> str:
    """A name for a product, from a file's."""
    stem = re.sub(
        r"(\.(csv|tsv|tab|txt|jsonl?|ndjson|parquet|arrow|feather|xlsx?|gz))+$",
        "",
        file,
        flags=re.IGNORECASE,
    )
    return re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_")[:64].lower() or "table"


def _check_sensitive(sensitive: list[str], names: list[str]) -> None:
    _check_columns(sensitive, names, "sensitive")


def _check_columns(wanted: list[str], names: list[str], what: str) -> None:
    for each in wanted:
        if each not in names:
            near = difflib.get_close_matches(each, names, 3) or names[:8]
            raise Invalid(
                f"There is no column {each!r} to be {what}.", hint=f"Near: {', '.join(near)}."
            )


def _target(guess: Guess, sensitive: list[str]) -> str | None:
    """The column a person most likely wants to predict."""
    fit = [each.name for each in guess.columns if each.kind != "text"]
    for each in fit:
        words = re.sub(r"[_\W]+", " ", each).lower().split()
        if any(re.fullmatch(TARGET_NAMES, word) for word in words):
            return each
    # Then the last column of few values: numbers are more often measured than predicted.
    few = [each.name for each in guess.columns if each.kind in ("category", "boolean")]
    plain = [each for each in few if each not in sensitive]
    return next(reversed(plain or few or fit), None)
