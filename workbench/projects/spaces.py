"""Where projects are kept, and which one a name means."""

import re
import shutil
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from workbench.core import (
    Actor,
    Conflict,
    Context,
    Engines,
    Invalid,
    NotFound,
    Settings,
    Store,
    call_here,
    shipped,
)
from workbench.core.store import metadata
from workbench.core.store import stores as store_port
from workbench.security import grants, role_of

from .types import Project

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("owner", sa.String(128), nullable=False),
    sa.Column("made_at", sa.String(40), nullable=False),
    sa.Column("archived_at", sa.String(40)),
    sa.Column("limits", sa.JSON(none_as_null=True)),
    sa.UniqueConstraint("owner", "name"),
)

PERSONAL = "default"
TOUR = "fair-lending"


def check_name(name: str) -> str:
    """A project's name: lower-case letters, digits and `-`, 1 to 64 of them.

    Raises:
        Invalid: It is something else; the hint suggests one that fits.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
        return name
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64] or "my-project"
    raise Invalid(
        f"A project cannot be called {name!r}.",
        hint=f"Lower-case letters, digits and -, at most 64: for example {better}.",
    )


def check_person(name: str) -> str:
    """The actor string of a person, `person:<name>`.

    Raises:
        Invalid: Nobody can be called that.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,31}", name):
        return f"person:{name}"
    raise Invalid(
        f"Nobody can be called {name[:80]!r}.",
        hint="The name a person signs in with: lower-case letters, digits, . _ and -, at most 32.",
    )


def here(ctx: Context, wanted: str) -> Project:
    """The Context's own project, under the id or name somebody gave: policy knows of no other.

    Raises:
        NotFound: It is called something else, or is gone.
    """
    with ctx.store.read() as connection:
        row = connection.execute(sa.select(projects).where(projects.c.id == ctx.project)).first()
    if row is None or wanted not in (row.id, row.name):
        raise NotFound(
            f"The project chosen here is not {wanted!r}.",
            hint="Choose that project (`--project`, `connect(project=…)`), then repeat.",
        )
    return record(row, role_of(ctx.store, ctx.actor, row.id) or "viewer")


def held(tx: sa.Connection, project: str) -> sa.Row[Any]:
    """A project's row, which nobody else changes until the transaction ends.

    Raises:
        NotFound: The project was deleted meanwhile.
    """
    row = tx.execute(sa.select(projects).where(projects.c.id == project).with_for_update()).first()
    if row is None:
        raise NotFound(f"There is no project {project!r} any more.", hint="List your projects.")
    return row


def archived(store: Store, project: str) -> bool:
    """Whether a project can only be read; False for one that does not exist."""
    query = sa.select(projects.c.archived_at).where(projects.c.id == project)
    with store.read() as connection:
        return connection.execute(query).scalar() is not None


def closed(store: Store, ids: Collection[str]) -> dict[str, bool]:
    """Those of the projects in which nothing may run any more: archived (True), gone (False)."""
    query = sa.select(projects.c.id, projects.c.archived_at).where(projects.c.id.in_(ids))
    with store.read() as connection:
        known = {row.id: row.archived_at for row in connection.execute(query)}
    return {id: id in known for id in ids if known.get(id) is not None or id not in known}


def visible(store: Store, actor: Actor) -> list[Project]:
    """The projects an actor is in (all, for an administrator), newest first."""
    if actor.within:
        only = find(store, actor, actor.within)
        return [only] if only else []
    query = sa.select(projects).order_by(projects.c.id.desc())
    mine = sa.select(grants.c.project, grants.c.role).where(grants.c.actor == str(actor))
    with store.read() as connection:
        roles = {row.project: row.role for row in connection.execute(mine)}
        if actor.admin and actor.kind == "person":  # whatever they were invited as
            return [record(row, "owner") for row in connection.execute(query)]
        query = query.where(projects.c.id.in_(roles))
        return [record(row, roles[row.id]) for row in connection.execute(query)]


def find(store: Store, actor: Actor, name_or_id: str) -> Project | None:
    """The project of that id or name which the actor may see; their own wins over others'."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(projects)
            .where(sa.or_(projects.c.id == name_or_id, projects.c.name == name_or_id))
            .order_by((projects.c.owner == str(actor)).desc(), projects.c.id)
        ).all()
    for row in rows:
        role = role_of(store, actor, row.id)
        if role is not None and (
            row.name != PERSONAL or row.owner == str(actor) or row.id == name_or_id or actor.within
        ):
            return record(row, role)
    return None


def resolve(engines: Engines, actor: Actor, wanted: str | None) -> str:
    """The id of the project a face means; a personal one called `default` is made on first use.

    Raises:
        NotFound: The actor is in no project of that name or id.
    """
    store = engines.get(store_port)
    wanted = wanted or actor.within or None
    found = find(store, actor, wanted or PERSONAL)
    if found is None and (wanted or PERSONAL) == PERSONAL and actor.name:
        ctx = Context(actor, "", engines)
        try:
            made = call_here(
                ctx,
                "projects.create_project",
                {"name": PERSONAL, "title": f"{actor.name}'s own"},
            )
            return str(made.id)
        except Conflict:
            # Somebody else asked at the same moment. No key: it would answer one deleted since.
            found = find(store, actor, PERSONAL)
    if found is None:
        known = ", ".join(p.name for p in visible(store, actor)) or "none yet"
        raise NotFound(
            f"{actor.name or 'Nobody'} is in no project {wanted!r}.", hint=f"Yours: {known}."
        )
    return found.id


def home(engines: Engines, actor: Actor) -> str:
    """The project a person starts in: the tour's if they are in it, else their own."""
    mine = visible(engines.get(store_port), actor)
    chosen = next((p.id for p in mine if p.name == TOUR), None)
    return chosen or resolve(engines, actor, None)


def prepare_folder(settings: Settings, project: str) -> Path:
    """The folder of a project's files, made if need be, with the Studio's own notebooks in it."""
    folder = settings.home / "projects" / project / "files"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Once somebody has worked in it, a name in it may be a link to anywhere.
    if not any(folder.iterdir()):
        for notebook in shipped("notebooks").glob("*.ipynb"):
            shutil.copyfile(notebook, folder / notebook.name)
    return folder


def record(row: sa.Row[Any], role: str) -> Project:
    """A row as a Project, for somebody with that role."""
    body = dict(row._mapping)
    since = body["archived_at"]
    return Project.model_validate(
        body
        | {
            "role": role,
            "made_at": datetime.fromisoformat(body["made_at"]),
            "archived_at": datetime.fromisoformat(since) if since else None,
        }
    )
