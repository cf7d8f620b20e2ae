"""What every engine of `core.blobs` must do. A new engine adds one URL, no test."""

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.core import Blobs, Conflict, Forbidden, Invalid, Limited, NotFound, Signer, blobs


@pytest.fixture(params=["file://"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    url: str = request.param
    engine: Blobs = blobs.load(url)(url, tmp_path)
    return engine


@given(data=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=5))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_upload_in_any_pieces_is_what_was_sent(
    kept: Blobs, data: bytes, cuts: list[int]
) -> None:
    blob = kept.create("p", "x.csv", len(data))
    for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        piece = data[low:high]
        if piece:
            blob = kept.append("p", blob.id, blob.received, piece)
    assert kept.path("p", blob.id).read_bytes() == data
    assert kept.get("p", blob.id).sha256 == f"sha256:{sha256(data).hexdigest()}"


def test_a_piece_at_the_wrong_place_is_a_conflict_that_says_where(kept: Blobs) -> None:
    blob = kept.create("p", "x", 10)
    kept.append("p", blob.id, 0, b"1234")
    with pytest.raises(Conflict, match="is at byte 4, not at 0"):
        kept.append("p", blob.id, 0, b"1234")
    assert kept.get("p", blob.id).received == 4


def test_more_than_announced_is_invalid(kept: Blobs) -> None:
    blob = kept.create("p", "x", 3)
    with pytest.raises(Invalid, match="4 bytes do not fit an upload of 3"):
        kept.append("p", blob.id, 0, b"1234")


def test_an_incomplete_upload_cannot_be_read(kept: Blobs) -> None:
    blob = kept.create("p", "x", 3)
    with pytest.raises(Conflict, match="has 0 of 3 bytes"):
        kept.path("p", blob.id)


def test_more_than_the_disk_is_limited(kept: Blobs) -> None:
    with pytest.raises(Limited, match="and the disk has"):
        kept.create("p", "x", 10**18)


@pytest.mark.parametrize("id", ["blb_none", "../keys", "blb_../../x", "", "blb_a/b"])
def test_what_is_not_there_is_not_found(kept: Blobs, id: str) -> None:
    with pytest.raises(NotFound):
        kept.get("p", id)


def test_another_project_does_not_see_it(kept: Blobs) -> None:
    blob = kept.create("p", "x", 0)
    with pytest.raises(NotFound):
        kept.get("q", blob.id)
    with pytest.raises(NotFound):
        kept.get("../p", blob.id)


def test_a_linked_file_is_not_copied(kept: Blobs, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("a\n1\n")
    blob = kept.link("p", file)
    assert kept.path("p", blob.id) == file
    kept.delete("p", blob.id)
    assert file.exists()


def test_a_linked_file_that_is_gone_is_not_found(kept: Blobs, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("a\n1\n")
    blob = kept.link("p", file)
    file.unlink()
    with pytest.raises(NotFound, match=r"mine\.csv is not there any more"):
        kept.path("p", blob.id)


def test_sweeping_removes_only_what_is_old(kept: Blobs, tmp_path: Path) -> None:
    old, new = kept.create("p", "x", 1), kept.create("p", "y", 1)
    kept.append("p", old.id, 0, b"1")
    past = time.time() - 100
    os.utime(kept.path("p", old.id), (past, past))
    assert kept.sweep(50) == 1
    assert kept.get("p", new.id).id == new.id


def test_a_signed_reference_opens_one_blob_for_a_while(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    query = dict(part.split("=") for part in signer.url("p", "blb_1").partition("?")[2].split("&"))
    expires, signature = int(query["expires"]), query["signature"]
    signer.check("p", "blb_1", expires, signature)
    for project, id, until in (
        ("q", "blb_1", expires),
        ("p", "blb_2", expires),
        ("p", "blb_1", expires + 1),
    ):
        with pytest.raises(Forbidden):
            signer.check(project, id, until, signature)
    past = dict(
        part.split("=") for part in signer.url("p", "blb_1", now=0).partition("?")[2].split("&")
    )
    with pytest.raises(Forbidden):
        signer.check("p", "blb_1", int(past["expires"]), past["signature"])
