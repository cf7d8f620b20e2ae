"""The shelf: where every room keeps its Records, by kind, project, id and version.

One mechanism for identity, versions, names, paging and schema numbers, so that no room has
tables of its own for what is only kept and found again.
"""

import json
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from .errors import Conflict, Invalid, NotFound, Refused
from .records import Page, Record
from .store import Store, metadata

R = TypeVar("R", bound=Record)
MOST = 1000
"""Records on a page."""

records = sa.Table(
    "records",
    metadata,
    sa.Column("kind", sa.String(24), primary_key=True),
    sa.Column("project", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("schema", sa.Integer, nullable=False),
    sa.Column("latest", sa.Boolean, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("kind", "project", "name", "version"),
    sa.Index("ix_records_latest", "kind", "project", "latest", "id"),
)


class Shelf(Generic[R]):
    """The Records of one kind.

    `put` is for write transactions (see `Context.stage`); everything else only reads.

    Args:
        kind: The prefix of the ids, e.g. `prd`.
        noun: What a person calls one, e.g. `product`.
        record: The class of the Records; it has `id` and may have `name` and `version`.
        named: Whether a name means one of them in its project, and finds it.
    """

    def __init__(self, kind: str, noun: str, record: type[R], *, named: bool = True) -> None:
        self.kind, self.noun, self.record, self.named = kind, noun, record, named

    def put(self, tx: sa.Connection, project: str, record: R) -> None:
        """Keep a new Record, or a new version of one, inside a write transaction.

        Raises:
            Conflict: That id and version, or that name and version, is taken.
        """
        body: Any = record
        id, version, name = body.id, int(getattr(body, "version", 0)), self._name(record)
        try:
            if version:
                tx.execute(
                    sa.update(records)
                    .where(*self._where(project), records.c.id == id)
                    .values(latest=False)
                )
            tx.execute(
                records.insert().values(
                    kind=self.kind,
                    project=project,
                    id=id,
                    version=version,
                    name=name,
                    schema=record.SCHEMA,
                    latest=True,
                    body=record.model_dump_json(),
                )
            )
        except sa.exc.IntegrityError as error:
            raise Conflict(
                f"The {self.noun} {name!r} version {version} was made by somebody else meanwhile.",
                hint="Read it again, then repeat.",
            ) from error

    def replace(self, tx: sa.Connection, project: str, record: R) -> None:
        """Rewrite one version of a Record in place (an alias, a name), in a write transaction.

        Raises:
            Conflict: It is gone, or its new name is taken.
        """
        body: Any = record
        try:
            done = tx.execute(
                sa.update(records)
                .where(
                    *self._where(project),
                    records.c.id == body.id,
                    records.c.version == int(getattr(body, "version", 0)),
                )
                .values(
                    name=self._name(record), body=record.model_dump_json(), schema=record.SCHEMA
                )
            )
        except sa.exc.IntegrityError as error:
            raise Conflict(
                f"The {self.noun} {self._name(record)!r} was made by somebody else meanwhile.",
                hint="Choose another name.",
            ) from error
        if done.rowcount != 1:
            raise Conflict(f"The {self.noun} {body.id} is gone.", hint="Read the list again.")

    def remove(self, tx: sa.Connection, project: str, id: str) -> None:
        """Take a Record away with all its versions, in a write transaction.

        Raises:
            Conflict: It is gone already.
        """
        done = tx.execute(records.delete().where(*self._where(project), records.c.id == id))
        if not done.rowcount:
            raise Conflict(f"The {self.noun} {id} is gone.", hint="Read the list again.")

    def find(self, store: Store, project: str, id_or_name: str) -> R | None:
        """The Record with that id or name (`…@3` for a version; the latest otherwise), or None."""
        wanted, _, at = id_or_name.partition("@")
        query = sa.select(records.c.body, records.c.schema).where(
            *self._where(project), sa.or_(records.c.id == wanted, records.c.name == wanted)
        )
        if at:
            if not at.isdigit():
                raise Invalid(
                    f"{id_or_name!r} names no version: {at!r} is not a number.",
                    hint=f"Write {wanted}@0 for the first version.",
                )
            query = query.where(records.c.version == int(at))
        else:
            query = query.where(records.c.latest)
        # An id wins over a name that looks like one.
        query = query.order_by((records.c.id == wanted).desc()).limit(1)
        with store.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else self._open(row.body, row.schema)

    def get(self, store: Store, project: str, id_or_name: str) -> R:
        """The Record with that id or name.

        Raises:
            NotFound: The project has none.
        """
        found = self.find(store, project, id_or_name)
        if found is None:
            raise NotFound(
                f"This project has no {self.noun} {id_or_name!r}.",
                hint=f"List the {self.noun}s to see what there is, or look in another project.",
            )
        return found

    def page(
        self, store: Store, project: str, *, limit: int = 100, after: str | None = None
    ) -> Page[R]:
        """The latest versions, newest id first.

        Raises:
            Invalid: Fewer than 1 or more than 1000 are asked for.
        """
        if not 1 <= limit <= MOST:
            raise Invalid(f"A page of {limit} makes no sense.", hint=f"1 to {MOST}.")
        query = (
            sa.select(records.c.body, records.c.schema, records.c.id)
            .where(*self._where(project), records.c.latest)
            .order_by(records.c.id.desc())
            .limit(limit + 1)
        )
        if after:
            query = query.where(records.c.id < after)
        with store.read() as connection:
            rows = connection.execute(query).all()
        items = [self._open(row.body, row.schema) for row in rows[:limit]]
        return Page(items=items, next=rows[limit - 1].id if len(rows) > limit else None)

    def versions(self, store: Store, project: str, id: str) -> list[R]:
        """Every version of a Record, oldest first; empty if there is none."""
        query = (
            sa.select(records.c.body, records.c.schema)
            .where(*self._where(project), records.c.id == id)
            .order_by(records.c.version)
        )
        with store.read() as connection:
            return [self._open(row.body, row.schema) for row in connection.execute(query)]

    def _name(self, record: R) -> str:
        body: Any = record
        return str(getattr(body, "name", "") or body.id) if self.named else str(body.id)

    def _where(self, project: str) -> tuple[sa.ColumnElement[bool], ...]:
        return records.c.kind == self.kind, records.c.project == project

    def _open(self, body: str, schema: int) -> R:
        if schema > self.record.SCHEMA:
            raise Refused(
                f"This {self.noun} was written with schema {schema}; "
                f"this Studio reads up to {self.record.SCHEMA}.",
                hint="Upgrade the Studio.",
            )
        if schema < self.record.SCHEMA:
            return self.record.model_validate(self.record.upgrade(json.loads(body), schema))
        return self.record.model_validate_json(body)
