"""Secrets by reference: a room keeps a name, the value stays here, encrypted, per project.

A value goes in with `put` and comes out with `get`, both as `SecretStr`, so that neither a log
line nor a traceback shows it. No action answers one.
"""

import json
import os
import re
import secrets as random
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from workbench.core import Invalid, NotFound, Port, Unavailable

LIMIT = 64 * 1024
"""characters; a secret is a password, a token or a key file."""


class Secrets(Protocol):
    """Where secrets are kept. Every engine passes tests/ports/test_secrets.py."""

    def put(self, project: str, name: str, value: SecretStr) -> None:
        """Keep a value under a name, in place of the one before; on disk when this returns.

        Raises:
            Invalid: The name is no name, or the value is empty or too long.
        """

    def get(self, project: str, name: str) -> SecretStr:
        """The value.

        Raises:
            NotFound: The project has no secret of that name.
            Unavailable: It cannot be decrypted: the key is another, or somebody changed it.
        """

    def delete(self, project: str, name: str) -> None:
        """Forget it; nothing if it is gone already."""

    def names(self, project: str) -> list[str]:
        """The names of a project's secrets, sorted."""


class FileSecrets:
    """A file per project, `keys/secrets/<project>`: name → AES-256-GCM with the key of the home.

    Project and name are authenticated with each value (AEAD, NIST SP 800-38D), so a ciphertext
    opens nowhere but where it was put. The key is `keys/secrets.key`, or `<folder>.key` beside
    the folder that the URL names; both are readable by their owner alone. What this does not
    protect from: somebody who can read the key.
    """

    def __init__(self, url: str, home: Path) -> None:
        given = url.partition("://")[2]
        self._root = Path(given) if given else home / "keys" / "secrets"
        self._key_file = self._root.with_name(f"{self._root.name}.key")

    def __repr__(self) -> str:
        return "FileSecrets()"

    def put(self, project: str, name: str, value: SecretStr) -> None:
        file = self._file(project)
        _check_name(name, "A secret")
        plain = value.get_secret_value()
        if not 1 <= len(plain) <= LIMIT:
            raise Invalid(
                f"The secret {name!r} has {len(plain):,} characters.", hint=f"1 to {LIMIT:,}."
            )
        with self._changing():
            kept = _read(file)
            kept[name] = self._encrypted(project, name, plain)
            _write(file, json.dumps(kept).encode())

    def get(self, project: str, name: str) -> SecretStr:
        kept = _read(self._file(project))
        if name not in kept:
            raise NotFound(
                f"This project has no secret {name!r}.", hint="It was deleted; give it again."
            )
        return SecretStr(self._decrypted(project, name, kept[name]))

    def delete(self, project: str, name: str) -> None:
        file = self._file(project)
        with self._changing():
            kept = _read(file)
            if kept.pop(name, None) is None:
                return
            if kept:
                _write(file, json.dumps(kept).encode())
            else:
                file.unlink(missing_ok=True)

    def names(self, project: str) -> list[str]:
        return sorted(_read(self._file(project)))

    def _file(self, project: str) -> Path:
        _check_name(project, "A project")
        return self._root / project

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One writer at a time, in any process."""
        from filelock import FileLock

        for folder in (self._root.parent, self._root):
            # Of several at once `mkdir` gives the mode only to the last.
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self._root / ".lock", mode=0o600):
            yield

    def _encrypted(self, project: str, name: str, plain: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = random.token_bytes(12)
        box = AESGCM(self._key()).encrypt(nonce, plain.encode(), _bound(project, name))
        return b64encode(nonce + box).decode()

    def _decrypted(self, project: str, name: str, kept: str) -> str:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            box = b64decode(kept, validate=True)
            cipher = AESGCM(self._key())
            return cipher.decrypt(box[:12], box[12:], _bound(project, name)).decode()
        except (InvalidTag, ValueError):
            # Without the cause: a traceback must not carry what was being decrypted.
            raise Unavailable(
                f"The secret {name!r} cannot be decrypted.",
                hint="It was kept with another key, or changed on disk: restore the key from a "
                "backup, or delete what uses the secret and give it again.",
            ) from None

    def _key(self) -> bytes:
        """The key, made on first use; the file that is there first is the one key."""
        file = self._key_file
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = file.with_name(f".{file.name}.{random.token_hex(4)}")
            try:
                _write_new(new, random.token_bytes(32))
                file.hardlink_to(new)
            except FileExistsError:
                pass  # made by another process meanwhile
            finally:
                new.unlink(missing_ok=True)
            _sync(file.parent)
        return file.read_bytes()


def _check_name(name: str, what: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", name):
        raise Invalid(
            f"{what} cannot be called {name[:80]!r}.", hint="Letters, digits, `_`, `.` and `-`."
        )


def _bound(project: str, name: str) -> bytes:
    return f"{project}\0{name}".encode()


def _read(file: Path) -> dict[str, str]:
    try:
        kept: dict[str, str] = json.loads(file.read_bytes())
        return kept
    except FileNotFoundError:
        return {}
    except ValueError:
        raise Unavailable(
            f"The secrets of {file.name} cannot be read: the file is damaged.",
            hint="Restore it from a backup.",
        ) from None


def _write(file: Path, content: bytes) -> None:
    new = file.with_name(f".{file.name}.{random.token_hex(4)}")
    try:
        _write_new(new, content)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    _sync(file.parent)


def _write_new(file: Path, content: bytes) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


secrets = Port[Secrets](
    "security.secrets", default="file://", doc="Secrets by reference: passwords of connections."
)
secrets.engine("file", "workbench.security.secrets:FileSecrets")
