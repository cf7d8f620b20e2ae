"""The first administrator, and `python -m workbench.hub.welcome`: a one-time link's token."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from workbench.core import Invalid, Settings, WorkbenchError, load_settings, local_person
from workbench.core.databases import connect, explained, locate
from workbench.core.store import stores
from workbench.security.welcome import Link, check_name, issue, look, spend

__all__ = ["Link", "check_name", "first_account", "hub_database", "issue", "look", "spend"]


def hub_database(settings: Settings) -> sa.URL:
    """Where JupyterHub keeps its accounts, sessions and tokens.

    Raises:
        Invalid: The Studio's records are there: both would call their schema by one table.
    """
    own = locate(settings.hub_db_url, settings.home, "hub.sqlite")
    records = locate(settings.urls.get(stores.name, stores.default), settings.home, "studio.db")
    if _place(own) == _place(records):
        raise Invalid(
            f"JupyterHub cannot keep its accounts in the database {own.database} of the Studio's "
            "records.",
            hint="Make a database of its own for `hub_db_url`; the same server may hold both.",
        )
    return own


def _place(url: sa.URL) -> tuple[object, ...]:
    where = url.query.get("host"), url.query.get("port"), url.query.get("options")
    return url.host, url.port, url.database, *where


def first_account(settings: Settings) -> str | None:
    """The name of the first administrator who can sign in; None before there is one.

    Raises:
        Unavailable: JupyterHub's database cannot be reached.
    """
    url = hub_database(settings)
    if url.drivername == "sqlite" and not Path(str(url.database)).is_file():
        return None
    query = (
        "SELECT i.username FROM users_info i JOIN users u ON u.name = i.username"
        " WHERE i.is_authorized AND u.admin ORDER BY i.id LIMIT 1"
    )
    engine = connect(url)
    try:
        with explained(), engine.connect().execution_options(reading=True) as database:
            if not {"users", "users_info"} <= set(sa.inspect(database).get_table_names()):
                return None
            return database.execute(sa.text(query)).scalar()
    finally:
        engine.dispose()


def main() -> None:
    """`python -m workbench.hub.welcome [NAME] [--person]`: a new link's token, or a problem."""
    parser = argparse.ArgumentParser(prog="workbench.hub.welcome")
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--person", action="store_true", help="no administrator")
    parser.add_argument("--drop-second-factor", action="store_true", help="for a lost device")
    asked = parser.parse_args()
    settings = load_settings()
    try:
        name = asked.name or first_account(settings) or local_person()
        token = issue(
            settings.home,
            name,
            admin=not asked.person,
            now=datetime.now(UTC),
            drops_factor=asked.drop_second_factor,
        )
    except WorkbenchError as error:
        print(json.dumps(error.as_problem()))
        sys.exit(1)
    print(json.dumps({"welcome": token}))


if __name__ == "__main__":
    main()
