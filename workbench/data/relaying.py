"""A way out for a client that resolves names itself: a proxy to permitted addresses."""

import contextlib
import logging
import re
import secrets
import select
import socket
import threading
from base64 import b64encode
from collections.abc import Sequence
from types import TracebackType
from urllib.parse import urlsplit

from workbench.core import Refused, Settings, Unavailable

from .reaching import TIMEOUT_S, connected

log = logging.getLogger(__name__)
HEAD_LIMIT = 64 * 1024


class Relay:
    """An HTTP proxy of this process that connects to permitted addresses only.

    For a client that resolves names itself (Arrow's S3). It listens on the loopback address for
    as long as it is open, and serves only who knows its password. TLS passes through untouched.
    """

    def __init__(self, settings: Settings, hosts: Sequence[str]) -> None:
        self._settings = settings
        self._hosts = [each.lower() for each in hosts]
        self.user, self.password = "studio", secrets.token_urlsafe(24)
        word = b64encode(f"{self.user}:{self.password}".encode()).decode()
        self._word = f"Basic {word}"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.problem: Exception | None = None
        """What went wrong on the way: the client only knows that something did."""

    def __enter__(self) -> "Relay":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True, name="relay").start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop(self._listener)
        with self._lock:
            still = list(self._open)
        for each in still:
            self._stop(each)

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._kept(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _kept(self, one: socket.socket) -> socket.socket:
        one.settimeout(TIMEOUT_S)
        with self._lock:
            self._open.add(one)
        return one

    def _stop(self, one: socket.socket) -> None:
        with self._lock:
            self._open.discard(one)
        with contextlib.suppress(OSError):  # the other side was quicker
            one.shutdown(socket.SHUT_RDWR)
        one.close()

    def _serve(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        try:
            head, rest = _head(client)
            line, *fields = head.decode("latin-1").split("\r\n")
            method, target, _ = line.split(" ", 2)
            if not self._knows(fields):
                client.sendall(b"HTTP/1.1 407 Who asks?\r\ncontent-length: 0\r\n\r\n")
                return
            tunnel = method == "CONNECT"
            where = urlsplit(f"//{target}" if tunnel else target)
            host, port = where.hostname or "", where.port or (443 if tunnel else 80)
            if not any(host == each or host.endswith(f".{each}") for each in self._hosts):
                raise Refused(f"{host} is not a host of this connection.", hint="See `endpoint`.")
            try:
                server = self._kept(connected(self._settings, host, port))
            except (Refused, Unavailable):
                client.sendall(b"HTTP/1.1 502 Not reached\r\ncontent-length: 0\r\n\r\n")
                raise
            if tunnel:
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                server.sendall(rest)
            else:
                path = target[target.index("/", len("http://")) :]
                server.sendall(_onward(method, path, fields) + rest)
            self._pour(client, server)
        except (Refused, Unavailable) as error:
            self.problem = error
        except (OSError, ValueError) as error:
            self.problem = self.problem or error
            log.debug("a relayed request ended", extra={"kind": type(error).__name__})
        finally:
            self._stop(client)
            if server is not None:
                self._stop(server)

    def _knows(self, fields: list[str]) -> bool:
        for field in fields:
            name, _, value = field.partition(":")
            if name.lower() == "proxy-authorization":
                return secrets.compare_digest(value.strip(), self._word)
        return False

    def _pour(self, client: socket.socket, server: socket.socket) -> None:
        """Bytes both ways until one side ends, or neither speaks for `TIMEOUT_S`."""
        other = {client: server, server: client}
        while True:
            ready, _, _ = select.select(list(other), [], [], TIMEOUT_S)
            if not ready:
                raise Unavailable(
                    f"The server sent nothing for {TIMEOUT_S:g} s.", hint="Try again later."
                )
            for one in ready:
                part = one.recv(1 << 16)
                if not part:
                    return
                other[one].sendall(part)


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(4096)
        if not part or len(data) > HEAD_LIMIT:
            raise ValueError("no request")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _onward(method: str, path: str, fields: list[str]) -> bytes:
    """The request as the server takes it; one a connection, so that no other slips through."""
    kept = [f for f in fields if not re.match(r"(?i)(proxy-[a-z-]+|connection)\s*:", f)]
    lines = [f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")
