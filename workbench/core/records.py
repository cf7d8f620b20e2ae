"""Records: the values that cross a boundary."""

import json
from hashlib import sha256
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Record(BaseModel):
    """A frozen, checked value, the same in Python, JSON and TypeScript.

    Answers tolerate new fields (an old client reads a new server); requests are strict.
    A Record that is stored names its `SCHEMA`: a stored one with a higher number is Refused,
    a lower one goes through `upgrade` first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=True)

    SCHEMA: ClassVar[int] = 1

    @classmethod
    def upgrade(cls, body: dict[str, Any], schema: int) -> dict[str, Any]:
        """The body of an older schema number, in today's shape."""
        return body


class Page(Record, Generic[T]):
    """A part of a list; `next` is the cursor of the part after it, None at the end."""

    items: list[T]
    next: str | None = None


class Done(Record):
    """A write that answers nothing but that it happened."""

    done: bool = True


def canonical(value: Any) -> bytes:
    """JSON with one spelling per value: sorted keys, no spaces, UTF-8 (after RFC 8785).

    Example:
        >>> canonical({"b": 1, "a": [True, None]})
        b'{"a":[true,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str
    ).encode()


def digest(value: Any) -> str:
    """The content id of a value: `sha256:` over its canonical JSON."""
    return f"sha256:{sha256(canonical(value)).hexdigest()}"
