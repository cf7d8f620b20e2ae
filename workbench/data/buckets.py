"""Buckets: objects of S3 and what speaks like it, through Arrow's client."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from workbench.core import Context, NotFound, Refused, Settings, Unavailable

from .fetching import Measured, words
from .places import Connection
from .reaching import TIMEOUT_S

CHUNK = 8 << 20


@contextmanager
def _bucket(settings: Settings, connection: Connection, secret: SecretStr) -> Iterator[Any]:
    """Arrow's S3, whose every connection goes through a relay of ours."""
    from .relaying import Relay

    try:
        import pyarrow.fs
    except ImportError as error:
        raise Unavailable(
            f"S3 cannot be used: {error}.", hint="Install nexus-workbench[data]."
        ) from error
    endpoint = connection.options.get("endpoint", "").rstrip("/")
    scheme, _, at = endpoint.rpartition("://")
    hosts = [urlsplit(f"//{at}").hostname or ""] if at else ["amazonaws.com", "amazonaws.com.cn"]
    with Relay(settings, hosts) as relay:
        given: dict[str, Any] = (
            {"access_key": connection.user, "secret_key": secret.get_secret_value()}
            if connection.user
            # Never the credentials that this machine happens to have.
            else {"anonymous": True}
        )
        system = pyarrow.fs.S3FileSystem(
            **given,
            # Without one, the SDK asks the machine's own surroundings.
            region=connection.options.get("region", "us-east-1"),
            scheme=scheme or "https",
            endpoint_override=at or None,
            connect_timeout=TIMEOUT_S,
            request_timeout=TIMEOUT_S,
            retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=1),
            proxy_options={
                "scheme": "http",
                "host": "127.0.0.1",
                "port": relay.port,
                "username": relay.user,
                "password": relay.password,
            },
        )
        try:
            yield system
        except FileNotFoundError as error:
            raise NotFound(
                f"{connection.name} has no such bucket or object: {words(error)}.",
                hint="Check the bucket, the key and the region.",
            ) from error
        except OSError as error:
            if isinstance(relay.problem, Refused | Unavailable):
                raise relay.problem from error
            raise Unavailable(
                f"{connection.name} failed: {words(error)}.",
                hint="Check the endpoint, the region, the key id and the secret.",
            ) from error


def try_bucket(ctx: Context, connection: Connection, secret: SecretStr) -> None:
    """Ask whether the bucket is there and ours to read."""
    import pyarrow.fs

    bucket = urlsplit(connection.url).netloc
    with _bucket(ctx.settings, connection, secret) as system:
        if system.get_file_info(bucket).type == pyarrow.fs.FileType.NotFound:
            raise NotFound(
                f"There is no bucket {bucket!r}.", hint="Check its name, the region, the endpoint."
            )


def get_object(
    ctx: Context, connection: Connection, secret: SecretStr, key: str, file: Path
) -> None:
    """An object as a file."""

    def parts(source: Any) -> Iterator[bytes]:
        while part := source.read(CHUNK):
            yield part

    with _bucket(ctx.settings, connection, secret) as system, system.open_input_file(key) as source:
        # Its size is known: too much is said before it is fetched.
        Measured(ctx, file, connection.name).check(source.size())
        Measured(ctx, file, connection.name).write(parts(source))
