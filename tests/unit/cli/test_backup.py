"""`workbench backup`, `restore`, `upgrade`, as somebody types them."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import workbench
from workbench.cli.main import main
from workbench.core.snapshot import in_use, known_revisions, revision_of


def says(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The one JSON object that a command answers."""
    capsys.readouterr()
    main([*arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def complains(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """The title of the problem a command ends with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (code, "")
    return str(json.loads(told.err.splitlines()[-1])["title"])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    table = tmp_path / "t.csv"
    table.write_text("a,b\n1,2\n3,4\n")
    with workbench.connect() as wb:
        wb.data.register(str(table), name="things")
    return tmp_path / "home"


def products() -> list[Any]:
    with workbench.connect() as wb:
        found = wb.data.list_products().items
        return [(each, wb.data.preview(product=each.id).rows) for each in found]


def test_a_home_that_was_deleted_comes_back(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = products()
    made = says(capsys, "backup", str(tmp_path / "b.tar.gz"))
    assert made["file"] == str(tmp_path / "b.tar.gz") and made["revision"] == max(known_revisions())
    shutil.rmtree(home)
    done = says(capsys, "restore", made["file"])
    assert done["home"] == str(home) and done["before"] == ""
    assert products() == before and len(before) == 1


def test_without_a_name_it_goes_to_a_folder_that_no_backup_holds(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = says(capsys, "backup"), says(capsys, "backup")
    assert Path(first["file"]).parent == Path(second["file"]).parent == home / "backups"
    assert first["files"] == second["files"]
    main(["backup"])
    assert "It holds the keys" in capsys.readouterr().out


def test_a_restore_ends_sessions_and_keeps_what_was_there(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(home / "studio.db")) as database, database:
        database.execute("INSERT INTO sessions VALUES ('s', 'd', 'person', 'ada', '', '', '', '')")
    (home / "keys").mkdir(exist_ok=True)
    (home / "keys" / "cookie_secret").write_text("secret")
    file = says(capsys, "backup", str(tmp_path))["file"]
    assert complains(capsys, 1, "restore", file) == "Conflict"
    with in_use(home):
        assert complains(capsys, 1, "restore", file, "--force") == "Conflict"
    done = says(capsys, "restore", file, "--force")
    assert done["ended"]["sessions"] == 1 and Path(done["before"], "studio.db").is_file()
    assert not (home / "keys" / "cookie_secret").exists()
    elsewhere = says(capsys, "restore", file, "--to", str(tmp_path / "other"))
    assert elsewhere["home"] == str(tmp_path / "other")
    main(["restore", file, "--to", str(tmp_path / "third")])
    assert "Everybody has to sign in again: 1 " in capsys.readouterr().out


def test_what_cannot_be_done(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complains(capsys, 1, "restore", str(tmp_path / "none.tar.gz")) == "NotFound"
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(b"broken")
    assert complains(capsys, 1, "restore", str(broken), "--force") == "Invalid"
    with in_use(home):
        assert complains(capsys, 1, "upgrade", "--back") == "Conflict"
    monkeypatch.setenv("WORKBENCH_URL_CORE__STORE", "postgresql://ada:hidden@db/studio")
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["backup"])
    told = capsys.readouterr().err
    assert ended.value.code == 3 and "postgresql" in told and "hidden" not in told


def test_the_schema_goes_back_and_forward(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest = max(known_revisions())
    before = products()
    assert says(capsys, "upgrade")["backup"] == ""
    back = says(capsys, "upgrade", "--back")
    assert (back["before"], revision_of(home / "studio.db")) == (newest, back["after"])
    assert int(back["after"]) == int(newest) - 1 and Path(back["backup"]).is_file()
    forward = says(capsys, "upgrade")
    assert (forward["before"], forward["after"]) == (back["after"], newest)
    assert products() == before
    while revision_of(home / "studio.db") != min(known_revisions()):
        says(capsys, "upgrade", "--back")
    assert complains(capsys, 3, "upgrade", "--back") == "Refused"
