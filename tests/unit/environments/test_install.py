"""Installing for real, from the index that this machine has."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.core import Conflict, Context, call_here
from workbench.environments import (
    get_environment,
    list_environments,
    locked,
    places,
    sweep,
)
from workbench.environments.places import SEEN
from workbench.security import sandbox

from .conftest import Inside, done

PYTHON = f"{SEEN}/current/bin/python"
KERNEL = """
import jupyter_client
manager = jupyter_client.KernelManager(kernel_name="project")
assert manager.kernel_spec.display_name == "Project"
manager.start_kernel()
client = manager.blocking_client()
client.start_channels()
client.wait_for_ready(60)
told = []
client.execute_interactive(
    "import six, sys, workbench; print(six.__version__, sys.prefix, workbench.connect.__name__)",
    output_hook=lambda m: told.append(m["content"].get("text", "")), timeout=60)
print("".join(told).strip())
client.stop_channels()
manager.shutdown_kernel(now=True)
"""


def test_a_project_installs_changes_and_goes_back(
    ctx: Context, folder: Path, inside: Inside
) -> None:
    assert get_environment(ctx).state == "studio"
    assert locked(ctx.store, ctx.project) == {}

    answer = done(ctx, ["six==1.16.0"])
    first = get_environment(ctx)
    assert answer == {"environment": f"{first.id}@0"}
    assert (first.state, first.packages) == ("ready", ["six==1.16.0"])
    versions = {each.name: each.version for each in first.locked}
    assert versions["six"] == "1.16.0" and "ipykernel" in versions
    assert all(each.hashes for each in first.locked)
    assert first.bytes > 10_000 and first.made_by == str(ctx.actor)
    assert locked(ctx.store, ctx.project)["packages"] == versions

    # The project's version wins over the Studio's, whose packages are there besides.
    code = (
        "import six, workbench; workbench.connect; from workbench.api import client; import httpx"
    )
    assert inside(PYTHON, "-c", f"{code}; print(six.__version__, httpx.__file__)").startswith(
        f"1.16.0 {sys.prefix}"
    )
    # Its programs start wherever it is seen, and nothing of it can be changed.
    assert inside(f"{SEEN}/current/bin/ipython", "--version")
    attempt = "import six; open(six.__file__, 'a')"
    said = inside("sh", "-c", f'{PYTHON} -c "{attempt}" 2>&1 || true')
    assert "Read-only file system" in said or "Permission denied" in said
    at = f"{SEEN}/jupyter"
    said = inside(sys.executable, "-c", KERNEL, JUPYTER_PATH=at, JUPYTER_RUNTIME_DIR="/run/jupyter")
    assert said.splitlines()[-1] == f"1.16.0 {SEEN}/{first.folder} connect"

    # The same again: nothing is built, and there is no new version.
    made = (folder / first.folder).stat()
    assert done(ctx, ["six==1.16.0"]) == answer
    assert get_environment(ctx) == first
    again = (folder / first.folder).stat()
    assert (made.st_ino, made.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)

    done(ctx, ["six==1.17.0"])
    second = get_environment(ctx)
    assert second.version == 1 and second.digest != first.digest
    assert inside(PYTHON, "-c", "import six; print(six.__version__)") == "1.17.0"
    # A kernel that runs goes on with what it has.
    assert (folder / first.folder).is_dir()
    # Pins that need not move stay.
    pins = {each.name: each.version for each in second.locked}
    assert {**versions, "six": "1.17.0"} == pins

    every = list_environments(ctx, limit=1)
    assert [each.version for each in every.items] == [1] and every.next == "1"
    older = list_environments(ctx, after=every.next).items
    assert [each.version for each in older] == [0] and not older[0].locked[0].hashes
    assert get_environment(ctx, "current@0").locked == first.locked

    back = call_here(ctx.fresh(), "environments.reset", {})
    assert back.state == "studio" and back.version == 2
    assert places.chosen(folder) == "" and not list(folder.glob("[0-9a-f]*"))
    assert locked(ctx.store, ctx.project) == {}
    with pytest.raises(Conflict):
        call_here(ctx.fresh(), "environments.reset", {})


@pytest.mark.usefixtures("quick")
def test_downloads_are_shared_between_projects(ctx: Context, folder: Path) -> None:
    done(ctx, ["six==1.17.0"])
    file = next(folder.glob("*/lib/python3*/site-packages/six.py"))
    assert file.stat().st_nlink > 1, "the file is not the one in the folder of downloads"
    builder = places.builder()
    if builder is not None:
        assert file.stat().st_uid == builder
    assert not list(places.bench(ctx.home).glob("*.new"))


def test_as_a_job_with_an_idempotent_key(ctx: Context, folder: Path) -> None:
    asked = {"packages": ["six==1.17.0"]}
    job = call_here(ctx.fresh(), "environments.install", asked, key="once")
    assert call_here(ctx.fresh(), "environments.install", asked, key="once").id == job.id
    until = time.monotonic() + 60
    while job.state in ("queued", "running"):
        assert time.monotonic() < until, job
        time.sleep(0.1)
        job = call_here(ctx.fresh(), "pipelines.get_job", {"id": job.id})
    assert job.state == "done", job.error
    made = get_environment(ctx)
    assert job.result == {"environment": f"{made.id}@0"} and made.state == "ready"
    # The lock ended with the job's process.
    places.lock_of(folder).release()


@pytest.mark.usefixtures("quick")
def test_an_empty_list_is_the_studios_own(ctx: Context, folder: Path) -> None:
    assert done(ctx, []) == {"environment": ""}
    done(ctx, ["six==1.17.0"])
    done(ctx, [])
    assert get_environment(ctx).state == "studio" and places.chosen(folder) == ""


@pytest.mark.usefixtures("quick")
def test_what_is_not_on_this_disk_is_missing_and_comes_back(ctx: Context, folder: Path) -> None:
    done(ctx, ["six==1.17.0"])
    before = get_environment(ctx)
    places.clear(folder, set())
    assert get_environment(ctx).state == "missing"
    sweep(ctx.home, ctx.store)
    assert not os.path.lexists(folder / "current")
    done(ctx, ["six==1.17.0"])
    assert get_environment(ctx) == before
    (folder / "0123456789abcdef0123").mkdir()
    sweep(ctx.home, ctx.store)
    assert get_environment(ctx) == before
    assert [each.name for each in folder.glob("[0-9a-f]*[0-9a-f]") if not each.is_symlink()] == [
        before.folder
    ]


@pytest.mark.usefixtures("quick")
def test_where_there_is_no_sandbox(
    ctx: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "why_not", lambda: "This is a test of machines without one.")
    done(ctx, ["six==1.16.0"])
    spec = json.loads((folder / "jupyter/kernels/project/kernel.json").read_text())
    command = [spec["argv"][0], "-c", "import six; print(six.__version__)"]
    assert spec["argv"][0].startswith(str(folder))
    assert subprocess.check_output(command, text=True).strip() == "1.16.0"
