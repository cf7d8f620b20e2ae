"""The configuration of hub and notebook server, called by `jupyter_config.py`."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from traitlets.config import Application, Config
from traitlets.config.loader import PyFileConfigLoader

from workbench.core import Settings, load_settings

SERVICES = {"studio": "workbench.api.serve", "dashboards": "workbench.publishing.serve"}
HERE = Path(__file__).parent

_reading = False


def configure(c: Config, file: str) -> None:
    """Fill in the configuration of whichever application reads the file.

    A file of one's own, named by `WORKBENCH_CONFIG`, is read after this one and wins.

    Args:
        c: The configuration being read.
        file: The configuration file itself: the notebook servers read it too.
    """
    global _reading
    if _reading:
        return
    if _application() == "JupyterHub":
        # The settings stand in the same file, which is read once more for them.
        own = Path(os.environ.get("WORKBENCH_CONFIG") or file)
        _reading = True
        try:
            configure_hub(c, load_settings(own), file)
            if not own.samefile(file):
                c.merge(PyFileConfigLoader(own.name, path=str(own.parent)).load_config())
        finally:
            _reading = False
    elif "jupyter_server" in sys.modules:
        configure_server(c)


def configure_hub(c: Config, settings: Settings, file: str) -> None:
    """JupyterHub: everything below the home, one address, services behind its sign-in."""
    from .accounts import StudioAuthenticator
    from .processes import free_ports
    from .proxy import find_proxy, install_proxy, node
    from .spawner import StudioSpawner

    home = settings.home
    for name in ("", "keys", "logs", "run", "people"):
        (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    services = {name: module for name, module in SERVICES.items() if _exists(module)}
    hub_port, api_port, *ports = free_ports(2 + len(services))

    hub = c.JupyterHub
    hub.bind_url = f"http://{settings.host}:{settings.port}"
    hub.hub_bind_url = f"http://127.0.0.1:{hub_port}"
    hub.db_url = f"sqlite:///{home / 'hub.sqlite'}"
    hub.upgrade_db = True
    hub.cookie_secret_file = str(home / "keys" / "cookie_secret")
    hub.template_paths = [str(HERE / "templates")]
    hub.log_level = settings.log_level
    hub.cleanup_servers = True
    hub.tornado_settings = {
        "slow_spawn_timeout": 0,
        "headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"},
    }
    hub.load_roles = [{"name": "user", "scopes": ["self", "access:services"]}]
    hub.services = [
        {
            "name": name,
            "url": f"http://127.0.0.1:{port}",
            "command": _logged(home, name, [sys.executable, "-m", module]),
            "environment": _own_environment(file),
            "oauth_no_confirm": True,
            "display": name != "studio",
        }
        for (name, module), port in zip(services.items(), ports, strict=True)
    ]

    proxy = c.ConfigurableHTTPProxy
    script = find_proxy(home) or install_proxy(home)
    proxy.command = _logged(home, "proxy", [str(node()), str(script)])
    proxy.api_url = f"http://127.0.0.1:{api_port}"
    proxy.pid_file = str(home / "run" / "proxy.pid")

    hub.authenticator_class = StudioAuthenticator
    c.StudioAuthenticator.home = str(home)

    hub.spawner_class = StudioSpawner
    local = "127.0.0.1" if settings.host in ("", "0.0.0.0", "::") else settings.host
    c.StudioSpawner.settings = settings
    c.StudioSpawner.studio_url = f"http://{local}:{settings.port}/services/studio/"
    # How soon a service or server that died is noticed; a service is then started again.
    c.LocalProcessSpawner.poll_interval = 3
    c.Spawner.default_url = "/lab"
    c.Spawner.start_timeout = 120
    c.Spawner.http_timeout = 120
    c.Spawner.args = [f"--config={file}", *(["--allow-root"] if os.geteuid() == 0 else [])]
    c.Spawner.server_token_scopes = [
        "users:activity!user",
        "access:servers!server",
        *(f"access:services!service={name}" for name in services),
    ]


def configure_server(c: Config) -> None:
    """A person's JupyterLab: no news, no second welcome page, databases in the person's folder."""
    from jupyter_core.paths import jupyter_data_dir

    c.ServerApp.quit_button = False
    # It shares message ids with what executes cells on the server, and stalls it.
    c.ServerApp.jpserver_extensions = {"jupyter_resource_usage": False, "nbclassic": False}
    c.LabApp.news_url = None
    c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
    c.LabApp.extension_manager = "readonly"
    c.LabApp.app_settings_dir = str(HERE / "lab")
    # Otherwise it lies among the project's files.
    c.SQLiteYStore.db_path = str(Path(jupyter_data_dir()) / "rooms.db")


def _application() -> str:
    return type(Application.instance()).__name__ if Application.initialized() else ""


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _logged(home: Path, name: str, command: list[str]) -> list[str]:
    log = str(home / "logs" / f"{name}.log")
    return [sys.executable, "-m", "workbench.hub.logged", log, *command]


def _own_environment(file: str) -> dict[str, Any]:
    """What a service of ours needs to come to the same settings."""
    given = {name: value for name, value in os.environ.items() if name.startswith("WORKBENCH_")}
    return {"WORKBENCH_CONFIG": file, **given}
