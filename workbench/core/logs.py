"""Logs: one line an entry, as text or as JSON, with the call it belongs to and nothing secret.

Every process of ours writes to its standard error, which its parent leads to a file of the home.
"""

import json
import logging
import re
import traceback
from datetime import UTC, datetime
from typing import Any

from .context import current
from .settings import Settings

FORMATTERS = {"text": "TextLines", "json": "JsonLines"}
CHATTY = ("httpx", "alembic", "asyncio", "dbos")
"""Loggers whose every step nobody needs."""

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
_SECRET = re.compile(
    r"(?i)\b(token|ticket|code|signature|password|secret|api_key|_xsrf)=[^&\s\"'>]{6,}"
    r"|\b(bearer|token) [\w.~+/-]{12,}=*"
    r"|\b(session|local|metrics)-[\w-]{20,}"
)


def configure_logging(settings: Settings, *, level: str | None = None) -> None:
    """Have this process write its log as the settings say, to its standard error.

    Args:
        settings: `log_format` and `log_level`.
        level: The least severe line, where it is not the setting's.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    logging.basicConfig(level=level or settings.log_level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


def logging_config(settings: Settings) -> dict[str, Any]:
    """The same for an application of traitlets, as its option `logging_config`."""
    name = FORMATTERS[settings.log_format]
    own = {"level": settings.log_level, "handlers": ["console"], "propagate": False}
    return {
        "formatters": {"console": {"class": f"{__name__}.{name}"}},
        "loggers": {"workbench": own},
    }


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says beside its message: the call it belongs to, and what was put in `extra`."""
    told: dict[str, Any] = {}
    ctx = current.get()
    if ctx is not None:
        told = {"trace": ctx.trace, "actor": str(ctx.actor), "project": ctx.project}
        told |= {"job": ctx.job.id} if ctx.job.id else {}
    extra = {k: v for k, v in vars(record).items() if k not in _OWN and not k.startswith("_")}
    return {k: v for k, v in (told | extra).items() if v not in ("", None)}


def scrubbed(text: str) -> str:
    """The text without what lets somebody in.

    Example:
        >>> scrubbed("GET /hub/welcome?token=abcdefgh")
        'GET /hub/welcome?token=…'
    """
    return _SECRET.sub(_veiled, text)


def _veiled(found: re.Match[str]) -> str:
    name = next(filter(None, found.groups()))
    return f"{name}{found[0][len(name)]}…"


def _moment(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(record: logging.LogRecord) -> str:
    told = record.exc_text or ""
    if record.exc_info and record.exc_info[0] is not None:
        told = "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return "\n".join(filter(None, (told, record.stack_info or "")))


class _Lines(logging.Formatter):
    """Takes what `logging.config` gives a formatter, and needs none of it."""

    def __init__(
        self, fmt: str | None = None, datefmt: str | None = None, style: Any = "%"
    ) -> None:
        super().__init__()


class TextLines(_Lines):
    """`2026-11-25T09:30:00.000Z INFO logger [trc_… person:ada prj_…] message name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """A line; a traceback follows, indented by two."""
        told = facts(record)
        known = [str(told.pop(name)) for name in ("trace", "actor", "project") if name in told]
        parts = [_moment(record), record.levelname, record.name]
        parts += [f"[{' '.join(known)}]"] if known else []
        parts += [record.getMessage().replace("\n", "\n  ")]
        parts += [f"{name}={value}" for name, value in told.items()]
        after = _traceback(record).replace("\n", "\n  ")
        return scrubbed(" ".join(parts) + (f"\n  {after}" if after else ""))


class JsonLines(_Lines):
    """A JSON object a line: `time level logger message`, then what `facts` says."""

    def format(self, record: logging.LogRecord) -> str:
        """A line; a traceback is its field `exception`."""
        told = {
            "time": _moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        } | facts(record)
        if after := _traceback(record):
            told["exception"] = after
        return scrubbed(json.dumps(told, default=str, ensure_ascii=False))
