"""Which columns of a text file are times: told from every value, not guessed."""

import duckdb

from .text import MISSING

LOOKED_ROWS = 1_000
ISO_TIME = r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
YEAR = r"(.*\D)?\d{4}(\D.*)?"


def quoted(name: str) -> str:
    """A name as SQL takes it literally."""
    return '"' + name.replace('"', '""') + '"'


def cleaned(name: str) -> str:
    """SQL for a text without spaces around it, NULL where it stands for a missing value."""
    missing = ", ".join(f"'{mark}'" for mark in MISSING)
    column = quoted(name)
    return f"CASE WHEN trim({column}) IN ({missing}) THEN NULL ELSE trim({column}) END"


def _forms() -> dict[str, tuple[str, str]]:
    """How a time may be written: SQL for its value and the whole text's pattern, by type."""
    forms = {
        "DATE": ("TRY_CAST({} AS DATE)", r"\d{4}-\d{2}-\d{2}"),
        "TIMESTAMP": ("TRY_CAST({} AS TIMESTAMP)", ISO_TIME),
    }
    for order in ("%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"):
        for clock in ("", " %H:%M", " %H:%M:%S"):
            type = "TIMESTAMP" if clock else "DATE"
            forms[order + clock] = (f"TRY_STRPTIME({{}}, '{order}{clock}')::{type}", YEAR)
    return forms


FORMS = _forms()


def times(relation: duckdb.DuckDBPyRelation) -> tuple[dict[str, str], list[str]]:
    """SQL for each text column that holds nothing but times of one form, and what was left alone.

    A day that could as well be a month, and a year of two digits, stay text.

    Args:
        relation: A text file's rows.
    """
    wanted = {
        name: list(FORMS)
        for name, type in zip(relation.columns, relation.types, strict=True)
        if str(type) == "VARCHAR"
    }
    # Most columns hold no times, and their beginning shows it.
    found = _fitting(relation, _fitting(relation.limit(LOOKED_ROWS), wanted))
    made: dict[str, str] = {}
    told: list[str] = []
    for name, forms in found.items():
        if len(forms) > 1:
            told.append(
                f"{name} holds dates whose day and month cannot be told apart; it stays text."
            )
        else:
            made[name] = FORMS[forms[0]][0].format(cleaned(name))
    return made, told


def _fitting(
    relation: duckdb.DuckDBPyRelation, wanted: dict[str, list[str]]
) -> dict[str, list[str]]:
    parts = []
    for name, forms in wanted.items():
        value = cleaned(name)
        for form in forms:
            read, pattern = FORMS[form]
            fits = f"{read.format(value)} IS NOT NULL AND regexp_full_match({value}, '{pattern}')"
            parts.append(f"coalesce(bool_and({fits}) FILTER ({value} IS NOT NULL), false)")
    if not parts:
        return {}
    fit = iter(relation.aggregate(", ".join(parts)).fetchall()[0])
    kept = {name: [form for form in forms if next(fit)] for name, forms in wanted.items()}
    return {name: forms for name, forms in kept.items() if forms}
