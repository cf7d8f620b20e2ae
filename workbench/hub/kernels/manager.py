"""Jupyter's kernels when they belong to the keeper: taken up, watched, and never lost.

A window that ran a cell and comes back (its network was cut, the server was started anew) gets what
it missed from the file of runs, and goes on. Where no window comes back, `writer` puts the outputs
into the notebook.
"""

import asyncio
import contextlib
import json
import logging
import sqlite3
import time
from typing import Any
from weakref import WeakSet

from jupyter_client.kernelspec import NATIVE_KERNEL_NAME
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.prometheus.metrics import KERNEL_CURRENTLY_RUNNING_TOTAL
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.websocket import WebSocketClosedError

from . import dask
from .outputs import KINDS, messages
from .provisioner import Keeper, KeeperProvisioner
from .runs import Row, Run, own_runs
from .writer import OutputWriter

log = logging.getLogger(__name__)

RUN = "studio_run"
"""In the metadata of an `execute_request`: the id of a run that its window wants to follow."""
HAD_S = 1.0
"""Who was heard of so long after something was sent has had it, in seconds."""
PROPER = (1000, 1001)
"""The codes with which a window closes that had all it was sent (RFC 6455)."""
NOTICED_S = 5.0
"""After this a window has noticed that its kernel ended, in seconds."""
REACH_S, AGAIN_S = 60.0, 0.2
"""How long a kernel may take to be there again, and how often it is asked, in seconds."""
MISSED_S = 0.25
"""How often a window that came back is told what a cell of its own printed, in seconds."""


class KeptKernels(AsyncMappingKernelManager):
    """The kernels of a project."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.keeper = Keeper()
        self.runs = own_runs()
        self.windows: WeakSet[Window] = WeakSet()
        self.writer: OutputWriter | None = None

    async def take_up(self) -> None:
        """Go on with the kernels that an earlier server left to the keeper."""
        for told in await self.keeper.ask("list"):
            try:
                await self._take_up(told)
            except Exception:
                # The others go on, and the project opens.
                log.exception("kernel %s goes on where nobody reaches it", told["id"])

    async def _take_up(self, told: dict[str, Any]) -> None:
        id, name = told["id"], told["name"]
        specs = self.kernel_spec_manager
        if specs is not None and name not in specs.find_kernel_specs():
            # Its environment was removed meanwhile; started anew, it is the Studio's own.
            name = NATIVE_KERNEL_NAME
        kernel, _, _ = self.pre_start_kernel(name, {"kernel_id": id})
        kernel.kernel_id = id
        kernel.load_connection_info(told["connection"])
        kernel.write_connection_file()
        provisioner = KernelProvisionerFactory.instance(parent=self).create_provisioner_instance(
            id, kernel.kernel_spec, parent=kernel
        )
        assert isinstance(provisioner, KeeperProvisioner)
        provisioner.connection_info = kernel.get_connection_info()
        await provisioner.take_up(told["pid"], told["launched"]["cwd"])
        kernel.provisioner = provisioner
        kernel._launch_args = {
            "env": told["launched"]["environment"],
            "cwd": told["launched"]["cwd"],
        }
        kernel._attempted_start = True
        kernel.ready.set_result(None)
        await kernel._async_post_start_kernel()
        self._kernels[id] = kernel
        self._kernel_connections[id] = 0
        await self._finish_kernel_start(id)
        kernel.execution_state = "busy" if told["busy"] else "idle"  # type: ignore[attr-defined]
        KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=name).inc()
        log.info("kernel %s goes on (%s)", id, kernel.execution_state)  # type: ignore[attr-defined]

    async def shutdown_all(self, now: bool = False) -> None:  # type: ignore[override]
        """Leave them to the keeper, which ends those that do nothing."""

    def missed(self) -> None:
        """Tell the windows that came back what they lack; called now and then."""
        for window in list(self.windows):
            try:
                window.go_on()
            except WebSocketClosedError:
                log.info("a window went before it was told what it missed")
            except Exception:
                # One window's trouble is not the others'.
                log.exception("a window could not be told what it missed")


class Window(ZMQChannelsWebsocketConnection):
    """A browser's window at a kernel."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._kept: KeptKernels = self.multi_kernel_manager
        self._told: dict[str, int] = {}
        """Runs that this window missed something of, and the last row that it was sent."""
        self._open: dict[str, float | None] = {}
        """Runs that it asked for, and when it was sent their end."""
        self._heard = time.time()
        self._held: list[Any] | None = None
        """What waits for a kernel that is started anew; None if it is there."""
        self._asked: set[str] = set()
        """What it was asked to see whether it is."""
        self._answers = asyncio.Event()
        self._reaching: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """What the window calls its connection to this kernel."""
        return str(self.session.session)

    def connect(self) -> Any:
        """Let it in; what it missed of its own cells comes first."""
        answer = super().connect()
        if answer is not None:
            for run in self._kept.runs.of_window(self.id):
                self._told[run.id] = 0
            self._kept.windows.add(self)
        return answer

    def disconnect(self) -> None:  # type: ignore[override]
        """Let it go; what it has not seen is for the writer."""
        self._kept.windows.discard(self)
        if self.websocket_handler.close_code in PROPER:
            self._settle(time.time())
        if self._reaching is not None:
            self._reaching.cancel()
        self._let_through()
        super().disconnect()

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Note which cell a request is for, then pass it on."""
        self._heard = time.time()
        try:
            if self._note(incoming_msg):
                return
        except (ValueError, KeyError, sqlite3.Error) as error:
            log.warning("a request is not noted: %s", error)
        if self._held is not None:
            self._held.append(incoming_msg)
            return
        super().handle_incoming_message(incoming_msg)

    def _note(self, incoming: Any) -> bool:
        """Note a cell's request; True if it asks for a run that goes on, and is dealt with."""
        if self.subprotocol == "v1.kernel.websocket.jupyter.org":
            channel, parts = deserialize_msg_from_ws_v1(incoming)
            if channel != "shell":
                return False
            header, metadata = json.loads(bytes(parts[0])), json.loads(bytes(parts[2]))
            content = json.loads(bytes(parts[3]))
        else:
            message = json.loads(incoming)
            header, metadata = message["header"], message.get("metadata") or {}
            content = message["content"]
        if header["msg_type"] != "execute_request":
            return False
        wanted = str(metadata.get(RUN) or "")
        if wanted and (run := self._kept.runs.hand_over(wanted, self.id, header)):
            self._told[run.id] = 0
            return True
        if not metadata.get("cellId"):
            return False
        self._kept.runs.ask(
            Run(
                id=header["msg_id"],
                kernel=self.kernel_id,
                cell=metadata["cellId"],
                code=content["code"],
                path=self._path(),
                window=self.id,
                header=header,
                asked=time.time(),
            )
        )
        self._open[header["msg_id"]] = None
        return False

    def _path(self) -> str:
        sessions = self.websocket_handler.settings["session_manager"]
        found = sessions.cursor.execute(
            "SELECT path FROM session WHERE kernel_id = ? AND type = 'notebook'", (self.kernel_id,)
        ).fetchone()
        return str(found["path"]) if found else ""

    def handle_outgoing_message(self, stream: Any, outgoing_msg: list[Any]) -> None:
        """Pass on what the kernel says, unless the window gets it with what it missed."""
        if self._asked:
            _, parts = self.session.feed_identities(outgoing_msg)
            if self.session.unpack(parts[2]).get("msg_id") in self._asked:
                self._answers.set()
        if self._open or self._told:
            _, parts = self.session.feed_identities(outgoing_msg)
            header, parent = self.session.unpack(parts[1]), self.session.unpack(parts[2])
            run, kind = parent.get("msg_id", ""), header["msg_type"]
            if run in self._told and (
                kind in KINDS or kind in ("status", "execute_input", "execute_reply")
            ):
                return
            if run in self._open and kind == "status":
                content = self.session.unpack(parts[4])
                if content["execution_state"] == "idle":
                    self._open[run] = time.time()
        super().handle_outgoing_message(stream, outgoing_msg)

    def on_kernel_restarted(self) -> None:
        """The kernel died: its cells say why, before the window forgets that they ran.

        What the window asks for next waits until the new one is heard: it would take up requests
        before this process hears what it publishes, and the end of a cell would be lost.
        """
        self._explain()
        super().on_kernel_restarted()
        if self._held is None:
            self._held = []
            self._reaching = asyncio.get_running_loop().create_task(self._reach())

    async def _reach(self) -> None:
        """Ask the kernel who it is until its answer comes by the way of what cells print."""
        self._answers.clear()
        line = self.kernel_manager.connect_control()
        try:
            async with asyncio.timeout(REACH_S):
                while not self._answers.is_set():
                    asked = self.session.msg("kernel_info_request")
                    self._asked.add(asked["header"]["msg_id"])
                    self.session.send(line, asked)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._answers.wait(), AGAIN_S)
        except TimeoutError:
            log.warning("kernel %s was started anew and is not heard", self.kernel_id)
        finally:
            line.close()
            self._asked.clear()
            self._let_through()

    def _let_through(self) -> None:
        """Pass on what was held."""
        held, self._held = self._held, None
        for message in held or ():
            super().handle_incoming_message(message)

    def on_restart_failed(self) -> None:
        """The kernel died too often to be started again."""
        self._explain()
        super().on_restart_failed()

    def _explain(self) -> None:
        for id, ended in self._open.items():
            run = self._kept.runs.find(id)
            if ended is None and run is not None and run.how == "died":
                for row in self._kept.runs.rows(id):
                    if row.kind == "explained":
                        self._send(run, "error", row.content)
                self._close(run)

    def go_on(self) -> None:
        """Send what came since, of the runs that it missed something of; settle what it has."""
        runs = self._kept.runs
        for id, last in list(self._told.items()):
            run = runs.find(id)
            if run is None:
                del self._told[id]
                continue
            rows = runs.rows(id, last)
            if not last and rows:
                # It may have some of them, nobody knows how many.
                self._send(run, "clear_output", {"wait": True})
            for row in rows:
                for kind, content in _as_sent(row):
                    self._send(run, kind, content)
                self._told[id] = row.number
            if run.ended is not None and runs.last(id) == self._told[id]:
                self._close(run)
                del self._told[id]
        for id, ended in list(self._open.items()):
            if ended is None:
                run = runs.find(id)
                if run is None:
                    del self._open[id]
                elif run.ended is not None and time.time() > run.ended + NOTICED_S:
                    # Its kernel was ended or started anew: the window knows, and shows it.
                    self._open[id] = run.ended
        self._settle(max(self._heard, self.websocket_handler.last_pong))

    def _settle(self, heard: float) -> None:
        """Forget what the window has, which was heard of at that time."""
        writer = self._kept.writer
        for id, ended in list(self._open.items()):
            if ended is not None and heard > ended + HAD_S:
                if writer is None or not writer.cares(id):
                    self._kept.runs.forget(id)
                del self._open[id]

    def _close(self, run: Run) -> None:
        """Tell the window that a run has ended."""
        if run.count is not None:
            self._send(run, "execute_input", {"code": run.code, "execution_count": run.count})
        status = run.how if run.how in ("ok", "aborted") else "error"
        reply: dict[str, Any] = {"status": status, "execution_count": run.count}
        if status == "ok":
            reply |= {"user_expressions": {}, "payload": []}
        else:
            reply |= {"ename": "", "evalue": "", "traceback": []}
        self._send(run, "execute_reply", reply, "shell")
        self._send(run, "status", {"execution_state": "idle"})
        self._open[run.id] = time.time()

    def _send(self, run: Run, kind: str, content: dict[str, Any], channel: str = "iopub") -> None:
        message = self.session.msg(kind, content=content, parent=run.header)
        if self.subprotocol == "v1.kernel.websocket.jupyter.org":
            self.write_message(
                serialize_msg_to_ws_v1(message, channel, self.session.pack), binary=True
            )
        else:
            message["channel"] = channel
            self.write_message(json.dumps(message, default=str))


class RunsHandler(APIHandler):
    """`GET studio/runs?path=`: the cells of a notebook that run, or wait to."""

    auth_resource = "kernels"

    def initialize(self, writer: OutputWriter) -> None:
        """See `take_up`."""
        self._writer = writer

    @web.authenticated
    @authorized
    def get(self) -> None:
        """Answer: a list of objects with id, kernel, cell and code."""
        runs = self._writer.running(self.get_query_argument("path"))
        names = ("id", "kernel", "cell", "code")
        self.finish(json.dumps([{name: getattr(run, name) for name in names} for run in runs]))


class UsesHandler(APIHandler):
    """`GET studio/kernels`: what each kernel uses, as a list.

    An object has id, memory_bytes (the kernel and all it started), limit_bytes (of one process;
    null without a limit) and cpu (1.0 is one processor, all the time).
    """

    auth_resource = "kernels"

    def initialize(self, keeper: Keeper) -> None:
        """See `take_up`."""
        self._keeper = keeper

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer."""
        self.finish(json.dumps(await self._keeper.ask("uses")))


def _as_sent(row: Row) -> list[tuple[str, dict[str, Any]]]:
    if row.kind == "outputs":
        return [("clear_output", {"wait": False}), *messages(row.content["outputs"])]
    return [("error" if row.kind == "explained" else row.kind, row.content)]


def take_up(server: ServerApp) -> None:
    """Have a server that is about to start take up the kernels, and write what they print."""
    kernels = server.kernel_manager
    if not isinstance(kernels, KeptKernels):
        return
    server.io_loop.run_sync(kernels.take_up)
    writer = OutputWriter(server, kernels.runs, lambda: {each.id for each in kernels.windows})
    kernels.writer = writer
    place = url_path_join(server.base_url, "studio")
    handlers: list[Any] = [
        (f"{place}/runs", RunsHandler, {"writer": writer}),
        (f"{place}/kernels", UsesHandler, {"keeper": kernels.keeper}),
        *dask.routes(server.base_url, kernels.keeper),
    ]
    server.web_app.add_handlers(".*$", handlers)
    server.io_loop.add_callback(writer.work, kernels.missed, MISSED_S)
