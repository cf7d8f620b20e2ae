"""The journal of shared documents: what is acknowledged is there, whatever happens after."""

import sqlite3
from pathlib import Path

import pytest

from workbench.hub import journal
from workbench.hub.journal import Journal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "rooms.db"


def test_what_was_kept_is_read_again(file: Path) -> None:
    first = Journal(file, "a")
    assert first.read() is None
    number = first.begin(7, b"founding")
    first.written(number, "h0")
    first.append([b"one", b"two"])
    first.append([b"three"])
    first.close()
    second = Journal(file, "a")
    history = second.read()
    assert history is not None
    assert (history.founder, history.changes) == (7, [b"one", b"two", b"three"])
    assert [(v.state, v.hash) for v in history.versions] == [(b"founding", "h0")]
    second.close()


def test_a_version_takes_the_place_of_the_changes_in_it(file: Path) -> None:
    kept = Journal(file, "a")
    kept.begin(1, b"0")
    upto = kept.append([b"one", b"two"])
    kept.append([b"three"])
    kept.keep(b"012", upto)
    history = kept.read()
    assert history is not None
    assert [v.state for v in history.versions] == [b"012", b"0"]
    assert history.changes == [b"three"]
    kept.close()


def test_few_versions_are_kept_and_never_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Journal(file, "a")
    kept.begin(1, b"0")
    for number in range(20):
        kept.keep(b"%d" % number, 0)
    history = kept.read()
    assert history is not None
    assert [v.state for v in history.versions] == [b"%d" % n for n in range(19, 11, -1)]
    monkeypatch.setattr(journal, "BYTES", 10)
    kept.keep(b"larger than all of it", 0)
    history = kept.read()
    assert history is not None
    assert [v.state for v in history.versions] == [b"larger than all of it"]
    kept.close()


def test_documents_do_not_mix(file: Path) -> None:
    one, other = Journal(file, "a"), Journal(file, "b")
    one.begin(1, b"a")
    other.begin(2, b"b")
    other.append([b"of b"])
    one.begin(3, b"again")
    history = other.read()
    assert history is not None
    assert (history.founder, history.changes) == (2, [b"of b"])
    one.close()
    other.close()


def test_a_damaged_file_is_put_aside(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no database at all" * 100)
    kept = Journal(file, "a")
    kept.begin(1, b"0")
    assert kept.read() is not None
    kept.close()
    (aside,) = file.parent.glob("rooms.db.damaged-*")
    assert aside.read_bytes().startswith(b"no database")


def test_what_cannot_be_written_is_said(file: Path) -> None:
    kept = Journal(file, "a")
    kept.begin(1, b"0")
    kept._db.execute("PRAGMA max_page_count = 12")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        kept.append([b"x" * 100_000])
    history = kept.read()
    assert history is not None
    assert history.changes == []
    kept.append([b"small"])
    kept.close()
