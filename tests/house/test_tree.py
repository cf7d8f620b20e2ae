"""What is in the tree: no path of somebody's machine, exact pins, one version, small files."""

import json
import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MACHINE = re.compile(
    r"(?<![\w.:/<>*}\])-])/(?:"
    + "|".join(["wor" + "k", "ro" + "ot", "tm" + "p", "op" + "t"])
    + r")/(?!environments\b)[\w.]"
    r"|/hom" + r"e/(?!jovyan|you\b|ada\b|project\b)\w+/"
    r"|/User" + r"s/\w+/"
)
BINARY = {".png", ".jpg", ".gif", ".ico", ".parquet", ".xlsx", ".gz", ".zip", ".woff2", ".onnx"}
LARGEST_KB = 2048


def tree() -> list[Path]:
    """Every file that is, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("this is no git checkout")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def pins() -> list[str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_file_names_a_path_of_a_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tree()
        if path.suffix not in BINARY
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "path", ["wor" + "k/main/x", "tm" + "p/t/x", "ro" + "ot/.cache", "op" + "t/x"]
)
def test_a_path_of_a_machine_would_be_found(path: str) -> None:
    assert MACHINE.search(f'home = "/{path}"')
    assert not MACHINE.search(f"https://example.org/{path}")


def test_no_file_is_too_large_for_a_repository() -> None:
    assert not [p for p in tree() if p.stat().st_size > LARGEST_KB * 1024]


@pytest.mark.parametrize("line", pins())
def test_a_pin_is_exact(line: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*(\[[a-z,]+\])?==[\w.]+( ; .+)?", line)


def test_what_we_ask_for_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {normal(re.split(r"[\s\[<>=!~;]", need)[0]) for need in asked} - {project["name"]}
    assert names - {normal(line.partition("==")[0].partition("[")[0]) for line in pins()} == set()


def test_npm_packages_come_from_the_public_registry_and_are_sealed() -> None:
    lock = json.loads((ROOT / "extensions/package-lock.json").read_text())
    ours = {"", "contract", "model-editor", "studio"}
    for name, package in lock["packages"].items():
        if name in ours or package.get("link"):
            continue
        assert "integrity" in package or package.get("inBundle"), name
        resolved = package.get("resolved", "https://registry.npmjs.org/")
        assert resolved.startswith("https://registry.npmjs.org/"), name


def test_one_version() -> None:
    import workbench

    for name in ("extensions/package.json", "extensions/studio/package.json"):
        assert json.loads((ROOT / name).read_text())["version"] == workbench.__version__
    assert f"## [{workbench.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
