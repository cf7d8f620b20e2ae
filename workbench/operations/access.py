"""The token by which a scraper reads metrics: of the Studio here, of JupyterHub at the hub."""

import hmac
import os
import secrets
from pathlib import Path

from workbench.core import Settings

PREFIX = "metrics-"


def token_file(settings: Settings) -> Path:
    """Where the token is kept."""
    return settings.home / settings.metrics_token_file


def metrics_token(settings: Settings) -> str:
    """The token; made if there is none. Only the Studio's user can read its file."""
    file = token_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(PREFIX + secrets.token_urlsafe(32))
    except FileExistsError:
        pass  # made before, or by the administrator
    return file.read_text().strip()


def is_metrics_token(settings: Settings, given: str) -> bool:
    """Whether somebody shows the token."""
    known = metrics_token(settings)
    return len(known) >= 16 and hmac.compare_digest(given.encode(), known.encode())
