"""Two windows on one notebook: how soon one sees what the other types, and how many edits a second.

The Studio's rooms, which write each change to the disk before they send it on, beside those of
jupyter-collaboration as it is installed: the same server, the same wire, alternating rounds. Prints
one JSON line. No bound is set; the ratio is what the journal costs.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
from websockets.sync.client import ClientConnection, connect  # noqa: E402

from tests.running import free_port  # noqa: E402
from tests.together.peers import SHARED, Ledger, Peer, agree, until  # noqa: E402

ROUNDS, LETTERS, BURST = 3, 200, 60
QUIET = ("dask_labextension", "jupyter_lsp", "jupyterlab_git", "panel.io.jupyter_server_extension")
SERVER = """
import sys
from jupyter_server.serverapp import ServerApp
if sys.argv.pop(1) == "studio":
    from workbench.hub.rooms import keep_documents
    keep_documents()
ServerApp.launch_instance()
"""


@dataclass
class Inside:
    """Somebody at that server, as `Peer` wants it."""

    port: int
    name: str

    @property
    def member(self) -> "Inside":
        return self

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        return httpx.request(method, f"http://127.0.0.1:{self.port}/{path}", timeout=60, **given)

    def socket(self, path: str, **given: Any) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/{path}", max_size=None, **given)


@contextmanager
def serving(kind: str) -> Iterator[int]:
    """A notebook server of one of the two kinds; its port."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("files", "data"):
            (Path(folder) / name).mkdir()
        port, extensions = free_port(), dict.fromkeys(QUIET, False)
        extensions |= {"jupyter_server_ydoc": True, "jupyter_server_fileid": True}
        given = [
            *(f"--ServerApp.root_dir={folder}/files", f"--ServerApp.port={port}", "--allow-root"),
            *("--ServerApp.open_browser=False", "--IdentityProvider.token="),
            *(
                "--ServerApp.disable_check_xsrf=True",
                f"--ServerApp.jpserver_extensions={extensions}",
            ),
            f"--SQLiteYStore.db_path={folder}/data/stock.db",
        ]
        if kind == "studio":
            contents = "workbench.hub.contents.StudioContents"
            given.append(f"--ServerApp.contents_manager_class={contents}")
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, kind, *given],
            env=os.environ | {"JUPYTER_DATA_DIR": f"{folder}/data", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until("it answers", lambda: answers(port), 120)
            yield port
        finally:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api").is_success
    except httpx.HTTPError:
        return False


def measured(port: int, number: int) -> dict[str, Any]:
    """Milliseconds from a letter to its being seen, and edits a second of two at once."""
    path = f"{number}.ipynb"
    cell = {"cell_type": "markdown", "id": SHARED, "metadata": {}, "source": "\n"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    asked = {"type": "notebook", "format": "json", "content": content}
    Inside(port, "one").ask("PUT", f"api/contents/{path}", json=asked).raise_for_status()
    ledger = Ledger()
    one = Peer(Inside(port, "one"), path, ledger).connect()
    two = Peer(Inside(port, "two"), path, ledger).connect()
    there, took = two.notebook.ycells[0]["source"], []
    source = one.notebook.ycells[0]["source"]
    for count in range(LETTERS):
        before, began = len(there), time.perf_counter()
        one._change(lambda count=count: source.insert(0, chr(97 + count % 26)))  # type: ignore[misc]
        while len(there) == before:
            two.pump()
        took.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    for _ in range(BURST):
        one.insert()
        two.insert()
    agree([one, two])
    rate = 2 * BURST / (time.perf_counter() - began)
    one.close()
    two.close()
    return {"took": took, "rate": rate}


def main() -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {"studio": [], "stock": []}
    with serving("studio") as ours, serving("stock") as theirs:
        for number in range(ROUNDS):
            found["studio"].append(measured(ours, number))
            found["stock"].append(measured(theirs, number))
    told: dict[str, Any] = {}
    for kind, rounds in found.items():
        every = sorted(each for one in rounds for each in one["took"])
        told[kind] = {
            "seen_p50_ms": round(statistics.median(every), 2),
            "seen_p95_ms": round(every[int(len(every) * 0.95)], 2),
            "edits_per_s": round(statistics.median(one["rate"] for one in rounds)),
        }
    ours, stock = told["studio"], told["stock"]
    told["ratio"] = {name: round(ours[name] / stock[name], 2) for name in ours}
    return told


if __name__ == "__main__":
    print(json.dumps(main()))
