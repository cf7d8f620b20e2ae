"""What the wheel carries besides the package: read by hatchling from `pyproject.toml`.

- the built Lab extension, as `share/jupyter/labextensions/@nexus-workbench/studio`, so that a
  user's machine needs no Node;
- `jupyter_config.py`, `dashboards/` and `notebooks/`, as `workbench/_config/…`: in a checkout
  they lie at the top, in an installed Studio there.

An editable install carries neither: `make setup` links the extension into the environment.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LAB = "extensions/studio/labextension"
SHARE = "share/jupyter/labextensions/@nexus-workbench/studio"
CONFIG = ("jupyter_config.py", "dashboards", "notebooks")


class Carry(BuildHookInterface[Any]):
    """Adds the built extension and the configuration to what is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files, or stop with what to do.

        Raises:
            RuntimeError: The Lab extension was not built, or a configuration file is missing.
        """
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / LAB / "package.json").is_file():
            raise RuntimeError(
                f"{LAB} is not built, and a wheel without it has no panel. Run: make wheel"
            )
        missing = [name for name in CONFIG if not (root / name).exists()]
        if missing:
            raise RuntimeError(f"The checkout lacks {', '.join(missing)}; the Studio needs it.")
        if self.target_name != "wheel":
            return
        build_data["shared_data"][LAB] = SHARE
        marker = "extensions/studio/install.json"
        if (root / marker).is_file():
            build_data["shared_data"][marker] = f"{SHARE}/install.json"
        for name in CONFIG:
            build_data["force_include"][str(root / name)] = f"workbench/_config/{name}"
