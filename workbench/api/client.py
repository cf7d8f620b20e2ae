"""Python: `wb.data.register(...)`, the same whether the Studio runs here or elsewhere.

    wb = workbench.connect()
    job = wb.models.train(product="customers", target="churned")
    job.wait()

A parameter that takes a file accepts a local path, a pandas, polars or Arrow table, or what the
action itself accepts; files and tables are uploaded.
"""

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx
from pydantic import PrivateAttr, TypeAdapter

import workbench
from workbench.core import (
    FINISHED,
    Action,
    Actor,
    Blob,
    Context,
    Engines,
    Invalid,
    Job,
    Settings,
    Unavailable,
    WorkbenchError,
    blobs,
    call,
    catalogue,
    find_action,
    load_settings,
    local_person,
    new_id,
    whereabouts,
)
from workbench.projects import resolve

if TYPE_CHECKING:
    from workbench.documents import Document

    from .live import Line, LiveGraph

CHUNK = 8 * 1024 * 1024
UNIX = "http+unix://"
TIMEOUT = httpx.Timeout(120.0, connect=5.0)


class Transport(Protocol):
    """How a client reaches the catalogue."""

    def call(self, name: str, request: dict[str, Any], key: str) -> Any:
        """The action's answer; its error is raised."""

    def stream(self, name: str, request: dict[str, Any]) -> Iterator[Any]:
        """The items of a stream action."""

    def upload(self, file: Path, *, ours: bool = False) -> str:
        """Make a local file's bytes available; what to give as a parameter.

        `ours` says that the file is a copy nobody else needs: it may be moved.
        """

    def fetch(self, blob: Blob, to: Path) -> Path:
        """Save a blob's bytes."""

    def line(self) -> "Line":
        """Where sockets are opened; Unavailable where no Studio runs."""

    def close(self) -> None:
        """Let go of what is open."""


class Workbench:
    """The Studio, in one project.

    Attributes named after capabilities hold their actions: `wb.data.register(...)`.
    """

    def __init__(self, transport: Transport, project: str) -> None:
        self._transport = transport
        self.project = project

    def __getattr__(self, name: str) -> "_Room":
        if name == "documents":
            return _Documents(self, name)
        if any(each.startswith(f"{name}.") for each in catalogue):
            return _Room(self, name)
        rooms = sorted({each.partition(".")[0] for each in catalogue})
        raise AttributeError(f"The Studio has no capability {name!r}; it has {', '.join(rooms)}.")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(each.partition(".")[0] for each in catalogue)})

    def __enter__(self) -> "Workbench":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, name: str, request: dict[str, Any] | None = None, *, key: str = "") -> Any:
        """Call an action by name.

        Args:
            name: `<capability>.<verb>`.
            request: Its parameters.
            key: An idempotency key; repeating the call with it is harmless.

        Returns:
            The answer Record; a `RunningJob` for a job; an iterator for a stream.
        """
        act = find_action(name)
        asked = {k: self._sent(act, k, v) for k, v in (request or {}).items()}
        if act.effect == "stream":
            return self._transport.stream(name, asked)
        answer = self._transport.call(name, asked, key)
        return _running(self, answer) if isinstance(answer, Job) else answer

    def save(self, blob: Blob, to: str | Path | None = None) -> Path:
        """Save a download; to the current folder under its own name if `to` is absent."""
        return self._transport.fetch(blob, Path(to or blob.name))

    def close(self) -> None:
        """Let go of what is open."""
        self._transport.close()

    def _sent(self, act: Action, name: str, value: Any) -> Any:
        info = act.takes.model_fields.get(name)
        extra = info.json_schema_extra if info else None
        if not isinstance(extra, dict) or extra.get("format") != "upload":
            return value
        if isinstance(value, str | Path):
            file = Path(value).expanduser()
            try:
                local = file.is_file()
            except (OSError, ValueError):
                local = False
            return self._transport.upload(file) if local else str(value)
        with tempfile.TemporaryDirectory() as folder:
            file = _written(value, Path(folder) / "frame.parquet")
            return self._transport.upload(file, ours=True)


class _Room:
    def __init__(self, wb: Workbench, name: str) -> None:
        self._wb, self._name = wb, name
        self.__doc__ = workbench.__dict__.get(name, type(self)).__doc__

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        act = catalogue.get(f"{self._name}.{verb}")
        if act is None:
            known = ", ".join(self.__dir__())
            raise AttributeError(f"{self._name} has no action {verb!r}; it has {known}.")
        names = list(act.takes.model_fields)

        def ask(*given: Any, key: str = "", **named: Any) -> Any:
            if len(given) > len(names):
                raise TypeError(f"{act.name} takes at most {len(names)} arguments")
            return self._wb.call(act.name, dict(zip(names, given, strict=False)) | named, key=key)

        ask.__name__, ask.__doc__ = verb, act.doc
        return ask

    def __dir__(self) -> list[str]:
        return sorted(n.partition(".")[2] for n in catalogue if n.startswith(f"{self._name}."))


class _Documents(_Room):
    """The actions of documents, and documents as live peers."""

    def open(self, id: str) -> "LiveGraph":
        """A document that others have open, too: what is changed there is seen here, and back.

        Args:
            id: Id or name of the document.

        Raises:
            Unavailable: No Studio runs, so there is no room to meet in.
        """
        from .live import LiveGraph

        found = self._wb.call("documents.get_document", {"id": id})
        return LiveGraph(self._wb._transport.line(), found.id, found.name)

    def from_module(self, module: Any, *given: Any, name: str = "") -> "Document":
        """A torch module as a document: its blocks as groups, its layers under their names.

        It is read here, where its code runs, and built again and compared before anything is
        kept. Its weights go with it: what is trained begins with them.

        Args:
            module: A `torch.nn.Module` that `torch.export` takes, or what that made of one: a
                `torch.export.ExportedProgram`.
            given: What goes into its `forward`: tensors [rows, …]. A program has its own.
            name: What the document is called; as the module's class if empty.

        Raises:
            Invalid: It cannot be exported, or has a part that nothing here computes; each is
                named.
        """
        from safetensors.torch import save_file

        from workbench.documents.files import written
        from workbench.graphs.reading import read_exported, read_module

        called = name or type(module).__name__
        if type(module).__name__ == "ExportedProgram":
            read = read_exported(module, called)
        else:
            read = read_module(module, given, called)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "module.graph.json"
            file.write_text(written(read.graph, "", -1), "utf-8")
            request: dict[str, Any] = {"source": file, "name": name}
            if read.weights:
                request["weights"] = Path(folder) / "module.safetensors"
                held = {key: each.contiguous() for key, each in read.weights.items()}
                save_file(held, request["weights"])
            found: Document = self._wb.call("documents.import_document", request)
        return found


class RunningJob(Job):
    """A Job one can wait for."""

    _wb: Workbench = PrivateAttr()

    def __repr__(self) -> str:
        """Which it is, how it is, and how to go on; all of it is in `model_dump()`."""
        came = f", {self.result}" if self.result else ""
        return f"<{self.id}: {self.action}, {self.state}{came}; .wait(), .refresh()>"

    def wait(
        self, show: Callable[[str], None] | None = None, timeout_s: float | None = None
    ) -> "RunningJob":
        """The finished job.

        Args:
            show: Called with each line the job tells; a progress line is printed if absent.
            timeout_s: Raise after that many seconds (the job goes on).

        Raises:
            WorkbenchError: The job failed, was cancelled (Conflict) or is not done in time.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        tell = show or _Ticker()
        for line in self.lines():
            if line.kind != "metric" and line.text:
                tell(line.text)
            if until is not None and time.monotonic() > until:
                raise Unavailable(
                    f"The job {self.id} is not done after {timeout_s:g} s.",
                    hint="It goes on; wait again.",
                )
        done = self.refresh()
        if done.state == "failed":
            raise WorkbenchError.from_problem(done.error or {})
        if done.state == "cancelled":
            from workbench.core import Conflict

            raise Conflict(
                f"The job {self.id} was cancelled.", hint="Retry it if you still want it."
            )
        return done

    def refresh(self) -> "RunningJob":
        """The job as it is now."""
        found: RunningJob = self._wb.call("pipelines.get_job", {"id": self.id})
        return found

    def lines(self, after: int = 0) -> Iterator[Any]:
        """What the job tells, until it ends; picked up again where it stopped if cut off."""
        for _ in range(100):
            try:
                for line in self._wb.call("pipelines.log", {"id": self.id, "after": after}):
                    after = line.seq
                    yield line
                if self.refresh().state in FINISHED:
                    return
            except (httpx.TransportError, Unavailable):
                time.sleep(0.5)


class _Ticker:
    """Prints a job's lines, each once."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, text: str) -> None:
        if text != self._last:
            print(text, flush=True)
        self._last = text


def _running(wb: Workbench, job: Job) -> RunningJob:
    running = RunningJob.model_validate(job.model_dump())
    running._wb = wb
    return running


def _written(frame: Any, file: Path) -> Path:
    """A pandas, polars or Arrow table as a Parquet file."""
    kind = type(frame).__module__.partition(".")[0]
    if kind == "pandas":
        frame.to_parquet(file, index=False)
    elif kind == "polars":
        frame.write_parquet(file)
    elif kind == "pyarrow":
        import pyarrow.parquet

        pyarrow.parquet.write_table(frame, file)
    else:
        raise Invalid(
            f"A {type(frame).__name__} is no table.",
            hint="Give a path, or a pandas, polars or Arrow table.",
        )
    return file


class InProcess:
    """The catalogue in this process, on an event loop of its own (a notebook has one already)."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, name: str, request: dict[str, Any], key: str) -> Any:
        """See `Transport`."""
        return self._wait(call(self._ctx.fresh(), name, request, key=key))

    def stream(self, name: str, request: dict[str, Any]) -> Iterator[Any]:
        """See `Transport`."""
        items: AsyncIterator[Any] = self._wait(call(self._ctx.fresh(), name, request))
        while True:
            try:
                yield self._wait(_next(items))
            except StopAsyncIteration:
                return

    def upload(self, file: Path, *, ours: bool = False) -> str:
        """See `Transport`. A person's own file is referred to, not copied."""
        keeper, project = self._ctx.engine(blobs), self._ctx.project
        blob = (
            keeper.keep(project, file, file.name) if ours else keeper.link(project, file.absolute())
        )
        return f"blob:{blob.id}"

    def fetch(self, blob: Blob, to: Path) -> Path:
        """See `Transport`."""
        import shutil

        shutil.copyfile(self._ctx.engine(blobs).path(self._ctx.project, blob.id), to)
        return to

    def line(self) -> "Line":
        """See `Transport`."""
        raise Unavailable(
            "No Studio runs here, so there is no room to meet others in.",
            hint="Start it (`workbench up`), or use documents.edit.",
        )

    def close(self) -> None:
        """See `Transport`."""
        self._ctx.engines.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items)


class OverHttp:
    """The catalogue of a Studio that runs elsewhere."""

    def __init__(self, url: str, token: str, project: str | None) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if project:
            headers["x-workbench-project"] = project
        transport = None
        self._uds = url.removeprefix(UNIX) if url.startswith(UNIX) else ""
        if self._uds:
            transport = httpx.HTTPTransport(uds=self._uds)
            url = f"http://localhost{whereabouts().service_prefix}"
        self._url, self._token = url, token
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers=headers,
            timeout=TIMEOUT,
            follow_redirects=False,
            transport=transport,
        )
        self.project = str(self._get("/api/v1/session")["project"]["id"])
        self._http.headers["x-workbench-project"] = self.project

    def call(self, name: str, request: dict[str, Any], key: str) -> Any:
        """See `Transport`. Changes carry a key, so a lost answer is asked for again safely."""
        act = find_action(name)
        method, path = act.route
        plain = json.loads(json.dumps(request, default=lambda value: value.model_dump(mode="json")))
        path = path.replace("{id}", str(plain.pop("id", ""))) if "{id}" in path else path
        headers = {} if act.effect == "read" else {"idempotency-key": key or new_id("key")}
        body: dict[str, Any] = {"params": plain} if method in ("GET", "DELETE") else {"json": plain}
        answer = self._send(method, path, headers=headers, **body)
        return TypeAdapter(act.gives).validate_json(answer.content)

    def stream(self, name: str, request: dict[str, Any]) -> Iterator[Any]:
        """See `Transport`."""
        act = find_action(name)
        timeout = httpx.Timeout(60.0, connect=5.0)
        with self._http.stream("GET", act.route[1], params=request, timeout=timeout) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise _error(answer)
            adapter = TypeAdapter(act.gives)
            event = ""
            for line in answer.iter_lines():
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "event":
                    event = value
                elif field == "data" and event == "problem":
                    raise WorkbenchError.from_problem(json.loads(value))
                elif field == "data" and event == "":
                    yield adapter.validate_json(value)
                elif not line:
                    event = ""

    def upload(self, file: Path, *, ours: bool = False) -> str:
        """See `Transport`. Goes on where it stopped when the connection is lost."""
        size = file.stat().st_size
        blob: Blob = self.call("data.upload", {"name": file.name, "size": size}, new_id("key"))
        path = f"/api/v1/blobs/{self.project}/{blob.id}"
        with open(file, "rb") as source:
            while blob.received < size:
                source.seek(blob.received)
                try:
                    sent = self._send(
                        "PUT", path, params={"offset": blob.received}, content=source.read(CHUNK)
                    )
                    blob = Blob.model_validate_json(sent.content)
                except Unavailable:
                    blob = Blob.model_validate(self._get(f"{path}/state"))
        return f"blob:{blob.id}"

    def fetch(self, blob: Blob, to: Path) -> Path:
        """See `Transport`."""
        with self._http.stream("GET", blob.url) as answer, open(to, "wb") as file:
            if answer.status_code >= 400:
                answer.read()
                raise _error(answer)
            for part in answer.iter_bytes():
                file.write(part)
        return to

    def line(self) -> "Line":
        """See `Transport`."""
        from .live import Line

        return Line(self._url, self._token, self._uds, self.project)

    def close(self) -> None:
        """See `Transport`."""
        self._http.close()

    def _get(self, path: str) -> Any:
        return self._send("GET", path).json()

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        for left in (2, 1, 0):
            try:
                answer = self._http.request(method, path, **given)
                break
            except httpx.TransportError as error:
                if not left:
                    raise Unavailable(
                        f"The Studio at {self._http.base_url} does not answer: {error}.",
                        hint="See whether it runs (`workbench doctor`), then repeat.",
                    ) from error
                time.sleep(0.3)
        if answer.status_code >= 400 or answer.is_redirect:
            raise _error(answer)
        return answer


def _error(answer: httpx.Response) -> WorkbenchError:
    try:
        return WorkbenchError.from_problem(answer.json())
    except ValueError:
        return Unavailable(
            f"{answer.request.url} answered {answer.status_code}, not the Studio.",
            hint="See whether the address is the Studio's.",
        )


def connect(
    url: str | None = None,
    *,
    project: str | None = None,
    token: str | None = None,
    **given: Any,
) -> Workbench:
    """See `workbench.connect`."""
    workbench.load_rooms()
    here = whereabouts()
    url, token = url or here.url, token or here.token
    if url:
        http = OverHttp(url, token or "", project or here.project)
        return Workbench(http, http.project)
    settings = load_settings(**given)
    running = _running_studio(settings)
    if running is not None:
        http = OverHttp(running[0], running[1], project)
        return Workbench(http, http.project)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    engines = Engines(settings)
    actor = Actor(name=local_person(), admin=True, fresh=True)
    id = resolve(engines, actor, project)
    return Workbench(InProcess(Context(actor, id, engines)), id)


def _running_studio(settings: Settings) -> tuple[str, str] | None:
    """The address and key of the Studio that runs on this home, if one answers."""
    note, key = settings.home / "run" / "studio.json", settings.home / "keys" / "local"
    try:
        url = str(json.loads(note.read_text())["url"])
        answer = httpx.get(f"{url}api/v1/health", timeout=2.0)
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return None
    return (url, key.read_text()) if answer.status_code == 200 else None


__all__ = ["InProcess", "OverHttp", "RunningJob", "Workbench", "connect"]
