"""The projects' servers as the gateway sees them: where they are, how they start, who is idle."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from workbench.core import Settings, Store, WorkbenchError
from workbench.core.ids import label_of, project_of
from workbench.operations import running
from workbench.pipelines import ledger
from workbench.projects import closed, sweep
from workbench.wire import KEY, PERSON

from .relay import client

log = logging.getLogger(__name__)

REPORT_S = 60.0
"""How often it is looked which servers are used, in seconds."""
TOUCH_S = 1.0
"""How exactly it is noted when a server is used, in seconds."""
RETRY_S = 0.5
"""How long it takes until a server that goes on is asked to end once more, in seconds."""


class Pod(NamedTuple):
    """Where a project's pod answers, and what it wants to be shown."""

    origin: str
    secret: str


class Way(NamedTuple):
    """How a project's server is reached: by which client, at which origin, with which headers."""

    client: aiohttp.ClientSession
    origin: str
    headers: dict[str, str]


def note_pod(home: Path, label: str, pod: Pod) -> None:
    """Note where a project's pod is, for the gateway."""
    file = _pod_file(home, label)
    new = file.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(pod._asdict(), out)
    new.replace(file)


def forget_pod(home: Path, label: str) -> None:
    """Note that a project's pod has ended."""
    _pod_file(home, label).unlink(missing_ok=True)


def _pod_file(home: Path, label: str) -> Path:
    return running.folder_of(home) / f"{label}.pod"


def socket_of(home: Path, label: str) -> Path:
    """Where the gateway finds a project's server; only the Studio's user may pass."""
    return running.folder_of(home) / f"{label}.sock"


class Servers:
    """See the module.

    Args:
        settings: The Studio's.
        store: Where it stands which projects there are, and which have jobs.
        api: The address of the hub's REST API, without a slash at the end.
        token: What the gateway calls it with.
    """

    def __init__(self, settings: Settings, store: Store, api: str, token: str) -> None:
        self._sockets = socket_of(settings.home, "any").parent
        self._sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
        # An address of this kind has at most 108 bytes, and a home may lie deeper.
        self._folder = os.open(self._sockets, os.O_PATH)
        self._settings, self._store = settings, store
        self._api, self._token = api, token
        self._hub: aiohttp.ClientSession | None = None
        self._network: aiohttp.ClientSession | None = None
        self._clients: dict[str, aiohttp.ClientSession] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        self._touched: dict[str, float] = {}

    def client(self, label: str) -> aiohttp.ClientSession:
        """What reaches that project's server."""
        if label not in self._clients:
            path = f"/proc/self/fd/{self._folder}/{label}.sock"
            self._clients[label] = client(aiohttp.UnixConnector(path, limit=0))
        return self._clients[label]

    def way(self, label: str) -> Way:
        """How that project's server is reached.

        Raises:
            FileNotFoundError: It runs in no pod.
        """
        if self._settings.servers == "local":
            return Way(self.client(label), "http://project", {})
        pod = Pod(**json.loads(_pod_file(self._settings.home, label).read_text()))
        if self._network is None:
            self._network = client(aiohttp.TCPConnector(limit=0))
        return Way(self._network, pod.origin, {KEY: pod.secret})

    def touch(self, label: str) -> None:
        """Note that somebody uses that server, where the next gateway finds it too."""
        now = time.monotonic()
        if now - self._touched.get(label, -TOUCH_S) >= TOUCH_S:
            self._touched[label] = now
            running.touch(self._settings.home, label)

    def died(self, label: str) -> bool:
        """Whether a server that does not answer ended by itself: whoever stops one takes its socket
        away.
        """
        return (self._sockets / f"{label}.sock").exists()

    def start(self, label: str) -> str:
        """See that the server starts; why it did not the last time, if so."""
        running = self._starting.get(label)
        if running is None or running.done():
            self._starting[label] = asyncio.create_task(self._start(label))
        return self._problems.get(label, "")

    async def _start(self, label: str) -> None:
        try:
            await self._ask("POST", f"users/{label}", known=(201, 409))
            await self._ask("POST", f"users/{label}/server", known=(201, 202, 400))
            self._problems.pop(label, None)
        except (aiohttp.ClientError, TimeoutError, RuntimeError) as error:
            log.warning("%s does not start: %s", label, error)
            self._problems[label] = "It has not started yet; the Studio goes on trying."
            await asyncio.sleep(2)

    def labels(self) -> frozenset[str]:
        """The labels of the servers that run, or were killed and not started again.

        And of those that were stopped while cells in them go on.
        """
        kinds = ("*.sock", "*.json") if self._settings.servers == "local" else ("*.pod",)
        return frozenset(path.stem for kind in kinds for path in self._sockets.glob(kind))

    def stop_closed(self, labels: Collection[str]) -> None:
        """See that no server goes on whose project was archived or deleted."""
        for project in closed(self._store, [project_of(label) for label in labels]):
            label = label_of(project)
            stopping = self._stopping.get(label)
            if stopping is None or stopping.done():
                self._stopping[label] = asyncio.create_task(self._stop(label))

    async def _stop(self, label: str) -> None:
        while True:
            try:
                if await self._is_shut(label):
                    return
            except (aiohttp.ClientError, TimeoutError, RuntimeError, WorkbenchError) as error:
                log.warning("%s does not stop: %s", label, error)
            await asyncio.sleep(RETRY_S)

    async def _is_shut(self, label: str) -> bool:
        """Whether nothing is left to do: the server has ended, or the project was reopened."""
        project = project_of(label)
        found = await asyncio.to_thread(closed, self._store, [project])
        if not found:
            return True
        # 202: it is ending; 400: it is being started.
        told = await self._ask("DELETE", f"users/{label}/server", known=(202, 204, 400, 404))
        if told not in (204, 404):
            return False
        for left in await asyncio.to_thread(running.running, self._settings.home):
            if left.label == label:
                # Cells that go on without a server. Then look again: it takes its time.
                await asyncio.to_thread(running.end, left)
                return False
        running.forget(self._settings.home, label)
        (self._sockets / f"{label}.sock").unlink(missing_ok=True)
        forget_pod(self._settings.home, label)
        if client := self._clients.pop(label, None):
            await client.close()
        if not found[project]:
            # What ran may have written files until its end.
            await asyncio.to_thread(sweep, self._settings.home, self._store)
            await self._ask("DELETE", f"users/{label}", known=(204, 404))
        return True

    async def _ask(
        self, method: str, path: str, *, known: tuple[int, ...], json: Any = None
    ) -> int:
        if self._hub is None:
            headers = {"Authorization": f"token {self._token}"}
            self._hub = aiohttp.ClientSession(headers=headers)
        timeout = aiohttp.ClientTimeout(total=150)
        url = f"{self._api}/{path}"
        async with self._hub.request(method, url, json=json, timeout=timeout) as answer:
            if answer.status not in known:
                said = (await answer.text())[:300]
                raise RuntimeError(f"the hub answered {answer.status}: {said}")
            return answer.status

    async def answer_hub(self, request: web.BaseRequest) -> web.Response:
        """Tell the hub whether a project's server answers: `/user/<label>/api`."""
        parts = request.path.split("/")
        if len(parts) != 4 or (parts[1], parts[3]) != ("user", "api"):
            return web.Response(status=404)
        return web.Response(status=200 if await self.answers(parts[2]) else 503)

    async def answers(self, label: str) -> bool:
        """Whether that project's server runs."""
        try:
            return isinstance(await self._get(label, "api"), dict)
        except (aiohttp.ClientError, FileNotFoundError, TimeoutError, ValueError):
            return False

    async def _get(self, label: str, path: str) -> Any:
        way = self.way(label)
        url = f"{way.origin}/user/{label}/{path}"
        timeout = aiohttp.ClientTimeout(total=5)
        headers = {PERSON: "studio", "Accept-Encoding": "identity", **way.headers}
        async with way.client.get(url, headers=headers, timeout=timeout) as answer:
            return await answer.json(content_type=None)

    async def watch(self) -> None:
        """Look after the servers, now and again: who is used, who may be stopped."""
        every = min(REPORT_S, self._settings.idle_s / 4) if self._settings.idle_s else REPORT_S
        while True:
            await asyncio.sleep(every)
            try:
                found = await asyncio.to_thread(running.running, self._settings.home)
                await asyncio.gather(*(self._look_after(each) for each in found))
            except Exception:
                # Whoever looks after the servers may not end with one of them.
                log.exception("servers could not be looked after")

    async def _look_after(self, server: running.Running) -> None:
        """Tell the hub when a server was used; stop it if that is long ago and nothing runs in it.

        What does not answer may be at work, so it is left alone. What was seen is acted upon at
        once: nothing that began a minute ago is overlooked.
        """
        home, limit_s = self._settings.home, self._settings.idle_s
        seen = await asyncio.to_thread(running.look, home, server)
        works = seen.works or await asyncio.to_thread(self._has_jobs, server.label)
        if works or seen.used_at is not None:
            await asyncio.to_thread(
                running.touch, home, server.label, None if works else seen.used_at
            )
        last = running.used_at(home, server)
        idle_s = (datetime.now(UTC) - last).total_seconds()
        try:
            if limit_s and not works and idle_s >= limit_s:
                log.info("%s is stopped: idle for %.0f s", server.label, idle_s)
                await self._ask("DELETE", f"users/{server.label}/server", known=(202, 204, 404))
                return
            at = last.isoformat().replace("+00:00", "Z")
            body = {"last_activity": at, "servers": {"": {"last_activity": at}}}
            path = f"users/{server.label}/activity"
            await self._ask("POST", path, known=(200, 404), json=body)
        except (aiohttp.ClientError, TimeoutError, RuntimeError) as error:
            log.warning("%s: %s", server.label, error)

    def _has_jobs(self, label: str) -> bool:
        return ledger.active(self._store, project_of(label)) > 0

    async def close(self) -> None:
        """Let go of what is open."""
        for each in (*self._clients.values(), *filter(None, [self._hub, self._network])):
            await each.close()
        for task in (*self._starting.values(), *self._stopping.values()):
            task.cancel()
        os.close(self._folder)
