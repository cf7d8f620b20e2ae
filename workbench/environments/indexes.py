"""Where packages come from: what the machine's administrator configured, for uv."""

import ast
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from workbench.core import Settings

UV_FILES = (Path("/etc/uv/uv.toml"),)
PLAIN_SYSTEM = (Path("/usr"), Path("/etc/ssl"))
"""What is seen inside a sandbox anyhow."""


@dataclass
class Indexes:
    """What uv is told.

    Attributes:
        environment: Its variables. They may hold a password: never in an argument or a sentence.
        folders: Folders of this machine that it reads packages from.
        files: Name → the file it is given a copy of.
    """

    environment: dict[str, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)


def configured(settings: Settings) -> Indexes:
    """The indexes of this Studio: its setting, else uv's configuration file, else pip's.

    The setting `package_index` is an address, or several with spaces between: the first is the
    main one, and a package that one of the others has comes from there. A folder of wheels
    stands for all of them.
    """
    told: dict[str, str] = {}
    given = str(getattr(settings, "package_index", "")).split()
    found = Indexes()
    pip = _pip()
    if given:
        told["index-url"], told["extra-index-url"] = given[0], " ".join(given[1:])
        if _folder(given[0]) and not _is_index(given[0]):
            told = {"find-links": " ".join(given), "no-index": "true"}
    else:
        file = next((f for f in (_own(), *UV_FILES) if f is not None and f.is_file()), None)
        if file is not None:
            found.files["uv.toml"] = file
        else:
            names = ("index-url", "extra-index-url", "find-links", "no-index", "trusted-host")
            told = {name: pip[name] for name in names if pip.get(name)}
            if told.get("extra-index-url"):
                # Its administrator wrote it for pip, which takes the best version of them all.
                found.environment["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    for name, variable in _VARIABLES.items():
        if told.get(name):
            # The variables are lists each in its own way.
            between = "," if name == "find-links" else " "
            found.environment[variable] = between.join(told[name].split())
    if told.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        found.environment["UV_NO_INDEX"] = "1"
    for name in ("index-url", "extra-index-url", "find-links"):
        for each in told.get(name, "").split():
            folder = _folder(each)
            if folder is not None:
                # The pages of an index name files beside it.
                found.folders.append(folder.parent if _is_index(each) else folder)
    if pip.get("proxy"):
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            found.environment[variable] = pip["proxy"]
    certificates = Path(pip["cert"]) if pip.get("cert") else None
    if certificates is not None and certificates.is_file():
        found.files["ca.pem"] = certificates
    elif Path("/etc/ssl/certs").is_dir():
        found.environment["UV_SYSTEM_CERTS"] = "1"
    return found


_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
}


def _own() -> Path | None:
    try:
        return Path.home() / ".config" / "uv" / "uv.toml"
    except RuntimeError:
        return None


def _pip() -> dict[str, str]:
    """What pip is configured with here, by its own account; nothing where there is no pip."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    ranks: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        match = re.fullmatch(r"(global|install|:env:)\.([a-z-]+)=(.*)", line)
        if match:
            try:
                ranks[match[1]][match[2]] = str(ast.literal_eval(match[3]))
            except (SyntaxError, ValueError):
                continue  # not written the way pip writes it: not ours to understand
    return {name: value for rank in ranks.values() for name, value in rank.items()}


def _folder(address: str) -> Path | None:
    """The folder of this machine that an address means, if it means one."""
    parts = urlsplit(address)
    path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(address)
    return path if path.is_absolute() and path.is_dir() else None


def _is_index(address: str) -> bool:
    """Whether a folder has a page per package, rather than the packages."""
    folder = _folder(address)
    if folder is None or folder.parent == Path("/"):
        return False
    return not any(folder.glob("*.whl")) and any(each.is_dir() for each in folder.iterdir())


def shown(folders: list[Path]) -> dict[Path, str]:
    """These folders where they are, as far as a sandbox does not show them anyhow."""
    wanted = {each.resolve(): str(each) for each in folders}
    return {
        path: at
        for path, at in wanted.items()
        if path != Path("/") and not any(Path(at).is_relative_to(each) for each in PLAIN_SYSTEM)
    }
