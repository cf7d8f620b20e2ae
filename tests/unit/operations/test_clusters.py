"""The cluster of a project's notebooks, as the project's server tells of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.operations.test_running import telling
from workbench.core import Unavailable
from workbench.operations.clusters import ProjectClusters

PROJECT = "prj_x"
TOLD = {
    "id": "project",
    "scheduler_address": "tls://127.0.0.1:8786",
    "dashboard_link": "/user/prj-x/proxy/8787/status",
    "workers": 2,
    "cores": 2,
    "memory_bytes": 3 * 1024**2,
    "adapt": {"minimum": 1, "maximum": 4},
}


def test_what_the_server_tells(tmp_path: Path) -> None:
    clusters = ProjectClusters("project://", tmp_path)
    assert clusters.find(PROJECT) is None
    with pytest.raises(Unavailable, match="JupyterLab does not run in this project"):
        clusters.scale(PROJECT, 1, 4)
    with telling(tmp_path, {"clusters": [TOLD], "project": TOLD}):
        for found in (clusters.find(PROJECT), clusters.scale(PROJECT, 1, 4)):
            assert found is not None
            assert (found.id, found.workers, found.least, found.most) == (PROJECT, 2, 1, 4)
            assert (found.memory_mb, found.address) == (3.0, TOLD["scheduler_address"])
    with telling(tmp_path, {"clusters": [], "project": None}):
        assert clusters.find(PROJECT) is None
        assert clusters.scale(PROJECT, 0, 0).address == ""


@pytest.mark.parametrize(
    "told",
    [
        b"{",
        b"[" + b" " * 2**20 + b"]",
        [{**TOLD, "workers": "many"}],
        [{**TOLD, "adapt": None}],
        [{**TOLD, "dashboard_link": 3}],
        [{**TOLD, "dashboard_link": "https://elsewhere.example/"}],
        [{}],
        {},
    ],
)
def test_a_server_that_tells_nonsense(tmp_path: Path, told: Any) -> None:
    given = {"clusters": told, "project": told[0] if isinstance(told, list) else told}
    clusters = ProjectClusters("project://", tmp_path)
    with telling(tmp_path, given):
        with pytest.raises(Unavailable, match="cannot be read"):
            clusters.find(PROJECT)
        with pytest.raises(Unavailable, match="cannot be read"):
            clusters.scale(PROJECT, 1, 1)
