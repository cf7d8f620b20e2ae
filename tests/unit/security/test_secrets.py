"""Secrets on disk: what the files show, and what a changed or moved one does."""

import json
import logging
import stat
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from workbench.core import Unavailable
from workbench.security.secrets import FileSecrets

VALUE = "correct horse battery staple"


@pytest.fixture
def kept(tmp_path: Path) -> FileSecrets:
    made = FileSecrets("file://", tmp_path)
    made.put("prj_1", "con_1", SecretStr(VALUE))
    return made


def file_of(home: Path, project: str = "prj_1") -> Path:
    return home / "keys" / "secrets" / project


def test_no_file_holds_the_value_and_only_the_owner_reads_them(
    kept: FileSecrets, tmp_path: Path
) -> None:
    files = [each for each in (tmp_path / "keys").rglob("*") if each.is_file()]
    assert {each.name for each in files} == {"prj_1", "secrets.key", ".lock"}
    for each in files:
        assert VALUE.encode() not in each.read_bytes()
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert len((tmp_path / "keys" / "secrets.key").read_bytes()) == 32


def test_the_same_value_looks_different_each_time(kept: FileSecrets, tmp_path: Path) -> None:
    first = file_of(tmp_path).read_text()
    kept.put("prj_1", "con_1", SecretStr(VALUE))
    assert file_of(tmp_path).read_text() != first


def test_a_ciphertext_moved_to_another_project_does_not_open(
    kept: FileSecrets, tmp_path: Path
) -> None:
    file_of(tmp_path, "prj_2").write_bytes(file_of(tmp_path).read_bytes())
    with pytest.raises(Unavailable, match="'con_1' cannot be decrypted") as caught:
        kept.get("prj_2", "con_1")
    assert caught.value.__cause__ is None
    assert kept.get("prj_1", "con_1").get_secret_value() == VALUE


def test_a_ciphertext_moved_to_another_name_does_not_open(
    kept: FileSecrets, tmp_path: Path
) -> None:
    box = json.loads(file_of(tmp_path).read_text())
    file_of(tmp_path).write_text(json.dumps({"con_2": box["con_1"]}))
    with pytest.raises(Unavailable):
        kept.get("prj_1", "con_2")


@pytest.mark.parametrize("damage", ["AAAA", "not base64!", ""])
def test_a_damaged_value_is_told(kept: FileSecrets, tmp_path: Path, damage: str) -> None:
    file_of(tmp_path).write_text(json.dumps({"con_1": damage}))
    with pytest.raises(Unavailable, match="cannot be decrypted"):
        kept.get("prj_1", "con_1")


def test_half_a_file_is_told(kept: FileSecrets, tmp_path: Path) -> None:
    file_of(tmp_path).write_text('{"con_1": "A')
    with pytest.raises(Unavailable, match="damaged"):
        kept.names("prj_1")


def test_another_key_opens_nothing_and_destroys_nothing(kept: FileSecrets, tmp_path: Path) -> None:
    key = tmp_path / "keys" / "secrets.key"
    before = key.read_bytes()
    key.write_bytes(bytes(32))
    with pytest.raises(Unavailable) as caught:
        kept.get("prj_1", "con_1")
    assert "backup" in caught.value.hint
    key.write_bytes(before)
    assert kept.get("prj_1", "con_1").get_secret_value() == VALUE


def test_two_who_need_the_key_first_share_one(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def put(number: int) -> None:
        engine = FileSecrets("file://", tmp_path)
        start.wait()
        engine.put(f"p{number}", "a", SecretStr(VALUE))

    threads = [threading.Thread(target=put, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    engine = FileSecrets("file://", tmp_path)
    assert all(engine.get(f"p{n}", "a").get_secret_value() == VALUE for n in range(8))
    assert [each.name for each in (tmp_path / "keys").glob(".*")] == []


def test_nothing_is_logged(
    kept: FileSecrets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        kept.put("prj_1", "con_1", SecretStr(VALUE))
        kept.get("prj_1", "con_1")
    assert VALUE not in caplog.text


def test_a_folder_by_url(tmp_path: Path) -> None:
    engine = FileSecrets(f"file://{tmp_path}/elsewhere", tmp_path / "home")
    engine.put("p", "a", SecretStr(VALUE))
    assert (tmp_path / "elsewhere" / "p").is_file()
    assert (tmp_path / "elsewhere.key").is_file()
    assert not (tmp_path / "home").exists()
