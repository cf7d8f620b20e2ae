"""Columns: clean names, kinds, and which look sensitive."""

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .types import Kind

if TYPE_CHECKING:
    import pyarrow as pa

NAME_LIMIT = 120
CATEGORIES_LIMIT = 1_000
FEW = 50
LONG_TEXT = 80

SENSITIVE = {
    r"sex|gender": "sex",
    r"race|ethnic|afam|skin": "race or ethnicity",
    r"\bage\b|birth|dob": "age",
    r"religio|creed": "religion",
    r"national|citizen|foreign|native.?country|immigra": "nationality",
    r"marital|married|single|spouse|divorc": "family status",
    r"disab|handicap|pregnan|health|diagnos": "health",
    r"orientation|lgbt": "sexual orientation",
    r"political|union.?member": "political opinion or union membership",
}


def looks_sensitive(name: str) -> str:
    """What a column's name suggests it tells about a person; empty if nothing.

    Example:
        >>> looks_sensitive("Sex"), looks_sensitive("personal_status_and_sex")
        ('sex', 'sex')
        >>> looks_sensitive("mileage")
        ''
    """
    words = re.sub(r"[_\W]+", " ", name).lower()
    for pattern, what in SENSITIVE.items():
        if re.search(rf"(?<![a-z])(?:{pattern})", words):
            return what
    return ""


def clean_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names that a table, SQL and a person can use, and what had to be changed.

    Empty names get a number, control characters go, long ones are cut, and names that are equal
    but for case get a number, because SQL does not tell them apart.

    Example:
        >>> clean_names(["a", "A", ""])
        (['a', 'A_2', 'column_3'], ["'A' is there twice: one is now A_2.", 'Column 3 has no name: it is now column_3.'])
    """  # noqa: E501
    made: list[str] = []
    told: list[str] = []
    taken: set[str] = set()
    for place, given in enumerate(names, start=1):
        name = unicodedata.normalize("NFC", str(given))
        name = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in name)
        name = re.sub(r"\s+", " ", name).strip().strip("\ufeff")[:NAME_LIMIT].strip()
        if not name:
            name = f"column_{place}"
            told.append(f"Column {place} has no name: it is now {name}.")
        elif name != str(given).strip():
            told.append(f"Column {place} had a name that cannot be used: it is now {name!r}.")
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}_{number}", number + 1
        if unique != name:
            told.append(f"{name!r} is there twice: one is now {unique}.")
        taken.add(unique.casefold())
        made.append(unique)
    return made, told


def kind_of(type: "pa.DataType", distinct: int, rows: int, length: float) -> Kind:
    """What a column is, to a person who models with it.

    Args:
        type: Its Arrow type.
        distinct: How many values, about.
        rows: How many rows are not missing.
        length: The mean length of its texts.
    """
    import pyarrow.types as is_

    if is_.is_boolean(type):
        return "boolean"
    if is_.is_integer(type):
        return "integer"
    if is_.is_floating(type) or is_.is_decimal(type):
        return "number"
    if is_.is_temporal(type):
        return "time"
    many = distinct > CATEGORIES_LIMIT or (distinct > FEW and distinct > 0.2 * rows)
    return "text" if many or length > LONG_TEXT else "category"
