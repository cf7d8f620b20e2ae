"""Print the OpenAPI document: what the TypeScript contract and other clients are made from."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import workbench
from workbench.core import Engines, load_settings
from workbench.core.store import stores
from workbench.security.guard import LocalGuard

from .rest import application


def document() -> dict[str, Any]:
    """The OpenAPI document of every action."""
    workbench.load_rooms()
    with tempfile.TemporaryDirectory() as home:
        engines = Engines(load_settings(home=home))
        return application(engines, LocalGuard(Path(home), "nobody", engines.get(stores))).openapi()


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
