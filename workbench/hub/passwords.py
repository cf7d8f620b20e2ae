"""What a password must be, and whether one is right; the codes of a second factor."""

import base64
import hmac
import secrets
from functools import lru_cache
from hashlib import sha1
from importlib import resources
from urllib.parse import quote, urlencode

import bcrypt

LEAST = 10
MOST_BYTES = 72
"""bcrypt looks at no more."""
STEP_S = 30
"""How long a code is shown, in seconds."""
ISSUER = "NexusAI Studio"


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


def new_secret() -> str:
    """A new secret for codes: 20 random bytes in base 32 (RFC 4226 recommends 160 bits)."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: str, step: int) -> str:
    """The six digits of a step: HOTP with SHA-1, RFC 4226, as apps for codes compute it.

    Args:
        secret: In base 32.
        step: Seconds since the epoch, by 30 (RFC 6238).

    Example:
        >>> code_at("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 1)
        '287082'
    """
    digest = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), sha1).digest()
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06d}"


def step_of(secret: str, code: str, last: int, at_s: float) -> int | None:
    """The step a code belongs to, if it is right: now's, or one before or after it.

    Args:
        secret: In base 32.
        code: What was typed; spaces do not matter.
        last: The last step whose code was used: it and earlier ones are right no more.
        at_s: Now, in seconds since the epoch.
    """
    given = "".join(code.split()).encode()
    now = int(at_s // STEP_S)
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), given) and step > last:
            return step
    return None


def otpauth(secret: str, name: str) -> str:
    """The address an app for codes takes the secret from."""
    told = urlencode({"secret": secret, "issuer": ISSUER}, quote_via=quote)
    return f"otpauth://totp/{quote(ISSUER)}:{quote(name)}?{told}"
