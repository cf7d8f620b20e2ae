"""What an administrator looks at and does; each is refused to everybody else by `roles.toml`."""

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from workbench.core import Context, Job, NotFound, Page, action
from workbench.core.ids import label_of, project_of
from workbench.core.logfiles import Entry, find_entries
from workbench.pipelines import ledger
from workbench.projects.spaces import projects

from .health import health
from .ports import servers
from .running import Running, end, look, memory_of, running, used_at
from .sweeping import swept
from .types import Health, Server, Sweep

AT_ONCE = 8


@action(effect="read")
def check_health(ctx: Context) -> Health:
    """How the Studio is: processes, disk, databases, backups, and what is wrong with them."""
    return health(ctx)


@action(effect="read")
def list_servers(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Server]:
    """The projects' servers that run, with what goes on in each.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    found = [each for each in running(ctx.home) if after is None or each.label > after]
    shown = found[:limit]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        items = list(pool.map(lambda each: _server(ctx, each), shown))
    return Page(items=items, next=shown[-1].label if len(found) > limit else None)


@action(effect="write", undo="irreversible", on="id")
def stop_server(ctx: Context, id: str) -> Server:
    """Stop a project's server: its terminals and the kernels that do nothing end, files stay.

    Cells that run go on, and so do jobs. Where only cells go on, they are ended. The server starts
    again when somebody opens the project.

    Args:
        id: The project's id.
    """
    label = label_of(id)
    found = next((each for each in running(ctx.home) if each.label == label), None)
    if found is None:
        raise NotFound(f"No server of the project {id!r} runs.", hint="List the servers.")
    server = _server(ctx, found)
    ctx.note(project=id, busy=server.busy, commands=server.commands)
    # Before the commit: a server that was stopped for nothing starts again when it is opened,
    # one that is said to be stopped and runs on would mislead.
    if server.serves:
        ctx.engine(servers).stop(id)
    else:
        end(found)
    return server


@action(effect="read")
def list_active_jobs(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Job]:
    """The jobs that wait or run in any project, oldest first.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    rows = [row for row in ledger.unfinished(ctx.store) if after is None or row.id > after]
    items = [ledger.record(row) for row in rows[:limit]]
    return Page(items=items, next=items[-1].id if len(rows) > limit else None)


@action(effect="read", on="id")
def find_logs(ctx: Context, id: str, around: int = 1) -> Page[Entry]:
    """What the logs say under an id that somebody quotes: a trace, a job's, any other.

    Args:
        id: All of it, as it was shown.
        around: How many entries before and after each are shown too.
    """
    return Page(items=find_entries(ctx.home / "logs", id, around=min(max(around, 0), 20)))


@action(effect="write", undo="irreversible")
def sweep(ctx: Context) -> Sweep:
    """Throw away now what is thrown away once a day: see the settings that begin with `keep_`."""
    return swept(ctx)


def _server(ctx: Context, server: Running) -> Server:
    project = project_of(server.label)
    seen = look(ctx.home, server)
    memory, processes = memory_of(server.process)
    used = used_at(ctx.home, server)
    with ctx.store.read() as connection:
        title = connection.execute(
            sa.select(projects.c.title).where(projects.c.id == project)
        ).scalar()
    return Server(
        project=project,
        title=title or project,
        since=server.since,
        used_at=max(used, seen.used_at or used),
        memory_bytes=memory,
        processes=processes,
        kernels=seen.kernels,
        busy=seen.busy,
        commands=seen.commands,
        jobs=ledger.active(ctx.store, project),
        answers=seen.answers,
        serves=seen.serves,
    )
