"""What is not installed, and what it says."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from workbench.core import Conflict, Context, Invalid, Limited, Refused, Unavailable, call_here
from workbench.core.store import metadata
from workbench.environments import building, get_environment, indexes, places

from .conftest import Inside, done, source, wheel


@pytest.mark.parametrize(
    "package",
    ["", "-r /etc/passwd", "--index-url=http://a", "six\n--index-url http://a", "../here", "a b"],
)
def test_what_names_no_package_is_invalid(ctx: Context, package: str) -> None:
    with pytest.raises(Invalid, match="names no package"):
        done(ctx, [package])


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8000/x.whl", "file:///etc/x.whl", "git+ssh://a/b"]
)
def test_an_address_is_refused(ctx: Context, address: str) -> None:
    with pytest.raises(Refused, match="six is asked for at an address"):
        done(ctx, [f"six @ {address}"])


def test_source_code_is_refused_and_never_run(ctx: Context, shop: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    source(shop, "only_source", "1.0", mark)
    with pytest.raises(Refused, match="only-source is published as source code only"):
        done(ctx, ["only-source"])
    assert not mark.exists()
    assert get_environment(ctx).state == "studio"
    assert not list(places.bench(ctx.home).glob("*.new"))


def test_versions_that_do_not_fit(ctx: Context, folder: Path) -> None:
    with pytest.raises(Invalid, match=r"six==1\.16\.0 and six==1\.17\.0"):
        done(ctx, ["six==1.16.0", "six==1.17.0"])
    # The lock is free again.
    places.lock_of(folder).release()


def test_a_python_that_is_not_here(ctx: Context) -> None:
    with pytest.raises(Invalid, match=r"This machine has no Python 3\.99"):
        done(ctx, ["six"], python="3.99")
    with pytest.raises(Invalid, match="no version of Python"):
        done(ctx, ["six"], python="/bin/sh")


def test_a_second_install_at_the_same_moment(ctx: Context, folder: Path) -> None:
    lock = places.lock_of(folder)
    with pytest.raises(Conflict, match="already"):
        done(ctx, ["six==1.17.0"])
    with pytest.raises(Conflict):
        call_here(ctx.fresh(), "environments.reset", {})
    lock.release()


def test_a_project_with_little_space(ctx: Context, folder: Path) -> None:
    with ctx.store.begin() as tx:
        tx.execute(
            sa.update(metadata.tables["projects"])
            .where(metadata.tables["projects"].c.id == ctx.project)
            .values(limits={"disk_mb": 10})
        )
    with pytest.raises(Limited, match="10 MiB"):
        done(ctx, ["six==1.17.0"])
    assert [each.name for each in folder.iterdir()] == []


def test_an_index_that_is_down(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    down = {"UV_DEFAULT_INDEX": "http://u:secret@127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    monkeypatch.setattr(indexes, "configured", lambda _: indexes.Indexes(down))
    with pytest.raises(Unavailable, match="cannot be used") as caught:
        done(ctx, ["six"])
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_passwords_stay_out_of_sentences() -> None:
    said = "error: Failed to fetch: https://u:secret@host/simple/six/"
    assert "secret" not in str(building.explained(said))


@pytest.mark.usefixtures("quick")
def test_a_package_cannot_run_while_it_is_installed(
    ctx: Context, shop: Path, folder: Path, inside: Inside
) -> None:
    """A .pth file runs code at every start of Python: not before the project starts one."""
    pth = (
        "import pathlib; [p.mkdir() for p in map(pathlib.Path, ('/dev/shm/ran', "
        "'/opt/environments/ran', '/opt/environments/uv/ran')) if p.parent.is_dir()]\n"
    )
    wheel(shop, "sly", "1.0", {"sly.py": "", "sly.pth": pth, "zz-studio.pth": "import sly_runs\n"})
    done(ctx, ["sly"])
    assert not (places.bench(ctx.home) / "uv" / "ran").exists()
    assert not list(folder.glob("*/ran"))
    # What the Studio writes there is the Studio's.
    text = next(folder.glob("*/lib/python3*/site-packages/zz-studio.pth")).read_text()
    assert "addsitedir" in text and "sly_runs" not in text
    # In the project's sandbox it does run, and finds nothing that it could change.
    command = "import os; print(os.path.exists('/dev/shm/ran'))"
    said = inside(f"{places.SEEN}/current/bin/python", "-c", command)
    assert "Read-only file system: '/opt/environments/ran'" in said and said.endswith("True")


@pytest.mark.usefixtures("quick")
def test_a_package_that_takes_the_kernels_place(ctx: Context, shop: Path, folder: Path) -> None:
    wheel(shop, "greedy", "1.0", {"greedy.py": "", "greedy-1.0.data/data/jupyter": "mine"})
    with pytest.raises(Refused, match="something of its own"):
        done(ctx, ["greedy"])
    assert places.chosen(folder) == ""


def test_indexes_of_a_setting(tmp_path: Path) -> None:
    class Given:
        package_index = "https://a/simple https://b/simple"

    found = indexes.configured(Given())  # type: ignore[arg-type]
    assert found.environment["UV_DEFAULT_INDEX"] == "https://a/simple"
    assert found.environment["UV_INDEX"] == "https://b/simple"
    (tmp_path / "six-1.17.0-py3-none-any.whl").touch()
    Given.package_index = str(tmp_path)
    found = indexes.configured(Given())  # type: ignore[arg-type]
    assert found.environment["UV_FIND_LINKS"] == str(tmp_path)
    assert found.environment["UV_NO_INDEX"] == "1" and found.folders == [tmp_path]
