"""Actions: functions that every face offers. Faces call `door.call`; code calls the function."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from .errors import Invalid, NotFound
from .ids import new_id as new_id

Effect = Literal["read", "write", "job", "stream", "blob"]
Undo = Literal["inverse", "compensate", "irreversible"]
Reach = Literal["project", "machine"]
F = TypeVar("F", bound=Callable[..., Any])

Upload = Field(json_schema_extra={"format": "upload"})
"""Marks a parameter that takes a file: faces upload a local path or a frame and send `blob:…`."""


@dataclass(frozen=True)
class Action:
    """A function in the catalogue, and the shape of what goes in and comes out.

    Attributes:
        name: `<capability>.<verb>`.
        effect: `read`, `write`, `job`, `stream` or `blob`.
        undo: How a write is taken back (`inverse:<action>`, `compensate:<action>`,
            `irreversible`); empty for what changes nothing.
        on: The parameter that names the resource policy is asked about, if any.
        heavy: Needs an engine too large for the Studio's event loop; runs in a worker process
            there, and in place everywhere else.
        fresh: Needs a person's fresh session, not a kernel's or an assistant's.
        reach: What a job's process may reach: its project's files and the Studio's databases, or
            all that the Studio may: for what starts a sandbox of its own.
        takes: The request, strict.
        gives: The class of the answer (of one item, for a stream).
    """

    name: str
    effect: Effect
    undo: str
    on: str
    heavy: bool
    fresh: bool
    reach: Reach
    summary: str
    doc: str
    run: Callable[..., Any]
    takes: type[BaseModel]
    gives: Any

    @property
    def capability(self) -> str:
        """The room: the part of the name before the dot."""
        return self.name.partition(".")[0]

    @property
    def verb(self) -> str:
        """The part of the name after the dot."""
        return self.name.partition(".")[2]

    @property
    def scope(self) -> str:
        """What policy grants: `<capability>:<effect>`."""
        return f"{self.capability}:{self.effect}"

    @property
    def tool(self) -> str:
        """The name assistants know it by."""
        return f"{self.capability}-{self.verb.replace('_', '-')}"

    @property
    def route(self) -> tuple[str, str]:
        """`get_report` is `GET …/ethics/reports/{id}`; other verbs are `POST …/ethics:assess`."""
        method, _, noun = self.verb.partition("_")
        root = f"/api/v1/{self.capability}"
        plural = noun if noun.endswith("s") or noun == "people" else f"{noun}s"
        if re.search("[^aeiou]y$", noun):
            plural = f"{noun[:-1]}ies"
        crud = {
            "get": ("GET", f"{root}/{plural}/{{id}}"),
            "list": ("GET", f"{root}/{plural}"),
            "create": ("POST", f"{root}/{plural}"),
            "update": ("PATCH", f"{root}/{plural}/{{id}}"),
            "delete": ("DELETE", f"{root}/{plural}/{{id}}"),
        }
        if noun and method in crud:
            return crud[method]
        return ("GET" if self.effect == "stream" else "POST", f"{root}:{self.verb}")

    def check(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request as the function's arguments.

        Raises:
            Invalid: It does not fit; the sentence names the field and its value.
        """
        try:
            asked = self.takes.model_validate(request)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the request"
            value = repr(first["input"])
            value = value if len(value) <= 80 else f"{value[:77]}…"
            if first["type"] == "missing":
                raise Invalid(
                    f"{self.name} needs {where}.",
                    hint=f"It takes: {', '.join(self.takes.model_fields)}.",
                ) from error
            if first["type"] == "extra_forbidden":
                raise Invalid(
                    f"{self.name} has no parameter {where!r}.",
                    hint=f"It takes: {', '.join(self.takes.model_fields) or 'nothing'}.",
                ) from error
            raise Invalid(
                f"{self.name} cannot take {where} {value}: {first['msg']}.",
                hint=str(self.takes.model_fields[str(first["loc"][0])].description or "")
                if first["loc"] and str(first["loc"][0]) in self.takes.model_fields
                else "",
            ) from error
        for name, value in request.items():
            if _holds_nul(value):
                raise Invalid(
                    f"{self.name} cannot take {name}: it holds the character NUL.",
                    hint="Take it out: no database and no file name can keep it.",
                )
        return {key: getattr(asked, key) for key in self.takes.model_fields}


catalogue: dict[str, Action] = {}


def find_action(name: str) -> Action:
    """The action of that name.

    Raises:
        NotFound: There is none; the hint lists its capability's actions.
    """
    if name in catalogue:
        return catalogue[name]
    capability = name.partition(".")[0]
    near = sorted(n for n in catalogue if n.startswith(f"{capability}.")) or sorted(
        {n.partition(".")[0] for n in catalogue}
    )
    raise NotFound(f"There is no action {name!r}.", hint=f"Known: {', '.join(near)}.")


def action(
    *,
    effect: Effect,
    undo: str = "",
    on: str = "",
    heavy: bool = False,
    fresh: bool = False,
    reach: Reach = "project",
) -> Callable[[F], F]:
    """Put a function in the catalogue as `<capability>.<function name>`.

    The first parameter is the Context; the rest, with their annotations, are the request; the
    `Args:` of the docstring describe them on every face.

    Example:
        @action(effect="read", on="id")
        def get_report(ctx: Context, id: str) -> Report:
            \"\"\"A report made earlier in this project.

    Args:
                id: The report's id.
            \"\"\"
    """

    def register(run: F) -> F:
        hints = inspect.get_annotations(run, eval_str=True)
        parameters = list(inspect.signature(run).parameters.values())[1:]
        doc = inspect.getdoc(run) or ""
        told = _described(doc)
        fields: dict[str, Any] = {}
        for p in parameters:
            default = ... if p.default is p.empty else p.default
            fields[p.name] = (
                Annotated[hints[p.name], Field(description=told.get(p.name))],
                default,
            )
        name = f"{run.__module__.split('.')[1]}.{run.__name__}"
        if name in catalogue:
            raise ValueError(f"{run.__module__} names an action {name!r} that exists already")
        if effect in ("write", "job") and not undo:
            raise ValueError(f"{name} does not say how it is taken back (undo=…)")
        title = "".join(word.title() for word in re.split(r"[._]", name))
        takes = create_model(f"{title}Request", __config__=ConfigDict(extra="forbid"), **fields)
        gives = hints["return"]
        if effect == "stream":
            gives = get_args(gives)[0] if get_origin(gives) else gives
        catalogue[name] = Action(
            name=name,
            effect=effect,
            undo=undo,
            on=on,
            heavy=heavy,
            fresh=fresh,
            reach=reach,
            summary=doc.partition("\n")[0],
            doc=doc,
            run=run,
            takes=takes,
            gives=gives,
        )
        return run

    return register


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(each) for key, each in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


def _described(doc: str) -> dict[str, str]:
    """The `Args:` section of a Google-form docstring, parameter → description."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", doc, re.M)
    if not section:
        return {}
    told: dict[str, str] = {}
    name = ""
    for line in section[1].splitlines():
        if not line.strip():
            break
        start = re.match(r"^ {4}(\w+): (.*)$", line)
        if start:
            name = start[1]
            told[name] = start[2].strip()
        elif name:
            told[name] += f" {line.strip()}"
    return told
