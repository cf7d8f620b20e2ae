"""A Dask scheduler that somebody else runs, with workers that share the Studio's version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from workbench.core import Context, Invalid, Unavailable

from .elsewhere import check_versions, connected, wait_for_workers
from .ports import Need, check_need

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

WAIT_S = 10.0
"""How long its first worker may take to be there, in seconds."""
FILES = ("ca", "cert", "key")


class Scheduler:
    """The engine `tcp://host:8786`, or `tls://host:8786?ca=…&cert=…&key=…` (paths of PEM files).

    Whoever reaches a scheduler runs code on its workers: without TLS it belongs on a network
    that the Studio alone is on.
    """

    def __init__(self, url: str, home: Path) -> None:
        parts = urlsplit(url)
        told = dict(parse_qsl(parts.query))
        wanted = set(FILES) if parts.scheme == "tls" else set()
        if not parts.hostname or not parts.port or set(told) != wanted or parts.username:
            shape = "tls://host:8786?ca=…&cert=…&key=…" if wanted else "tcp://host:8786"
            raise Invalid(f"{url!r} is not how a Dask scheduler is named.", hint=f"Write {shape}.")
        self._address = f"{parts.scheme}://{parts.netloc}"
        self._files = {name: Path(value) for name, value in told.items()}

    @contextmanager
    def open(self, ctx: Context, need: Need) -> "Iterator[Client]":
        """See `Clusters`. What the need says of threads and memory is the workers' own matter."""
        check_need(need)
        with connected(self._address, self._security()) as client:
            wait_for_workers(
                client,
                1,
                WAIT_S,
                f"The Dask scheduler at {self._address} has no worker.",
                f"Start some: dask worker {self._address}",
            )
            check_versions(client, self._address)
            yield client

    def _security(self) -> "Security | None":
        from distributed.security import Security

        if not self._files:
            return None
        for name, file in self._files.items():
            if not file.is_file():
                raise Unavailable(
                    f"The {name} of the Dask scheduler is not there: {file}.",
                    hint="Change the URL of the port compute.clusters.",
                )
        return Security(
            require_encryption=True,
            tls_ca_file=str(self._files["ca"]),
            tls_client_cert=str(self._files["cert"]),
            tls_client_key=str(self._files["key"]),
        )
