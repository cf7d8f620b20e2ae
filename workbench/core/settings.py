"""Settings: default < `jupyter_config.py` (`c.Workbench.… = …`) < `WORKBENCH_…`; frozen at start.

This is the only module that reads the environment or the configuration file.
"""

import getpass
import os
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import Invalid


class Settings(BaseModel):
    """Every setting of the Studio. `docs/reference.md` is made from this class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(
        default_factory=lambda: Path.home() / ".workbench",
        description="The folder that holds everything: database, tables, models, accounts, keys.",
    )
    urls: dict[str, str] = Field(
        default_factory=dict,
        description="Port name → URL of the engine that meets it; absent ports use their default.",
    )
    port: int = Field(
        8000, ge=1, le=65535, description="The port of the one address the Studio is opened at."
    )
    host: str = Field("127.0.0.1", description="The address the Studio listens on.")
    hosts: list[str] = Field(
        default_factory=lambda: ["127.0.0.1", "localhost", "[::1]"],
        description="Host names the Studio answers to; a request for another one is Forbidden.",
    )
    rooms: list[str] = Field(
        default_factory=list,
        description="Modules outside this package whose actions join the catalogue, "
        "named `<package>.<capability>`.",
    )
    upload_limit_bytes: int = Field(
        20 * 1024**3, ge=1, description="The largest upload, in bytes, also after decompression."
    )
    columns_limit: int = Field(
        2_000, ge=1, description="The most columns a product may have; more is Limited."
    )
    query_limit_s: float = Field(30.0, gt=0, description="The longest a query may run, in seconds.")
    query_limit_rows: int = Field(
        10_000, ge=1, description="The most rows a query or a preview answers."
    )
    memory_limit_mb: int = Field(
        2_048, ge=128, description="The memory a query or a profile may use, in MiB."
    )
    job_slots: int = Field(1, ge=1, description="How many jobs run at once.")
    job_limit_s: float = Field(
        6 * 3600.0, gt=0, description="The longest one attempt of a job may run, in seconds."
    )
    threads: int = Field(8, ge=1, description="Threads per capability for slow functions.")
    keep_uploads_s: float = Field(
        24 * 3600.0, gt=0, description="How long an unused upload is kept, in seconds."
    )
    log_level: str = Field("INFO", description="The least severe log line that is written.")


def load_settings(config: Path | None = None, **given: Any) -> Settings:
    """The settings of this process.

    Args:
        config: A traitlets configuration file; `WORKBENCH_CONFIG` names one otherwise.
        given: Settings that win over every other source (command-line options, tests).

    Raises:
        Invalid: A setting has a value it cannot have; the sentence names it.
    """
    values: dict[str, Any] = {}
    source = config or (
        Path(os.environ["WORKBENCH_CONFIG"]) if os.environ.get("WORKBENCH_CONFIG") else None
    )
    if source is not None:
        values |= _from_file(source)
    values |= _from_environment()
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise Invalid(
            f"The setting {name} cannot be {first['input']!r}: {first['msg']}.",
            hint="See docs/reference.md for every setting.",
        ) from error
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def _from_file(path: Path) -> dict[str, Any]:
    from traitlets.config.loader import PyFileConfigLoader

    if not path.is_file():
        raise Invalid(f"There is no configuration file {path}.", hint="See WORKBENCH_CONFIG.")
    loaded = PyFileConfigLoader(path.name, path=str(path.parent)).load_config()
    return dict(loaded.get("Workbench", {}))


def _from_environment() -> dict[str, Any]:
    values: dict[str, Any] = {}
    urls = {
        name.removeprefix("WORKBENCH_URL_").lower().replace("__", "."): url
        for name, url in os.environ.items()
        if name.startswith("WORKBENCH_URL_")
    }
    if urls:
        values["urls"] = urls
    for name in Settings.model_fields:
        given = os.environ.get(f"WORKBENCH_{name.upper()}")
        if given and name != "urls":
            many = name in ("hosts", "rooms")
            values[name] = [each.strip() for each in given.split(",")] if many else given
    return values


class Whereabouts(BaseModel):
    """What the environment says about the Studio this process belongs to."""

    url: str | None = None
    token: str | None = None
    project: str | None = None
    service_url: str | None = None
    """The address a hub told its service to listen at."""
    service_prefix: str = "/services/studio/"


def whereabouts() -> Whereabouts:
    """The Studio that a kernel, or a service of a hub, belongs to."""
    return Whereabouts(
        url=os.environ.get("WORKBENCH_STUDIO_URL"),
        token=os.environ.get("JUPYTERHUB_API_TOKEN"),
        project=os.environ.get("WORKBENCH_PROJECT"),
        service_url=os.environ.get("JUPYTERHUB_SERVICE_URL"),
        service_prefix=os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or "/services/studio/",
    )


def local_person() -> str:
    """The name of the person who runs the Studio here: the first administrator's, in the shell.

    A name that cannot be an account (or is the system's `root`) becomes `admin`.
    """
    try:
        name = getpass.getuser().lower()
    except (KeyError, OSError):
        return "admin"
    return name if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,31}", name) and name != "root" else "admin"
