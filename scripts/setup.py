"""The environment, step by step, for the Makefile. Standard library only; run it from the root.

    python3.12 scripts/setup.py environment     make .venv
    .venv/bin/python scripts/setup.py install   the packages of requirements.lock

Every step says what it does while it does it, and, when it cannot, why and what to do.
"""

import argparse
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections import Counter
from compileall import compile_dir
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
LAB = ROOT / "extensions/studio/labextension"
NEEDED_MIB = 4096
"""Disk the environment and its downloads take on Linux with a CPU build of torch, rounded up."""
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""PyTorch's own index of builds without CUDA (several GB less on Linux)."""

NOT_COMPILED = re.compile(r"/tests?/|/kubernetes_asyncio/")
"""A third of all sources, which no project's code imports."""


def say(text: str) -> None:
    """One line of progress."""
    print(f"== {text}", flush=True)


def stop(*lines: str) -> None:
    """End with what is wrong and what to do."""
    print("\n".join(lines), file=sys.stderr)
    raise SystemExit(1)


def environment() -> None:
    """Make `.venv`, or say which package of the distribution is missing."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if find_spec("venv") is None or find_spec("ensurepip") is None:
        stop(
            f"Python {version} ({sys.executable}) lacks venv or ensurepip, so it cannot make an "
            "environment.",
            f"Debian, Ubuntu: apt install python{version}-venv. Elsewhere: the full python3 "
            "package, or",
            "name another Python: make run PYTHON=/path/to/python3.12",
        )
    enough_disk()
    say(f"environment .venv with Python {version}")
    subprocess.run([sys.executable, "-m", "venv", str(ROOT / ".venv")], check=True)


def enough_disk() -> None:
    """Stop before a disk is filled half way."""
    free = shutil.disk_usage(ROOT).free // 2**20
    if free < NEEDED_MIB:
        stop(
            f"The disk that holds {ROOT} has {free} MiB free; the environment takes up to "
            f"{NEEDED_MIB}.",
            "Make room, or clone onto another disk.",
        )


def install() -> None:
    """Bring the environment to requirements.lock: torch by pip, then the rest, exactly."""
    uv = installer()
    torch()
    pins = [line for line in LOCK.read_text().splitlines() if not re.match(r"torch\b", line)]
    rest = ROOT / ".state/without-torch.txt"
    rest.parent.mkdir(exist_ok=True)
    rest.write_text("\n".join(pins) + "\n")
    say(f"{sum('==' in pin for pin in pins)} packages of requirements.lock")
    result = run([*uv, "--no-deps", "-r", str(rest)])
    if result:
        stop(*why_not())
    run([sys.executable, "-m", "pip", "check"], quiet=True)
    say("their bytecode (a minute): a project's sandbox reads it and cannot make it")
    compile_dir(sysconfig.get_path("purelib"), quiet=2, workers=0, rx=NOT_COMPILED)


def installer() -> list[str]:
    """The command that installs: uv, which is fast, where pip can get it; pip otherwise."""
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    if find_spec("uv") is None:
        say("uv, which installs the rest quickly")
        if run([*pip, f"uv=={pinned('uv')}"]):
            say("uv cannot be had; pip does it (slower)")
            return pip
    return [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]


def torch() -> None:
    """Keep a torch that is there; otherwise install the pinned one by pip."""
    wanted = pinned("torch")
    try:
        found = metadata.version("torch")
    except metadata.PackageNotFoundError:
        found = ""
    if found:
        if found.partition("+")[0] != wanted:
            say(f"torch {found} is kept (tested is {wanted}; pip uninstall torch to change it)")
        return
    enough_disk()
    pip = [sys.executable, "-m", "pip", "install", "--progress-bar", "on"]
    pip += ["--disable-pip-version-check", "-c", str(LOCK)]
    if cpu_build_is_due():
        say(f"torch {wanted}, the build without CUDA (pip install torch yourself first for CUDA)")
        if not run([*pip, f"torch=={wanted}", "--extra-index-url", CPU_INDEX, "--prefer-binary"]):
            return
    say(f"torch {wanted}")
    if run([*pip, f"torch=={wanted}"]):
        stop(*why_not())


def cpu_build_is_due() -> bool:
    """Whether PyTorch's CPU index should be asked: Linux on x86-64, no GPU, and it answers."""
    if sys.platform != "linux" or platform.machine() != "x86_64" or shutil.which("nvidia-smi"):
        return False
    if os.environ.get("PIP_NO_INDEX") or os.environ.get("WORKBENCH_TORCH") == "plain":
        return False
    host = CPU_INDEX.split("/")[2]
    try:
        socket.create_connection((host, 443), timeout=3).close()
    except OSError:
        return False
    return True


def pinned(name: str) -> str:
    """The version requirements.lock gives a package."""
    found = re.search(rf"^{re.escape(name)}==([^\s;]+)", LOCK.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"requirements.lock has no {name}; run make lock.")
    return found[1]


def why_not() -> list[str]:
    """What stops an installation most often, with what was found here."""
    free = shutil.disk_usage(ROOT).free // 2**20
    lines = ["", "The packages could not be installed; the lines above say which one and why."]
    if free < 512:
        lines.append(f"- The disk is full: {free} MiB free. Make room and run make again.")
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        lines.append(
            "- No C compiler is here, and none is needed: every package has a wheel for Linux "
            "(x86-64, aarch64) and macOS on Python 3.11 to 3.13. If one tried to build, this is "
            f"another platform ({platform.machine()}, Python {platform.python_version()}): use "
            "one of those, or install a compiler."
        )
    lines.append("- No network? pip's own settings are honoured: PIP_INDEX_URL, PIP_FIND_LINKS, …")
    lines.append("Run make again to go on from where it stopped.")
    return lines


def package() -> None:
    """Install this checkout, editable, without touching anything else."""
    built = [*installer(), "--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    if run(built):
        stop("This checkout could not be installed; the lines above say why.")


def link() -> None:
    """Make JupyterLab of the environment see the extension of this checkout."""
    built = json.loads((LAB / "package.json").read_text())
    place = Path(sys.prefix) / "share/jupyter/labextensions" / built["name"]
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.is_dir():
        shutil.rmtree(place)
    place.symlink_to(LAB, target_is_directory=True)
    say(f"JupyterLab has {built['name']} {built['version']}")


def browser() -> None:
    """Print the path of a Chromium for the tests, installing one if that is possible."""
    named = os.environ.get("WORKBENCH_BROWSER", "")
    if named:
        if not shutil.which(named):
            stop(f"WORKBENCH_BROWSER names {named!r}, which is no program.")
        print(shutil.which(named))
        return
    found = on_path() or playwrights()
    if not found:
        steps = [[sys.executable, "-m", "playwright", "install", "chromium"]]
        if shutil.which("apt-get") and os.geteuid() == 0:
            steps += [["apt-get", "update"], ["apt-get", "install", "-y", "chromium"]]
        for step in steps:
            print("==", *step, file=sys.stderr, flush=True)
            subprocess.run(step, stdout=sys.stderr, check=False, timeout=900)
            found = on_path() or playwrights()
            if found:
                break
    if not found:
        stop(
            "No browser was found and none could be installed.",
            "Install Chromium or Chrome (Debian: apt install chromium), or name one: "
            "WORKBENCH_BROWSER=/path/to/chrome make e2e",
        )
    print(found)


def on_path() -> str | None:
    """A Chromium or Chrome of the machine."""
    names = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def playwrights() -> str | None:
    """The browser Playwright installed, if it did and it starts."""
    ask = (
        "from playwright.sync_api import sync_playwright as p\n"
        "with p() as run: print(run.chromium.executable_path)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=False, timeout=60
    )
    path = answer.stdout.strip()
    return path if path and Path(path).is_file() else None


def wheelhouse() -> None:
    """Everything `pip install --no-index` needs, in `wheelhouse/`."""
    house = ROOT / "wheelhouse"
    house.mkdir(exist_ok=True)
    wheel = [sys.executable, "-m", "pip", "wheel", "--wheel-dir", str(house)]
    wheel += ["--find-links", str(house), "--disable-pip-version-check"]
    say("torch and what it needs")
    extra = ["--extra-index-url", CPU_INDEX] if "+cpu" in version_of("torch") else []
    extra = extra if cpu_build_is_due() else []
    if run([*wheel, *extra, "-c", str(LOCK), f"torch=={pinned('torch')}"]):
        stop(*why_not())
    rest = ROOT / ".state/without-torch.txt"
    say("the packages of requirements.lock")
    if run([*wheel, "--no-deps", "-r", str(rest)]):
        stop(*why_not())
    for built in (ROOT / "dist").glob("nexus_workbench-*.whl"):
        shutil.copy2(built, house)
    size = sum(file.stat().st_size for file in house.iterdir()) // 2**20
    say(f"{len(list(house.glob('*.whl')))} wheels, {size} MiB. On the other machine:")
    print("  pip install --no-index --find-links wheelhouse 'nexus-workbench[all]'")


def version_of(name: str) -> str:
    """The installed version of a package, empty if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def lock(arguments: list[str]) -> None:
    """Resolve requirements.lock for every platform; pins that need not move stay.

    Args:
        arguments: Passed to `uv pip compile`, e.g. `--upgrade-package duckdb`.
    """
    installer()
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--all-extras"]
    command += ["--universal", "--python-version", "3.11", "--no-annotate", "--no-header"]
    command += ["--quiet", *arguments]
    if run([*command, "--output-file", str(LOCK)]):
        stop("The requirements of pyproject.toml have no common solution; see above.")
    pins = [line for line in LOCK.read_text().splitlines() if re.match(r"[a-z0-9]", line)]
    # What holds on every platform of [tool.uv] need not be said on every line.
    markers = Counter(pin.partition(" ; ")[2] for pin in pins)
    everywhere = f" ; {markers.most_common(1)[0][0]}"
    pins = [pin.removesuffix(everywhere) for pin in pins]
    LOCK.write_text(HEADER + "\n".join(pins) + "\n")
    say(f"requirements.lock: {len(pins)} pins")


HEADER = (
    "# Every package of nexus-workbench[all], pinned. Made by `make lock` from pyproject.toml;\n"
    "# torch is installed first, by pip (scripts/setup.py), so its CUDA libraries are not here.\n"
)


def run(command: list[str], *, quiet: bool = False) -> int:
    """Run a command in the checkout with its output on the terminal; its exit status."""
    environment = os.environ | {
        f"UV_{ours}": os.environ[f"PIP_{theirs}"]
        for theirs, ours in (
            ("INDEX_URL", "DEFAULT_INDEX"),
            ("EXTRA_INDEX_URL", "INDEX"),
            ("FIND_LINKS", "FIND_LINKS"),
            ("NO_INDEX", "NO_INDEX"),
        )
        if os.environ.get(f"PIP_{theirs}") and not os.environ.get(f"UV_{ours}")
    }
    environment.setdefault("UV_LINK_MODE", "copy")
    out = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=out, check=False).returncode


def main() -> None:
    """Run the step named on the command line."""
    steps = {
        step.__name__: step for step in (environment, install, package, link, browser, wheelhouse)
    }
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("step", choices=[*steps, "lock"])
    given, rest = parser.parse_known_args()
    if given.step == "lock":
        lock(rest)
    elif rest:
        parser.error(f"{given.step} takes no {' '.join(rest)}")
    else:
        steps[given.step]()


if __name__ == "__main__":
    main()
