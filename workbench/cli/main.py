"""The `workbench` command. Exit codes: 0 done, 1 an error of ours, 2 usage, 3 Refused."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

import workbench
from workbench.core import (
    Action,
    NotFound,
    Refused,
    Settings,
    WorkbenchError,
    catalogue,
    load_settings,
    new_id,
)
from workbench.core.logs import JsonLines, TextLines

log = logging.getLogger(__name__)

HELP = """NexusAI Studio: build AI models together, on your own machines.

\b
Start here:
  workbench up                          start the Studio and open it in a browser
  workbench tour                        see a whole project made, from table to checked model
  workbench data register my.csv        bring your own table
  workbench models train --product my --target outcome
  workbench ethics assess --model my-outcome

Every capability lists its verbs: `workbench data --help`. With no --project, a personal one
called `default` is used. WORKBENCH_HOME holds everything (default ~/.workbench).
"""


class Rooms(click.Group):
    """The commands of our own, and a group for each capability of the catalogue."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_capabilities()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        return _room(cmd_name) if cmd_name in _capabilities() else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        def rows(names: list[str]) -> list[tuple[str, str]]:
            found = ((name, self.get_command(ctx, name)) for name in names)
            return [(name, each.get_short_help_str(80)) for name, each in found if each]

        with formatter.section("The Studio"):
            formatter.write_dl(rows(super().list_commands(ctx)))
        with formatter.section("Capabilities"):
            formatter.write_dl(rows(_capabilities()))


def _capabilities() -> list[str]:
    workbench.load_rooms()
    return sorted({act.capability for act in catalogue.values()})


def _room(capability: str) -> click.Group:
    module = sys.modules[f"workbench.{capability}"]
    doc = (module.__doc__ or "").strip()
    group = click.Group(capability, help=doc, short_help=doc.partition("\n")[0])
    for act in catalogue.values():
        if act.capability == capability:
            group.add_command(_command(act))
    return group


def _command(act: Action) -> click.Command:
    options: list[click.Parameter] = []
    for name, info in act.takes.model_fields.items():
        options.append(_option(name, info))
    first = next(iter(act.takes.model_fields), "")
    if first and act.takes.model_fields[first].is_required():
        # `workbench data register my.csv` reads as well as `--source my.csv`.
        options.append(click.Argument(["positional"], required=False, metavar=f"[{first.upper()}]"))
    options += [
        click.Option(["--project", "-P"], help="The project: its name or id."),
        click.Option(["--json", "as_json"], is_flag=True, help="Answer exactly one JSON object."),
    ]
    if act.effect == "job":
        options.append(
            click.Option(["--detach"], is_flag=True, help="Answer at once; the job goes on.")
        )
    if act.effect in ("write", "job"):
        options.append(
            click.Option(["--key"], default="", help="Idempotency key: repeating is harmless.")
        )
    if act.effect == "blob":
        options.append(
            click.Option(
                ["--output", "-o"],
                type=click.Path(path_type=Path),
                help="Save the bytes to this file.",
            )
        )

    def run(**given: Any) -> None:
        project, as_json = given.pop("project"), given.pop("as_json")
        detach, key = given.pop("detach", False), given.pop("key", "")
        output, positional = given.pop("output", None), given.pop("positional", None)
        if positional is not None:
            if given.get(first) not in (None, ()):
                raise click.UsageError(f"{first} is given twice: {positional!r} and --{first}.")
            given[first] = positional
        request = {
            name: _parsed(act.takes.model_fields[name], value)
            for name, value in given.items()
            if value is not None and value != ()
        }
        missing = [
            f"--{name.replace('_', '-')}"
            for name, info in act.takes.model_fields.items()
            if info.is_required() and name not in request
        ]
        if missing:
            raise click.UsageError(f"Missing {', '.join(missing)}.")
        _perform(
            act, request, project=project, as_json=as_json, detach=detach, key=key, output=output
        )

    return click.Command(
        act.verb.replace("_", "-"),
        params=options,
        callback=run,
        help=f"{act.doc.partition('Args:')[0].strip()}\n\n\b\n{_traits(act)}",
        short_help=act.summary,
    )


def _traits(act: Action) -> str:
    kinds = {
        "read": "Changes nothing.",
        "write": "Changes something; recorded.",
        "job": "A job: waited for unless --detach; recorded.",
        "stream": "A stream: one line per item.",
        "blob": "Answers a reference to bytes; --output saves them.",
    }
    back = {"irreversible": " Cannot be taken back."}.get(act.undo, "")
    if act.undo.partition(":")[2]:
        other = act.undo.partition(":")[2].replace(".", " ").replace("_", "-")
        back = f" Taken back by `workbench {other}`."
    return f"{kinds[act.effect]}{back} Needs the scope {act.scope}."


def _option(name: str, info: FieldInfo) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    kind, many = _kind(info.annotation)
    told = info.description or ""
    if not info.is_required() and info.default not in (None, "", [], {}):
        told = f"{told} [default: {info.default}]"
    if kind is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=told)
    if get_origin(kind) is Literal:
        return click.Option(
            [flag, name], type=click.Choice([str(each) for each in get_args(kind)]), help=told
        )
    if many:
        return click.Option(
            [flag, name], multiple=True, metavar="VALUE", help=f"{told} (repeat it, or give JSON)"
        )
    plain: dict[Any, Any] = {int: click.INT, float: click.FLOAT}
    return click.Option([flag, name], type=plain.get(kind, click.STRING), help=told)


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The plain type an option takes, and whether it is a list."""
    options = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) is list:
        return options[0], True
    if get_origin(annotation) is Literal or not options or get_origin(annotation) is dict:
        return annotation, False
    if type(None) in get_args(annotation):
        return _kind(options[0])
    return _kind(options[0]) if hasattr(annotation, "__metadata__") else (annotation, False)


def _parsed(info: FieldInfo, value: Any) -> Any:
    kind, many = _kind(info.annotation)
    if many:
        if len(value) == 1 and value[0].lstrip().startswith("["):
            return _json(value[0])
        structured = kind not in (str, int, float, bool)
        return [_json(each) if structured else each for each in value]
    if isinstance(value, str) and kind not in (str, Path) and get_origin(kind) is not Literal:
        return _json(value)
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"{text[:80]!r} is not JSON: {error}.") from error


def _perform(
    act: Action,
    request: dict[str, Any],
    *,
    project: str | None,
    as_json: bool,
    detach: bool,
    key: str,
    output: Path | None,
) -> None:
    from . import show

    with workbench.connect(project=project) as wb:
        answer = wb.call(act.name, request, key=key)
        if act.effect == "stream":
            for item in answer:
                click.echo(item.model_dump_json())
            return
        if act.effect == "job" and not detach:
            answer = show.follow(answer, quiet=False)
        if output is not None:
            wb.save(answer, output)
        click.echo(answer.model_dump_json() if as_json else show.text(answer))
        if act.effect == "job" and answer.state in ("failed", "cancelled"):
            problem = answer.error or {
                "title": "Conflict",
                "detail": f"The job {answer.id} was cancelled.",
            }
            raise WorkbenchError.from_problem(problem)


@click.group(cls=Rooms, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(workbench.__version__, prog_name="workbench")
def cli() -> None:
    pass


@cli.command()
@click.option("--no-tour", is_flag=True, help="Do not make the example project on a first start.")
def up(no_tour: bool) -> None:
    """Start the Studio: one address for the Lab, the service and the dashboards."""
    from .up import up as started

    sys.exit(started(load_settings(), tour=not no_tour))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Answer exactly one JSON object.")
def doctor(as_json: bool) -> None:
    """Check this machine and this home: ports, disk, memory, versions, sandbox."""
    from .doctor import checks
    from .show import checks_table

    found = checks(load_settings())
    if as_json:
        click.echo(json.dumps({"checks": [each.model_dump(mode="json") for each in found]}))
    else:
        click.echo(checks_table(found))
    if any(each.ok is False for each in found):
        sys.exit(1)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Answer exactly one JSON object.")
def tour(as_json: bool) -> None:
    """Carry the Boston mortgage data from raw table to trained, checked, recorded model."""
    from workbench.tour import PROJECT, ensure_project, run_tour

    from . import show

    with workbench.connect() as home:
        ensure_project(home)
    with workbench.connect(project=PROJECT) as wb:
        made = run_tour(wb, lambda line: click.echo(line, err=True))
        click.echo(made.model_dump_json() if as_json else show.tour_table(made))


@cli.command()
def mcp() -> None:
    """Serve the catalogue as tools to an assistant, over standard input and output."""
    import asyncio

    from workbench.api.mcp import serve_stdio

    with workbench.connect() as wb:
        asyncio.run(serve_stdio(wb))


@cli.command()
def welcome() -> None:
    """A new one-time link that lets the first administrator in."""
    from .up import welcome_link

    click.echo(welcome_link(load_settings()))


@cli.command()
@click.argument("id")
@click.option("--around", default=1, show_default=True, help="Entries shown before and after.")
@click.option("--json", "as_json", is_flag=True, help="Answer exactly one JSON object.")
def logs(id: str, around: int, as_json: bool) -> None:
    """What the logs of this home say under an ID that somebody quotes: a trace, a job's."""
    from workbench.core.logfiles import find_entries

    from .show import entries

    home = load_settings().home
    found = find_entries(home / "logs", id, around=around)
    if not found:
        raise NotFound(
            f"No log of {home} has {id}.",
            hint="Copy the whole id; logs are kept for as long as `keep_logs_days` says.",
        )
    told = {"items": [each.model_dump(mode="json") for each in found]}
    click.echo(json.dumps(told) if as_json else entries(found))


@cli.command()
def metrics_token() -> None:
    """The token a scraper shows for metrics; it reads them, and nothing else."""
    from workbench.operations.access import metrics_token as token

    click.echo(token(load_settings()))


@cli.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Answer exactly one JSON object.")
def backup(file: Path | None, as_json: bool) -> None:
    """Copy the home into one FILE, keys included, also while the Studio runs."""
    from .backup import backup_lines, make_backup

    made = make_backup(load_settings(), file)
    click.echo(made.model_dump_json() if as_json else backup_lines(made))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), help="The home to make; WORKBENCH_HOME's.")
@click.option("--force", is_flag=True, help="Move a home that is there aside (it is kept).")
@click.option("--json", "as_json", is_flag=True, help="Answer exactly one JSON object.")
def restore(file: Path, to: Path | None, force: bool, as_json: bool) -> None:
    """Make the home from a backup, after every digest in it was checked."""
    from .backup import restore_backup, restored_lines

    done = restore_backup(load_settings(), file, to=to, force=force)
    click.echo(done.model_dump_json() if as_json else restored_lines(done))


@cli.command()
@click.option("--back", is_flag=True, help="One schema back, before an older Studio is installed.")
@click.option("--unsaved", is_flag=True, help="Back without a backup: of PostgreSQL make your own.")
@click.option("--json", "as_json", is_flag=True, help="Answer exactly one JSON object.")
def upgrade(back: bool, unsaved: bool, as_json: bool) -> None:
    """Make a backup, then bring the database to the schema of this Studio."""
    from .backup import upgrade as upgraded

    done = upgraded(load_settings(), back=back, unsaved=unsaved)
    told = (
        f"{done.sentence}\nThe backup made before: {done.backup}" if done.backup else done.sentence
    )
    click.echo(done.model_dump_json() if as_json else told)


@cli.group()
def deploy() -> None:
    """Write what a Studio on other machines is made of."""


def _kubernetes() -> click.Command:
    from .kubernetes import Deployment, write_kubernetes

    def run(output: Path, **given: Any) -> None:
        made = write_kubernetes(load_settings(), Deployment(**given), output)
        for file in made:
            click.echo(str(file))
        click.echo(
            "Generated and validated against the schemas, not run on a cluster. "
            f"Look at them, then: kubectl apply -k {output}",
            err=True,
        )
        if not given["seccomp_profile"]:
            click.echo("No job will run: see --seccomp-profile in docs/deployment.md.", err=True)

    options: list[click.Parameter] = [
        click.Option(
            ["--output", "-o"],
            required=True,
            type=click.Path(path_type=Path, file_okay=False),
            help="The folder to write to.",
        )
    ]
    for name, info in Deployment.model_fields.items():
        option = _option(name, info)
        option.required = info.is_required()
        if not info.is_required():
            option.default = info.default
        options.append(option)
    return click.Command(
        "kubernetes",
        params=options,
        callback=run,
        help="Manifests for Kubernetes, made from the settings. Not run on a cluster.",
    )


deploy.add_command(_kubernetes())


def main(arguments: list[str] | None = None) -> None:
    """Entry of the `workbench` command."""
    given = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in given
    try:
        _configure_log(load_settings())
        cli.main(given, prog_name="workbench", standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except WorkbenchError as error:
        _complain(error, as_json)
        sys.exit(3 if isinstance(error, Refused) else 1)
    except Exception:
        _complain(_bug(), as_json)
        sys.exit(1)


def _bug() -> WorkbenchError:
    """What went wrong that we did not foresee: its id for the user, its trace for the log."""
    id = new_id("trc")
    log.exception("bug in the shell", extra={"trace": id})
    told = WorkbenchError(
        f"Something broke here that we did not foresee (id {id}).",
        hint=f"Give an administrator that id; `workbench logs {id}` finds the cause.",
    )
    told.trace = id
    return told


class _ShellLog(logging.Handler):
    """What the shell's own calls write goes to `logs/shell.log`, once there is something."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.log_level)
        self._file = settings.home / "logs" / "shell.log"
        self.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())

    def emit(self, record: logging.LogRecord) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as out:
            out.write(self.format(record) + "\n")


def _configure_log(settings: Settings) -> None:
    shown = logging.StreamHandler()
    shown.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    shown.setLevel("WARNING")
    shown.addFilter(lambda record: not hasattr(record, "trace"))  # the problem itself is shown
    logging.basicConfig(level="WARNING", handlers=[shown], force=True)
    own = logging.getLogger("workbench")
    own.setLevel(settings.log_level)
    own.handlers = [_ShellLog(settings)]


def _complain(error: WorkbenchError, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(error.as_problem()), err=True)
        return
    click.echo(f"{error.as_problem()['title']}: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    if error.trace and error.trace not in str(error):
        click.echo(f"  id {error.trace}", err=True)


if __name__ == "__main__":
    main()
