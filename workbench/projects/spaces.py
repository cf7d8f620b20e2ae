"""Where projects are kept, and which one a name means."""

import re
import shutil
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from workbench.core import (
    Actor,
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


def visible(store: Store, actor: Actor) -> list[Project]:
    """The projects an actor is in (all, for an administrator), newest first."""
    query = sa.select(projects).order_by(projects.c.id.desc())
    mine = sa.select(grants.c.project, grants.c.role).where(grants.c.actor == str(actor))
    with store.read() as connection:
        roles = {row.project: row.role for row in connection.execute(mine)}
        if not (actor.admin and actor.kind == "person"):
            query = query.where(projects.c.id.in_(roles))
        return [_record(row, roles.get(row.id, "owner")) for row in connection.execute(query).all()]


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
            row.name != PERSONAL or row.owner == str(actor) or row.id == name_or_id
        ):
            return _record(row, role)
    return None


def resolve(engines: Engines, actor: Actor, wanted: str | None) -> str:
    """The id of the project a face means; a personal one called `default` is made on first use.

    Raises:
        NotFound: The actor is in no project of that name or id.
    """
    store = engines.get(store_port)
    found = find(store, actor, wanted or PERSONAL)
    if found is None and (wanted or PERSONAL) == PERSONAL and actor.name:
        ctx = Context(actor, "", engines)
        made = call_here(
            ctx,
            "projects.create_project",
            {"name": PERSONAL, "title": f"{actor.name}'s own"},
            key=f"default-{actor}",
        )
        return str(made.id)
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


def home_project(settings: Settings, person: str, admin: bool = False) -> tuple[str, Path]:
    """The project a person's JupyterLab opens in, and its folder of files.

    The folder is made if need be, with the Studio's own notebooks in it.
    """
    engines = Engines(settings)
    try:
        actor = Actor(name=person, admin=admin)
        project = home(engines, actor)
        folder = settings.home / "projects" / project / "files"
        folder.mkdir(parents=True, exist_ok=True)
        for notebook in shipped("notebooks").glob("*.ipynb"):
            if not (folder / notebook.name).exists():
                shutil.copyfile(notebook, folder / notebook.name)
        return project, folder
    finally:
        engines.close()


def _record(row: sa.Row[tuple[object, ...]], role: str) -> Project:
    body = dict(row._mapping)
    return Project.model_validate(
        body | {"role": role, "made_at": datetime.fromisoformat(body["made_at"])}
    )
