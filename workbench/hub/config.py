"""The configuration of JupyterHub."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from traitlets.config import Config

from workbench.core import Settings, Unavailable
from workbench.core.logs import logging_config
from workbench.operations.access import metrics_token
from workbench.security import sandbox

SERVICES = {"studio": "workbench.api.serve", "dashboards": "workbench.publishing.serve"}
HERE = Path(__file__).parent
OIDC = (
    *("issuer", "client_id", "client_secret_file", "name"),
    *("groups", "admins", "allowed", "groups_claim"),
)
GATEWAY_SCOPES = ("admin:users", "admin:servers", "users:activity")
STUDIO_SCOPES = ("delete:servers",)
"""Administrators stop projects' servers from the Studio's pages; it may do nothing else."""
METRICS_SCOPES = ("read:metrics",)


def configure_hub(c: Config, settings: Settings, file: str) -> None:
    """JupyterHub: everything below the home, one address, services behind its sign-in."""
    from .accounts import StudioAuthenticator
    from .failing import explain_failures
    from .processes import free_ports
    from .proxy import find_proxy, install_proxy, node
    from .requests import ErrorId, log_request
    from .watching import watch_services
    from .welcome import hub_database

    watch_services()
    explain_failures()
    home = settings.home
    for name in ("", "keys", "logs", "run", "people"):
        (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    services = {name: module for name, module in SERVICES.items() if _exists(module)}
    hub_port, api_port, proxy_port, gateway_port, *ports = free_ports(4 + len(services))

    hub = c.JupyterHub
    # The gateway stands in front, at the Studio's address.
    hub.bind_url = f"http://127.0.0.1:{proxy_port}"
    hub.public_url = settings.address
    hub.default_url = "/services/studio/open"
    hub.hub_bind_url = f"http://127.0.0.1:{hub_port}"
    hub.db_url = hub_database(settings).render_as_string(hide_password=False)
    hub.upgrade_db = True
    hub.cookie_secret_file = str(home / "keys" / "cookie_secret")
    hub.template_paths = [str(HERE / "templates")]
    hub.log_level = settings.log_level
    hub.logging_config = logging_config(settings)
    hub.cleanup_servers = True
    hub.tornado_settings = {
        "log_function": log_request,
        "slow_spawn_timeout": 0,
        "headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"},
    }
    hub.load_roles = [
        {"name": "user", "scopes": ["self", "access:services"]},
        {"name": "gateway", "services": ["gateway"], "scopes": [*GATEWAY_SCOPES]},
        {"name": "studio", "services": ["studio"], "scopes": [*STUDIO_SCOPES]},
        {"name": "metrics", "services": ["metrics"], "scopes": [*METRICS_SCOPES]},
    ]
    hub.services = [
        {
            "name": "gateway",
            "command": _logged(home, "gateway", [sys.executable, "-m", "workbench.hub.gateway"]),
            "environment": {
                **_own_environment(file),
                "STUDIO_PROXY_URL": f"http://127.0.0.1:{proxy_port}",
                "STUDIO_GATEWAY_PORT": str(gateway_port),
            },
            "display": False,
        },
        *(
            {
                "name": name,
                "url": f"http://127.0.0.1:{port}",
                "command": _logged(home, name, [sys.executable, "-m", module]),
                "environment": _own_environment(file),
                "oauth_no_confirm": True,
                "timeout": 90,  # a machine that is busy starts it slowly
                "display": name != "studio",
            }
            for (name, module), port in zip(services.items(), ports, strict=True)
        ),
        # No process: whoever shows this token may read the hub's metrics.
        {"name": "metrics", "api_token": metrics_token(settings), "display": False},
    ]

    proxy = c.ConfigurableHTTPProxy
    script = find_proxy(home) or install_proxy(home)
    proxy.command = _logged(home, "proxy", [str(node()), str(script)])
    proxy.api_url = f"http://127.0.0.1:{api_port}"
    proxy.pid_file = str(home / "run" / "proxy.pid")

    hub.authenticator_class = StudioAuthenticator
    c.StudioAuthenticator.home = str(home)
    c.StudioAuthenticator.settings = settings
    if settings.oidc_issuer:
        for name in OIDC:
            setattr(c.StudioAuthenticator, f"oidc_{name}", getattr(settings, f"oidc_{name}"))
        c.StudioAuthenticator.oidc_callback = f"{settings.address}hub/oidc/callback"
    together = sandbox.why_not() if settings.servers == "local" else ""
    hub.template_vars = {"unsandboxed": together, "trace": ErrorId}

    spawner = _spawner(settings)
    hub.spawner_class = spawner
    own = c[spawner.__name__]
    own.settings = settings
    own.config_file = file
    own.gateway_port = gateway_port
    # How soon a project's server that died is noticed; services are looked at more often still.
    own.poll_interval = 3
    c.Spawner.start_timeout = 120
    c.Spawner.http_timeout = 120


def _spawner(settings: Settings) -> type:
    if settings.servers == "local":
        from .spawner import StudioSpawner

        return StudioSpawner
    try:
        from .pods import StudioKubeSpawner
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"Projects' servers cannot run in pods: {error.name} is not installed.",
            hint="Install nexus-workbench[kubernetes], or set servers to local.",
        ) from error
    return StudioKubeSpawner


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _logged(home: Path, name: str, command: list[str]) -> list[str]:
    log = str(home / "logs" / f"{name}.log")
    return [sys.executable, "-m", "workbench.hub.logged", log, *command]


def _own_environment(file: str) -> dict[str, Any]:
    """What a service of ours needs to come to the same settings, and to the same databases."""
    names = ("WORKBENCH_", "PG")  # libpq has a password, a certificate, … from PG…
    given = {name: value for name, value in os.environ.items() if name.startswith(names)}
    return {"WORKBENCH_CONFIG": file, **given}
