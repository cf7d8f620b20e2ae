"""Settings: default < `jupyter_config.py` (`c.Workbench.… = …`) < `WORKBENCH_…`; frozen at start.

This is the only module that reads the environment or the configuration file.
"""

import getpass
import json
import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import Invalid
from .ids import label_of


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
    hub_db_url: str = Field(
        "sqlite:///",
        description="The database of JupyterHub's accounts, sessions and tokens: hub.sqlite of the "
        "home, or postgresql://user@host:5432/database. Give passwords by PGPASSWORD or by "
        "?passfile=keys/pgpass (a file of libpq, below the home if relative), never in here.",
    )
    port: int = Field(
        8000, ge=1, le=65535, description="The port of the one address the Studio is opened at."
    )
    host: str = Field("127.0.0.1", description="The address the Studio listens on.")
    domain: str = Field(
        "",
        description="The host name people open the Studio at, if it has one with a wildcard below "
        "it (*.domain): each project is then served from an origin of its own. `localhost` where "
        "the Studio listens on the loopback address; elsewhere none unless given.",
    )
    tls_certificate: str = Field(
        "",
        description="A file with the certificate (PEM, with its chain), or `generate` for one the "
        "Studio signs itself. The Studio is then served over HTTPS.",
    )
    tls_key: str = Field("", description="The file with the certificate's private key (PEM).")
    oidc_issuer: str = Field(
        "",
        description="The address of an OpenID Connect provider that people may sign in with "
        "(its `/.well-known/openid-configuration` is read). The address to register with it is "
        "the Studio's own with `hub/oidc/callback` at its end.",
    )
    oidc_client_id: str = Field("", description="The Studio's client id at that provider.")
    oidc_client_secret_file: str = Field(
        "keys/oidc", description="The file with the client's secret; below the home if relative."
    )
    oidc_name: str = Field("your organisation", description="What the sign-in page calls it.")
    oidc_groups_claim: str = Field("groups", description="The claim that lists a person's groups.")
    oidc_groups: dict[str, list[tuple[str, Literal["viewer", "editor", "owner"]]]] = Field(
        default_factory=dict,
        description="Group → the projects (by id, or by a name that one project has) its members "
        "are in, each with their role.",
    )
    oidc_admins: list[str] = Field(
        default_factory=list, description="Groups whose members are administrators."
    )
    oidc_allowed: list[str] = Field(
        default_factory=list,
        description="Groups whose members may sign in; whoever the provider knows, if empty.",
    )
    reachable: list[str] = Field(
        default_factory=list,
        description="Host names or networks (CIDR) that connections may reach although they lie "
        "on this machine or on its link.",
    )
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
    servers: Literal["local", "kubernetes"] = Field(
        "local",
        description="Where projects' servers run: in sandboxes of this machine, or each in a pod "
        "of its own (extra `kubernetes`; `workbench deploy kubernetes` writes what it needs).",
    )
    pods_port: int = Field(
        8001,
        ge=1,
        le=65535,
        description="Where the Studio answers the code of projects that run in pods, and nobody "
        "else; closed unless `servers` is `kubernetes`.",
    )
    server_memory_mb: int = Field(
        8_192,
        ge=512,
        description="The memory one process of a project's server or kernel may use, in MiB.",
    )
    project_disk_mb: int = Field(
        0, ge=0, description="The most a project may hold on disk, in MiB; 0: no limit."
    )
    project_jobs: int = Field(
        0, ge=0, description="The most jobs of a project that wait or run at once; 0: no limit."
    )
    idle_s: float = Field(
        0.0,
        ge=0,
        description="A project's server that nobody used and nothing ran in for so long is "
        "stopped, in seconds; 0: never. A running cell, a command in a terminal and a job of the "
        "project are work that runs.",
    )
    job_slots: int = Field(1, ge=1, description="How many jobs run at once.")
    job_limit_s: float = Field(
        6 * 3600.0, gt=0, description="The longest one attempt of a job may run, in seconds."
    )
    threads: int = Field(8, ge=1, description="Threads per capability for slow functions.")
    keep_uploads_s: float = Field(
        24 * 3600.0, gt=0, description="How long an unused upload is kept, in seconds."
    )
    keep_jobs_days: float = Field(
        180.0,
        ge=0,
        description="How long what a finished job told, and its log, are kept, in days; 0: for "
        "ever. The job itself and what came of it stay.",
    )
    keep_answers_days: float = Field(
        14.0,
        gt=0,
        description="How long a repeated write is answered by its idempotency key, in days.",
    )
    keep_logs_days: float = Field(
        30.0, ge=0, description="How long former log files are kept, in days; 0: for ever."
    )
    keep_backups: int = Field(
        0,
        ge=0,
        description="How many backups are kept in the home's own folder of them; 0: all.",
    )
    log_level: str = Field("INFO", description="The least severe log line that is written.")
    log_format: Literal["text", "json"] = Field(
        "text", description="How a log line is written: for people, or as a JSON object."
    )
    metrics_token_file: str = Field(
        "keys/metrics",
        description="The file with the token that a scraper shows for metrics, made at the start "
        "if it is missing; below the home if relative.",
    )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the Studio."""
        return self.host in ("127.0.0.1", "localhost", "::1")

    @property
    def wildcard(self) -> str:
        """The domain below which every project has a host name of its own; empty if none."""
        return self.domain or ("localhost" if self.loopback else "")

    @property
    def address(self) -> str:
        """The one address people open, with a slash at the end."""
        anywhere = self.host in ("", "0.0.0.0", "::")
        name = self.wildcard or ("127.0.0.1" if anywhere else self.host)
        return f"{self.scheme}://{name}{self.at_port}/"

    @property
    def names(self) -> list[str]:
        """The host names the Studio's own pages answer to."""
        return [*self.hosts, *([self.wildcard] if self.wildcard else [])]

    @property
    def scheme(self) -> str:
        """`http`, or `https` with a certificate."""
        return "https" if self.tls_certificate else "http"

    @property
    def at_port(self) -> str:
        """The port as it stands in an address: empty for the scheme's own."""
        usual = 443 if self.scheme == "https" else 80
        return "" if self.port == usual else f":{self.port}"

    def lab(self, project: str) -> str:
        """The address of a project's JupyterLab."""
        return f"{self.origin(project)}/user/{label_of(project)}/lab"

    def origin(self, project: str) -> str:
        """The origin a project's pages are served from, without a slash at the end.

        Without a wildcard domain it is the Studio's own, and pages of projects are not kept
        apart from it by the browser.
        """
        if not self.wildcard:
            return self.address.rstrip("/")
        return f"{self.scheme}://{label_of(project)}.{self.wildcard}{self.at_port}"


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
            many = name in ("hosts", "rooms", "reachable", "oidc_admins", "oidc_allowed")
            values[name] = [each.strip() for each in given.split(",")] if many else given
            if name == "oidc_groups":
                values[name] = json.loads(given)
    return values


class Whereabouts(BaseModel):
    """What the environment says about the Studio this process belongs to."""

    url: str | None = None
    token: str | None = None
    project: str | None = None
    service_url: str | None = None
    """The address a hub told its service to listen at."""
    service_prefix: str = "/services/studio/"
    hub_api: str = ""
    """The address of the hub's REST API."""
    proxy_url: str = ""
    """Where the hub's own proxy listens, behind the gateway."""
    gateway_port: int = 0
    """Where the gateway answers the hub."""


def whereabouts() -> Whereabouts:
    """The Studio that a kernel, or a service of a hub, belongs to."""
    return Whereabouts(
        url=os.environ.get("WORKBENCH_STUDIO_URL"),
        token=os.environ.get("WORKBENCH_TOKEN") or os.environ.get("JUPYTERHUB_API_TOKEN"),
        project=os.environ.get("WORKBENCH_PROJECT"),
        service_url=os.environ.get("JUPYTERHUB_SERVICE_URL"),
        service_prefix=os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or "/services/studio/",
        hub_api=os.environ.get("JUPYTERHUB_API_URL") or "",
        proxy_url=os.environ.get("STUDIO_PROXY_URL") or "",
        gateway_port=int(os.environ.get("STUDIO_GATEWAY_PORT") or 0),
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
