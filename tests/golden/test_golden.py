"""Records that earlier versions stored still open; what a later one stored is Refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.core import Context, Refused, Shelf
from workbench.core.shelf import records
from workbench.data import products
from workbench.documents import documents
from workbench.ethics.types import reports
from workbench.models import models, studies

SHELVES: dict[str, Shelf[Any]] = {
    "doc": documents,
    "prd": products,
    "mdl": models,
    "rpt": reports,
    "std": studies,
}
FILES = sorted(Path(__file__).parent.glob("*.json"))


def stored(ctx: Context, file: Path, schema: int) -> dict[str, Any]:
    """Put a golden record where the code keeps its own."""
    body: dict[str, Any] = json.loads(file.read_text())
    with ctx.store.begin() as tx:
        tx.execute(
            records.insert().values(
                kind=file.stem.partition("-")[0],
                project=ctx.project,
                id=body["id"],
                version=body.get("version", 0),
                name=body.get("name") or body["id"],
                schema=schema,
                latest=True,
                body=json.dumps(body),
            )
        )
    return body


def holds(now: Any, before: Any) -> bool:
    """Whether everything that was said is said still; there may be more."""
    if isinstance(before, dict):
        return all(key in now and holds(now[key], value) for key, value in before.items())
    if isinstance(before, list):
        return len(now) == len(before) and all(map(holds, now, before))
    return bool(now == before)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_old_record_opens(ctx: Context, file: Path) -> None:
    kind, _, schema = file.stem.partition("-")
    body = stored(ctx, file, int(schema))
    found = SHELVES[kind].get(ctx.store, ctx.project, body["id"])
    assert holds(found.model_dump(mode="json"), body)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_newer_record_is_refused(ctx: Context, file: Path) -> None:
    kind = file.stem.partition("-")[0]
    body = stored(ctx, file, SHELVES[kind].record.SCHEMA + 1)
    with pytest.raises(Refused, match="this Studio reads up to"):
        SHELVES[kind].get(ctx.store, ctx.project, body["id"])


def test_every_kind_has_a_golden_record() -> None:
    assert {file.stem.partition("-")[0] for file in FILES} == set(SHELVES)
