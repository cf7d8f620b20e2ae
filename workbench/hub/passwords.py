"""What a password must be, and whether one is right."""

from functools import lru_cache
from importlib import resources

import bcrypt

LEAST = 10
MOST_BYTES = 72
"""bcrypt looks at no more."""


def complaint(password: str, again: str, name: str) -> str:
    """Why this password cannot be taken, in one sentence; empty if it can."""
    if password != again:
        return "The two passwords are not the same."
    if len(password) < LEAST:
        return f"A password needs {LEAST} characters or more, and this one has {len(password)}."
    if len(password.encode()) > MOST_BYTES or "\0" in password:
        return f"A password has at most {MOST_BYTES} bytes, and no NUL."
    if password.lower() == name.lower() * (len(password) // len(name)) or password in common():
        return "This password is among the first that are guessed: choose a longer, odder one."
    return ""


def hashed(password: str) -> bytes:
    """What is kept of a password (bcrypt, cost 12)."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(12))


def matches(password: str, kept: bytes | None) -> bool:
    """Whether this is the password. Takes as long when there is no account (`kept` is None)."""
    given = password.encode()
    if len(given) > MOST_BYTES or b"\0" in given:
        given, kept = b"", None
    return bcrypt.checkpw(given, kept or _nobody()) and kept is not None


@lru_cache(1)
def _nobody() -> bytes:
    return hashed("nobody")


@lru_cache(1)
def common() -> frozenset[str]:
    """The 10,000 passwords most often found in leaks (carried by nativeauthenticator)."""
    file = resources.files("nativeauthenticator") / "common-credentials.txt"
    return frozenset(file.read_text().splitlines())
