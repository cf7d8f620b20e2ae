"""A project to register tables in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.core import Context, blobs, call_here

Register = Callable[..., Any]


@pytest.fixture
def register(ctx: Context, tmp_path: Path) -> Register:
    """Register bytes or text under a file name, as a face does with a local file."""

    def run(content: bytes | str, file: str = "t.csv", **request: Any) -> Any:
        path = tmp_path / file
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        blob = ctx.engine(blobs).link(ctx.project, path)
        return call_here(ctx.fresh(), "data.register", {"source": f"blob:{blob.id}", **request})

    return run


@pytest.fixture
def rows(ctx: Context) -> Callable[[str], list[list[Any]]]:
    """All rows of a product."""
    return lambda product: (
        call_here(ctx.fresh(), "data.preview", {"product": product, "limit": 1000}).rows
    )
