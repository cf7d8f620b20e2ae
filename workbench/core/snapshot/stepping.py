"""One schema back: for whoever upgraded, and wants the former version of the Studio again."""

from pathlib import Path

import sqlalchemy as sa

from ..databases import connect, explained, revision_in
from ..errors import Refused, Unavailable
from ..store import alembic, known_revisions


def step_back(database: sa.URL) -> str:
    """Take a Studio's database one schema back, in one transaction; the schema it has then.

    What only the newer schema has a place for is gone. Whatever this Studio opens migrates
    forward again: the version of the Studio that goes with the schema has to be installed.

    Raises:
        Refused: It has the first schema, none, or one of a newer Studio.
        Unavailable: The step failed; the database is as it was.
    """
    from alembic import command

    engine = connect(database)
    try:
        with explained(), engine.begin() as connection:
            found = revision_in(connection)
            if found not in known_revisions() or found == min(known_revisions()):
                name = Path(str(database.database)).name
                raise Refused(
                    f"{name} has the schema {found or 'none'}, and there is no step back from it.",
                    hint="Restore the backup made before the upgrade: "
                    "`workbench restore FILE --force`.",
                )
            command.downgrade(alembic(connection), "-1")
            return revision_in(connection)
    except sa.exc.SQLAlchemyError as error:
        raise Unavailable(
            f"The step back from the schema {found} failed: {str(error).partition(chr(10))[0]}.",
            hint="Nothing was changed; restore the backup made before the upgrade instead.",
        ) from error
    finally:
        engine.dispose()
