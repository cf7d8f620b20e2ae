"""A graph as a file: JSON with one spelling, a line for each thing, so that git can compare it."""

import json
from typing import Any, NamedTuple

from pydantic import ValidationError

from workbench.core import Context, Invalid, Limited, Refused, blobs
from workbench.graphs import Graph, check_id

from .shared import SCHEMA, hash_of

FORMAT = "nexus-graph"
LARGEST = 32 * 1024 * 1024
"""Bytes of a file."""


class GraphFile(NamedTuple):
    """What a file says."""

    graph: Graph
    document: str
    seq: int
    base: str


def written(graph: Graph, document: str, seq: int) -> str:
    """The file form of a graph.

    Args:
        graph: The graph.
        document: Of which document, at which edit, it is.
        seq: That edit.
    """
    body = {
        "format": FORMAT,
        "schema": SCHEMA,
        "document": document,
        "seq": seq,
        "base": hash_of(graph),
        **graph.model_dump(mode="json"),
    }
    return json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_file(ctx: Context, source: str) -> GraphFile:
    """The graph of an uploaded file.

    Raises:
        Invalid: It is none.
        Limited: It is too large.
        Refused: A later version of the Studio wrote it.
    """
    if not source.startswith("blob:"):
        raise Invalid(
            f"{source[:80]!r} is no file here.", hint="Give a local file; it is uploaded."
        )
    path = ctx.engine(blobs).path(ctx.project, source.removeprefix("blob:"))
    size = path.stat().st_size
    if size > LARGEST:
        raise Limited(
            f"A graph's file of {size:,} bytes is too large.", hint=f"At most {LARGEST:,}."
        )
    try:
        body: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"This file is no JSON: {error}.", hint="Give what `documents export` wrote."
        ) from error
    return parsed(body)


def parsed(body: Any) -> GraphFile:
    """See `read_file`."""
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise Invalid(
            f"This file does not say that it is a graph (`format` is {FORMAT!r} in those that do).",
            hint="Give what `documents export` wrote.",
        )
    schema = body.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise Refused(
            f"This graph was written with schema {schema}; this Studio reads up to {SCHEMA}.",
            hint="Upgrade the Studio.",
        )
    try:
        graph = Graph.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(
            f"This file is no graph at {where}: {first['msg']}.",
            hint="Compare it with what `documents export` writes.",
        ) from error
    for id in graph.nodes:
        check_id(id)
    seq = body.get("seq")
    return GraphFile(
        graph,
        str(body.get("document") or ""),
        seq if isinstance(seq, int) else -1,
        str(body.get("base") or ""),
    )
