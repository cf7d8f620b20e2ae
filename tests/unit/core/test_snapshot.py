"""A home in one file: whole while people write, checked before it replaces anything."""

import gzip
import io
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import workbench
from workbench.core import Conflict, Context, Invalid, Limited, Refused, Store, call_here, snapshot
from workbench.core.context import utc_now
from workbench.core.events import append
from workbench.core.snapshot.walking import Omitted, walk
from workbench.core.store import MIGRATIONS


def event(store: Store) -> None:
    with store.begin() as tx:
        append(
            tx, at=utc_now(), trace="t", project="p", actor="person:ada", action="a.b",
            outcome="done", request="sha256:", refs={},
        )  # fmt: skip


def backed_up(home: Path, file: Path, **given: Any) -> snapshot.Backup:
    return snapshot.back_up(home, file, main=home / "studio.db", studio="1", now=utc_now(), **given)


def restored(file: Path, home: Path, **given: Any) -> snapshot.Restored:
    given = {"force": False, "revisions": snapshot.known_revisions(), **given}
    return snapshot.restore(file, home, now=utc_now(), **given)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    workbench.load_rooms()
    made = tmp_path / "a home"
    store = Store("sqlite:///", made)
    event(store)
    store.close()
    (made / "projects" / "prj_1" / "files").mkdir(parents=True)
    (made / "projects" / "prj_1" / "model").write_bytes(b"weights" * 1000)
    (made / "run").mkdir()
    (made / "run" / "up.json").write_text("{}")
    return made


def test_a_backup_while_people_write(ctx: Context, tmp_path: Path) -> None:
    (ctx.folder / "files" / "t.csv").write_text("a,b\n1,2\n3,4\n")
    going, wrote = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        number = 0
        try:
            while not going.is_set():
                request = {"source": "t.csv", "name": f"t{number}"}
                call_here(ctx.fresh(), "data.register", request)
                number += 1
                wrote.set()
        except BaseException as error:
            failed.append(error)
            wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert wrote.wait(60)
    made = backed_up(ctx.home, tmp_path / "b.tar.gz")
    going.set()
    writer.join()
    assert not failed and made.databases >= 1
    restored(tmp_path / "b.tar.gz", tmp_path / "again")
    with workbench.connect(home=tmp_path / "again", project=ctx.project) as wb:
        assert wb.audit.verify().ok
        found = wb.data.list_products(limit=1000).items
        assert found
        for each in found:
            assert wb.data.preview(product=each.id).rows == [[1, 2], [3, 4]]


def test_a_deletion_meanwhile_makes_it_start_again(home: Path, tmp_path: Path) -> None:
    def insert(id: str) -> None:
        with closing(sqlite3.connect(home / "studio.db")) as database, database:
            database.execute(
                "INSERT INTO projects (id, name, title, description, owner, made_at)"
                " VALUES (?, ?, '', '', 'person:ada', '')",
                (id, id),
            )

    def delete(told: str) -> None:
        lines.append(told)
        if told == "Copying files" and (always or lines.count(told) == 1):
            with closing(sqlite3.connect(home / "studio.db")) as database, database:
                database.execute("DELETE FROM projects WHERE id = (SELECT max(id) FROM projects)")

    for number in range(5):
        insert(f"prj_{number}")
    lines: list[str] = []
    always = False
    backed_up(home, tmp_path / "b.tar.gz", tell=delete)
    assert lines.count("Copying files") == 2
    restored(tmp_path / "b.tar.gz", tmp_path / "again")
    with closing(sqlite3.connect(tmp_path / "again" / "studio.db")) as database:
        assert database.execute("SELECT count(*) FROM projects").fetchone() == (4,)
    always = True
    with pytest.raises(Conflict, match="deleted during each of 3 copies"):
        backed_up(home, tmp_path / "c.tar.gz", tell=delete)
    assert not (tmp_path / "c.tar.gz").exists()


def test_a_hostile_folder(home: Path, tmp_path: Path) -> None:
    files = home / "projects" / "prj_1" / "files"
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    (files / "outside").symlink_to(secret)
    (files / "upwards").symlink_to("../../../../secret")
    (files / "folder").symlink_to(tmp_path)
    (files / "inside").symlink_to("plain")
    (files / "plain").write_text("plain")
    (files / "a\nb \\ \x1b[31m").write_text("odd")
    Path(os.fsdecode(os.fsencode(files) + b"/caf\xe9")).write_text("latin")
    os.mkfifo(files / "pipe")
    with open(files / "holes", "wb") as sparse:
        sparse.truncate(2**40)
    deep = files
    for _ in range(100):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with closing(sqlite3.connect(files / "own.db")) as database, database:
        database.execute("CREATE TABLE t (x)")
    (files / "own.db-journal").symlink_to(secret)
    (files / "false.db").write_bytes(b"SQLite format 3\0" + b"nonsense")
    with socket.socket(socket.AF_UNIX) as listening:
        before = os.getcwd()
        os.chdir(files)
        listening.bind("socket")
        os.chdir(before)
        made = backed_up(home, tmp_path / "b.tar.gz")
    why = {Path(each.path).name: each.why for each in made.left_out}
    assert why["pipe"] == why["socket"] == "no regular file"
    assert "nothing" in why["holes"] and "folders deep" in why["d"]
    done = restored(tmp_path / "b.tar.gz", tmp_path / "again")
    names = {Path(each).name for each in done.links_left_out}
    assert names >= {"outside", "upwards", "folder"}
    there = tmp_path / "again" / "projects" / "prj_1" / "files"
    assert os.readlink(there / "inside") == "plain"
    assert (there / "a\nb \\ \x1b[31m").read_text() == "odd"
    assert Path(os.fsdecode(os.fsencode(there) + b"/caf\xe9")).read_text() == "latin"
    assert (there / "own.db").read_bytes() == (files / "own.db").read_bytes()
    with gzip.open(tmp_path / "b.tar.gz") as unzipped:
        assert b"not yours" not in unzipped.read()
    assert not (tmp_path / "again" / "run").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(home: Path, tmp_path: Path) -> None:
    closed = home / "projects" / "prj_1" / "files" / "closed"
    closed.mkdir(mode=0)
    made = backed_up(home, tmp_path / "b.tar.gz")
    closed.chmod(0o700)
    assert [each.why for each in made.left_out] == ["it may not be read"]


def test_a_file_that_grows_for_ever(home: Path, tmp_path: Path) -> None:
    file = home / "projects" / "prj_1" / "files" / "log"
    file.write_bytes(b"x" * (snapshot.SMALL + 1))
    ended = threading.Event()

    def grow() -> None:
        with open(file, "ab", buffering=0) as out:
            while not ended.is_set():
                out.write(b"y" * 4096)
                ended.wait(0.001)

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        made = backed_up(home, tmp_path / "b.tar.gz")
    finally:
        ended.set()
        growing.join()
    assert [each.why for each in made.left_out] == ["changed while it was copied"]
    restored(tmp_path / "b.tar.gz", tmp_path / "again")


KILLED = """
import os, signal, sys
from pathlib import Path
from workbench.core import snapshot
from workbench.core.context import utc_now
home, file, at = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if at == "publish":
    os.link = die
else:
    snapshot.archive.Archive.file = die
snapshot.back_up(home, file, main=home / "studio.db", studio="1", now=utc_now())
"""


@pytest.mark.parametrize("at", ["content", "publish"])
def test_a_backup_that_is_killed_leaves_nothing(home: Path, tmp_path: Path, at: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), str(out / "b.tar.gz"), at], timeout=120
    )
    assert killed.returncode == -signal.SIGKILL
    assert list(out.iterdir()) == []
    backed_up(home, out / "b.tar.gz")


def test_a_full_disk_says_figures_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    (home / "projects" / "prj_1" / "noise").write_bytes(os.urandom(4_000_000))
    out = tmp_path / "out"
    out.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(Limited, match=r"The disk of .* is full: it had [\d,]+ MB"):
            backed_up(home, out / "b.tar.gz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(out.iterdir()) == []


def remade(file: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]],
           *more: tarfile.TarInfo) -> Path:  # fmt: skip
    """The archive with every member changed, and more at its end."""
    new = file.with_name("altered.tar.gz")
    with tarfile.open(file) as old, tarfile.open(new, "w:gz") as out:
        for member in old:
            source = old.extractfile(member)
            member, content = change(member, source.read() if source else b"")
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
        for member in more:
            out.addfile(member)
    return new


def listed(*entries: dict[str, Any], **fields: Any) -> Callable[..., tuple[tarfile.TarInfo, bytes]]:
    """Change the manifest only."""

    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name == snapshot.MANIFEST:
            body = json.loads(content) | fields
            body["entries"] += entries
            content = json.dumps(body).encode()
        return member, content

    return change


def special(name: str, type: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = type, target
    return member


def test_an_altered_archive_changes_nothing(home: Path, tmp_path: Path) -> None:
    file, again = tmp_path / "b.tar.gz", tmp_path / "again"
    backed_up(home, file)
    assert file.stat().st_mode & 0o777 == 0o600
    whole = file.read_bytes()
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    def weights(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        return member, content.replace(b"weights", b"WEIGHTS")

    bad = [
        remade(file, weights).read_bytes(),
        remade(file, lambda m, c: (m, c), special("more")).read_bytes(),
        remade(file, listed({"path": "gone", "kind": "file"})).read_bytes(),
        *(whole[:-count] for count in (1, 9, len(whole) // 2)),
        b"",
        b"hello",
    ]
    for path in ("../up", "/abs", "projects/../../up"):
        bad.append(
            remade(
                file, listed({"path": path, "kind": "file", "sha256": empty}), special(path)
            ).read_bytes()
        )
    for type in (tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE):
        entry = {"path": "dev", "kind": "file", "sha256": empty}
        bad.append(remade(file, listed(entry), special("dev", type, "studio.db")).read_bytes())
    through = [{"path": "out", "kind": "link", "target": str(tmp_path)},
               {"path": "out/x", "kind": "file", "sha256": empty}]  # fmt: skip
    bad.append(
        remade(
            file, listed(*through), special("out", tarfile.SYMTYPE, str(tmp_path)), special("out/x")
        ).read_bytes()
    )
    before = sorted(path for path in tmp_path.iterdir() if path.name != "bad.tar.gz")
    for number, content in enumerate(bad):
        (tmp_path / "bad.tar.gz").write_bytes(content)
        with pytest.raises(Invalid, match=r"bad\.tar\.gz is no whole backup"):
            restored(tmp_path / "bad.tar.gz", again)
        left = sorted(path for path in tmp_path.iterdir() if path.name != "bad.tar.gz")
        assert left == before, number


def test_a_newer_archive_is_refused(home: Path, tmp_path: Path) -> None:
    backed_up(home, tmp_path / "b.tar.gz")
    for fields in ({"format": 2}, {"revision": "9999"}):
        newer = remade(tmp_path / "b.tar.gz", listed(**fields))
        with pytest.raises(Refused, match="this Studio"):
            restored(newer, tmp_path / "again")


def test_a_home_in_use_or_in_the_way(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    backed_up(home, file)
    with pytest.raises(Conflict, match="exists already"):
        backed_up(home, file)
    with pytest.raises(Invalid, match="part of the next backup"):
        backed_up(home, home / "b.tar.gz")
    with pytest.raises(Conflict, match="is not empty"):
        restored(file, home)
    with snapshot.in_use(home), pytest.raises(Conflict, match="A Studio runs on"):
        restored(file, home, force=True)
    (home / "projects" / "prj_1" / "model").write_text("later")
    done = restored(file, home, force=True)
    assert (home / "projects" / "prj_1" / "model").read_bytes() == b"weights" * 1000
    assert (Path(done.before) / "projects" / "prj_1" / "model").read_text() == "later"
    shutil.rmtree(home)
    (home / "backups").mkdir(parents=True)
    (home / "backups" / "kept").touch()
    assert restored(file, home).before == ""
    assert (home / "backups" / "kept").exists() and (home / "studio.db").exists()


def test_what_lets_in_is_gone_and_addresses_are_the_new_homes(home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home / "studio.db")) as database, database:
        database.execute("INSERT INTO sessions VALUES ('s', 'd', 'person', 'ada', '', '', '', '')")
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE runs (artifact_uri TEXT)")
        database.execute("INSERT INTO runs VALUES (?)", (f"{home.as_uri()}/mlflow/r",))
    (home / "keys").mkdir()
    (home / "keys" / "cookie_secret").write_text("s")
    backed_up(home, tmp_path / "b.tar.gz")
    again = tmp_path / "again"
    done = restored(
        tmp_path / "b.tar.gz", again, drop_rows=["sessions"], drop_files=["keys/cookie_secret"]
    )
    assert done.ended == {"sessions": 1} and list((again / "keys").iterdir()) == []
    with closing(sqlite3.connect(again / "studio.db")) as database:
        assert database.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    with closing(sqlite3.connect(again / "mlflow.db")) as database:
        assert database.execute("SELECT * FROM runs").fetchone() == (f"{again.as_uri()}/mlflow/r",)


def test_an_older_home_opens_is_kept_and_goes_one_back(tmp_path: Path) -> None:
    workbench.load_rooms()
    file = tmp_path / "studio.db"
    engine = sa.create_engine(f"sqlite:///{file}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            sa.text("INSERT INTO projects VALUES ('prj_1', 'a', 'A', '', 'person:ada', '2026')")
        )
        connection.execute(sa.text("INSERT INTO grants VALUES ('prj_1', 'person:ada', 'owner')"))
    engine.dispose()
    newest = max(snapshot.known_revisions())

    def rows(database: Path) -> list[Any]:
        with closing(sqlite3.connect(database)) as opened:
            found = opened.execute("SELECT id, name, title, owner FROM projects").fetchall()
            return found + opened.execute("SELECT * FROM grants").fetchall()

    before = rows(file)
    Store("sqlite:///", tmp_path).close()
    assert snapshot.revision_of(file) == newest and rows(file) == before
    kept = tmp_path / "backups" / "studio-0001.db"
    assert snapshot.revision_of(kept) == "0001" and rows(kept) == before
    assert kept.stat().st_mode & 0o777 == 0o600
    at = sa.URL.create("sqlite", database=str(file))
    back = snapshot.step_back(at)
    assert int(back) == int(newest) - 1 and rows(file) == before
    while back != "0001":
        back = snapshot.step_back(at)
    with pytest.raises(Refused, match="no step back"):
        snapshot.step_back(at)
    Store("sqlite:///", tmp_path).close()
    assert snapshot.revision_of(file) == newest and rows(file) == before


def test_what_jobs_keep_while_they_run_is_in_no_backup(tmp_path: Path) -> None:
    for name in ("scratch/job_1/x.checkpoint", "files/scratch/mine.csv"):
        file = tmp_path / "projects" / "prj_1" / name
        file.parent.mkdir(parents=True)
        file.write_text("x")
    found = {each.path for each in walk(tmp_path, Omitted())}
    assert "projects/prj_1/files/scratch/mine.csv" in found
    assert not any(path.startswith("projects/prj_1/scratch") for path in found)
