"""Which passwords are taken, and which are right."""

import pytest

from workbench.hub.passwords import complaint, hashed, matches


@pytest.mark.parametrize(
    ("password", "again", "part"),
    [
        ("correct horse", "correct house", "not the same"),
        ("ninechars", "ninechars", "10 characters or more, and this one has 9"),
        ("1234567890", "1234567890", "first that are guessed"),
        ("gracegrace", "gracegrace", "first that are guessed"),
        ("ä" * 37, "ä" * 37, "at most 72 bytes"),
        ("ten\0characters", "ten\0characters", "no NUL"),
    ],
)
def test_a_bad_password_is_told_why(password: str, again: str, part: str) -> None:
    assert part in complaint(password, again, "grace")


def test_a_good_password_is_taken_and_found_right() -> None:
    assert complaint("correct horse", "correct horse", "grace") == ""
    kept = hashed("correct horse")
    assert matches("correct horse", kept)
    assert not matches("correct horse ", kept)
    assert not matches("x" * 100, kept)
    assert not matches("\0", kept)


def test_nobody_has_no_password() -> None:
    assert not matches("nobody", None)
    assert not matches("", None)
