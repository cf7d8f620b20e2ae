"""Limits of a project: on which processors it runs, and its control group where there are such."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.core import Actor, Context, Engines, call_here
from workbench.projects import resolve
from workbench.security import bounds, sandbox
from workbench.security.bounds import Bounds
from workbench.security.veil import Veiled, start_veiled

PROBE = """
import os
print(sorted(os.sched_getaffinity(0)))
try:
    os.sched_setaffinity(0, range(os.cpu_count()))
    print("chosen")
except PermissionError:
    print("refused")
print(sorted(os.sched_getaffinity(0)))
"""

EVERY = sorted(os.sched_getaffinity(0))


@pytest.fixture
def tree(tmp_path: Path) -> tuple[Path, Path]:
    """Files as cgroup v2 has them, and what says in which group this process is."""
    group = tmp_path / "cgroup" / "user.slice" / "studio.scope"
    group.mkdir(parents=True)
    (group / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    for name in ("cgroup.procs", "cgroup.subtree_control"):
        (group / name).write_text("")
    own = tmp_path / "own"
    own.write_text("4:memory:/elsewhere\n0::/user.slice/studio.scope\n")
    return tmp_path / "cgroup", own


def limited(engines: Engines, **limits: float) -> str:
    root = Actor(name="root1", admin=True, fresh=True)
    project = resolve(engines, root, None)
    call_here(Context(root, project, engines), "projects.set_limits", limits)
    return project


@pytest.mark.parametrize("cpus", [0.5, 1, 1.5, len(EVERY), 1024])
def test_processors_are_whole_and_always_the_same(cpus: float) -> None:
    found = {bounds.processors(f"prj_{n}", cpus) for n in range(50)}
    assert found == {bounds.processors(f"prj_{n}", cpus) for n in range(50)}
    for each in found:
        if each is None:
            assert cpus > len(EVERY) - 1
        else:
            assert len(each) == max(1, -(-cpus // 1)) and each <= set(EVERY)
    if cpus <= 1 < len(EVERY):
        assert frozenset.union(*filter(None, found)) == set(EVERY), "all on the same one"


def test_a_project_runs_on_its_processors_and_chooses_no_others(
    engines: Engines, tmp_path: Path
) -> None:
    project = limited(engines, cpus=1)
    found = bounds.bounds_of(Context(Actor(name="root1"), project, engines).store, project)
    wanted = str(sorted(found.processors or EVERY))
    (tmp_path / "files").mkdir()
    user = sandbox.user_of(project)
    if user is not None:
        sandbox.give(tmp_path / "files", user)
    inside = sandbox.Confined(tmp_path / "files", user=user, bounds=found)
    veil = Veiled(engines.settings.home, project, bounds=found)
    for process in (
        sandbox.start([sys.executable, "-c", PROBE], inside, stdout=subprocess.PIPE),
        start_veiled([sys.executable, "-c", PROBE], veil, stdout=subprocess.PIPE),
    ):
        said, _ = process.communicate(timeout=60)
        assert said.decode().splitlines() == [wanted, "refused", wanted]
    free = sandbox.Confined(tmp_path / "files", user=user)
    process = sandbox.start([sys.executable, "-c", PROBE], free, stdout=subprocess.PIPE)
    assert process.communicate(timeout=60)[0].decode().splitlines()[:2] == [str(EVERY), "chosen"]


def test_without_a_limit_nothing_is_held(engines: Engines) -> None:
    ctx = Context(Actor(name="ada"), resolve(engines, Actor(name="ada"), None), engines)
    assert not bounds.bounds_of(ctx.store, ctx.project)


def test_groups_are_made_beside_the_studios_own(tree: tuple[Path, Path]) -> None:
    root, own = tree
    unit = root / "user.slice" / "studio.scope"
    assert bounds._group_of("prj_1", 512, 1.5, root, own) is None, "before the Studio moved"
    (unit / "studio").mkdir()
    (unit / "prj-left").mkdir()
    assert bounds.lend(root, own) == ""
    assert (unit / "studio" / "cgroup.procs").read_text() == "0"
    assert (unit / "cgroup.subtree_control").read_text() == "+cpu +memory"
    assert not (unit / "prj-left").exists()
    own.write_text("0::/user.slice/studio.scope/studio\n")
    group = bounds._group_of("prj_1", 512, 1.5, root, own)
    assert group == unit / "prj-1"
    assert (group / "memory.max").read_text() == str(512 * 1024 * 1024)
    assert (group / "cpu.max").read_text() == "150000 100000"
    bounds._group_of("prj_1", None, None, root, own)
    assert (group / "memory.max").read_text() == "max"
    assert (group / "cpu.max").read_text() == "max 100000"
    (group / "cgroup.procs").write_text("")
    process = subprocess.Popen(["/bin/true"], preexec_fn=Bounds(group).take)
    assert process.wait(30) == 0
    assert (group / "cgroup.procs").read_text() == "0"


def test_why_there_are_no_groups(tree: tuple[Path, Path], tmp_path: Path) -> None:
    root, own = tree
    assert bounds.why_not(root, own) == ""
    (root / "user.slice" / "studio.scope" / "cgroup.controllers").write_text("cpu pids\n")
    assert "no controller for memory" in bounds.why_not(root, own)
    assert bounds.lend(root, own) == bounds.why_not(root, own)
    own.write_text("4:memory:/elsewhere\n")
    assert "no cgroup v2" in bounds.why_not(root, own)
    assert "no cgroup v2" in bounds.why_not(root, tmp_path / "none")


def test_a_group_that_others_are_in_is_left_as_it_was(tree: tuple[Path, Path]) -> None:
    root, own = tree
    unit = root / "user.slice" / "studio.scope"
    (unit / "cgroup.subtree_control").unlink()
    (unit / "cgroup.subtree_control").mkdir()  # what cannot be written, also by root
    (unit / "studio").mkdir()
    said = bounds.lend(root, own)
    assert "not alone" in said
