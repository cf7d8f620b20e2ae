"""What a Studio holds, to see that nothing of it changed."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

PASSING = frozenset({"sessions", "answers"})
"""What merely looking may change: who is signed in, and answers kept for a repeated key."""


def records(home: Path) -> dict[str, list[Any]]:
    """Every row of every table of the Studio, and of the hub's accounts."""
    found: dict[str, list[Any]] = {}
    for file, wanted in (("studio.db", None), ("hub.sqlite", ("users", "groups"))):
        with closing(sqlite3.connect(f"file:{home / file}?mode=ro", uri=True)) as db:
            tables = [name for (name,) in db.execute("select name from sqlite_master")]
            for table in tables:
                real = db.execute(
                    "select 1 from sqlite_master where name = ? and type = 'table'", [table]
                ).fetchone()
                if not real or table in PASSING or (wanted and table not in wanted):
                    continue
                columns = [row[1] for row in db.execute(f'pragma table_info("{table}")')]
                kept = ", ".join(f'"{c}"' for c in columns if c not in ("last_activity", "seen_at"))
                found[f"{file} {table}"] = sorted(
                    map(repr, db.execute(f'select {kept} from "{table}"'))
                )
    # The hub forgets a deleted project a moment after it is deleted, at no word of the test's.
    present = "".join(found["studio.db projects"]).replace("_", "-")
    found["hub.sqlite users"] = [
        row
        for row in found["hub.sqlite users"]
        if all(label in present for label in re.findall(r"prj-\w+", row))
    ]
    return found


def files(home: Path, project: str) -> dict[str, int]:
    """A project's files that people see, and how large they are."""
    folder = home / "projects" / project / "files"
    return {
        str(each.relative_to(folder)): each.stat().st_size
        for each in sorted(folder.rglob("*"))
        if each.is_file() and not each.relative_to(folder).parts[0].startswith(".")
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What changed, for a failure's message."""
    return {
        name: [row for row in after.get(name, []) if row not in before.get(name, [])][:3]
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    }
