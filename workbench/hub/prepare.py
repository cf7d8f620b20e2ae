"""`python -m workbench.hub.prepare`: what the hub needs before it starts, as one JSON object.

Installs the proxy if it is missing (progress on standard error), and makes the first
administrator's link while nobody can sign in. Errors are the problem object, exit code 1.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import workbench
from workbench.core import Unavailable, WorkbenchError, load_settings, local_person

from .proxy import find_proxy, install_proxy, node
from .welcome import first_account, issue


def config_file() -> Path:
    """`jupyter_config.py`: of the checkout, or the one inside the wheel.

    Raises:
        Unavailable: Neither is there.
    """
    package = Path(workbench.__file__).parent
    for folder in (package.parent, package / "_config"):
        if (folder / "jupyter_config.py").is_file():
            return folder / "jupyter_config.py"
    raise Unavailable(
        f"There is no jupyter_config.py beside {package}.", hint="Install nexus-workbench again."
    )


def prepare() -> dict[str, str | None]:
    """See the module."""
    settings = load_settings()
    home = settings.home
    proxy = find_proxy(home) or install_proxy(home)
    token = None
    if first_account(settings) is None:
        token = issue(home, local_person(), admin=True, now=datetime.now(UTC))
    found = {"config": str(config_file()), "node": str(node()), "proxy": str(proxy)}
    return {**found, "welcome": token}


if __name__ == "__main__":
    try:
        print(json.dumps(prepare()))
    except WorkbenchError as error:
        print(json.dumps(error.as_problem()))
        sys.exit(1)
