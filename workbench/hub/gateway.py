"""The gateway: the one address of the Studio, and the threshold of every project's server.

Requests for the Studio's own host go to the hub's proxy. Each project has an origin of its own;
there a browser needs a session of that project, and the person a role in it, looked up again
whenever anything changed: what is open is cut within a second. Cookies of other hosts never reach
a project's server, and nobody else reaches its socket.
"""

import asyncio
import contextlib
import json
import logging
import re
import secrets
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import escape
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

import workbench
from workbench.core import Actor, Engines, Settings, WorkbenchError, load_settings, whereabouts
from workbench.core.errors import MEDIA_TYPE
from workbench.core.ids import new_id, project_of
from workbench.core.logs import configure_logging
from workbench.core.store import Store, stores
from workbench.security import Role, sessions
from workbench.security.policy import standing
from workbench.wire import KEY, PERSON

from .certificates import context
from .relay import client, is_websocket, passed_on, relay
from .servers import Servers

log = logging.getLogger(__name__)

SESSION, NONCE, XSRF = "studio-session", "studio-enter", "_xsrf"
STUDIO = "/services/studio/"
TRACE_HEADER = "X-Trace-Id"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOOK_S = 0.25
"""How often it is looked whether somebody's rights changed, in seconds."""
LABEL = r"prj-[a-z0-9]{1,60}"


class Entrant(NamedTuple):
    """Somebody at a project's origin."""

    person: str
    role: Role | None


class Refusal(Exception):
    """What is answered instead: a sentence and what to do."""

    def __init__(self, status: int, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.hint = status, sentence, hint


class Gateway:
    """See the module.

    Args:
        settings: The Studio's.
        store: Where sessions and roles are kept.
        proxy: The origin of the hub's proxy.
        servers: The projects' servers.
    """

    def __init__(self, settings: Settings, store: Store, proxy: str, servers: Servers) -> None:
        self.settings, self.store, self.proxy, self.servers = settings, store, proxy, servers
        self._own = re.sub(r"^https?://", "", settings.address).rstrip("/")
        self._inner: aiohttp.ClientSession | None = None
        self._token: object = None
        self._known: dict[tuple[str, str], Entrant | None] = {}
        self._open: dict[asyncio.Task[object], tuple[str, str]] = {}
        wildcard = re.escape(settings.wildcard or "-")
        self._project_host = re.compile(rf"({LABEL})\.{wildcard}")

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Open the client and watch over rights meanwhile."""
        self._inner = client(aiohttp.TCPConnector(limit=0))
        tasks = [asyncio.create_task(each) for each in (self._watch(), self.servers.watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await self._inner.close()
            await self.servers.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request for the Studio's address or a project's."""
        trace = new_id("trc")
        try:
            return await self._answer(request)
        except Refusal as refusal:
            if refusal.status != 401:  # whoever is not signed in may not fill the log
                log.info("refused: %s", refusal.status, extra={"trace": trace})
            return _told(request, refusal, trace)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("%s: %s", request.path, type(error).__name__, extra={"trace": trace})
            silent = Refusal(
                503, "This part of the Studio does not answer.", "Try again in a moment."
            )
            return _told(request, silent, trace)
        except web.HTTPException:
            raise
        except Exception:
            log.exception("bug at %s", request.path, extra={"trace": trace})
            broken = Refusal(
                500,
                f"Something broke here that we did not foresee (id {trace}).",
                "Give an administrator that id; it finds the line in the log.",
            )
            return _told(request, broken, trace)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        host = re.sub(r":\d+$", "", request.host).lower()
        found = self._project_host.fullmatch(host)
        if found:
            return await self._project(request, found[1])
        if host not in self.settings.names:
            raise Refusal(
                403,
                f"This Studio does not answer to the host {host[:100]!r}.",
                "Add it to the setting hosts, if it is yours.",
            )
        path = request.path
        inside = re.match(rf"/(?:user|enter|view)/({LABEL})(?:/|$)", path)
        if inside and not self.settings.wildcard:
            return await self._project(request, inside[1])
        if inside and request.method == "GET" and not is_websocket(request):
            raise web.HTTPFound(self.settings.origin(inside[1]) + request.raw_path)
        if path.startswith("/user/"):
            raise Refusal(404, "There is no such server.", "Open a project instead.")
        # People have no servers of their own, so the hub's pages about them say nothing.
        if re.fullmatch(r"/|/hub/?|/hub/(spawn|user)(/.*)?", path):
            raise web.HTTPFound(f"{STUDIO}open")
        if re.fullmatch(r"/hub/home/?", path):
            raise web.HTTPFound(STUDIO)
        return await self._to_studio(request, passed_on(request))

    async def _to_studio(
        self, request: web.BaseRequest, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        assert self._inner is not None
        headers["X-Forwarded-Proto"] = self.settings.scheme
        headers["X-Forwarded-Host"] = headers.get("Host", "")
        if request.remote:
            headers["X-Forwarded-For"] = request.remote
        return await relay(request, self._inner, self.proxy, headers, lambda _, value: value)

    async def _project(self, request: web.BaseRequest, label: str) -> web.StreamResponse:
        path = request.path
        if path == f"/enter/{label}/state":
            return web.json_response({"running": await self.servers.answers(label)})
        if path.startswith(f"/enter/{label}/"):
            return self._enter(request, label)
        if path.startswith(f"/view/{label}/"):
            # A page that somebody wrote: shown by a signature, and never with anybody's cookies.
            headers = passed_on(request)
            for name in ("Cookie", "Authorization", "Origin"):
                headers.popall(name, None)
            headers["Host"] = self._own
            request = request.clone(rel_url=STUDIO.rstrip("/") + request.raw_path)
            return await self._to_studio(request, headers)
        key = request.cookies.get(self._cookie(label), "")
        entrant = self._entrant(key, label)
        browsing = _is_navigation(request)
        if entrant is None:
            if browsing:
                return self._ask_in(request, label)
            raise Refusal(401, "You are not signed in to this project.", "Open the project again.")
        if entrant.role not in ("editor", "owner"):
            if browsing:
                raise web.HTTPFound(
                    f"{self.settings.address}services/studio/projects/{project_of(label)}"
                )
            raise Refusal(
                403,
                f"{entrant.person} may look at this project, and change nothing.",
                "Ask an owner of it.",
            )
        self._same_origin(request, label)
        if path == "/":
            raise web.HTTPFound(f"/user/{label}/lab")
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = (key, label)
        try:
            if path.startswith(f"{STUDIO}api/"):
                return await self._to_service(request, key)
            if path.startswith(f"/user/{label}/"):
                return await self._to_server(request, label, entrant.person, browsing)
        except asyncio.CancelledError:
            if self._entrant(key, label) == entrant:
                raise
            return web.Response(status=403)
        finally:
            self._open.pop(task, None)
        raise Refusal(404, f"There is nothing at {path[:200]} in this project.")

    async def _to_service(self, request: web.BaseRequest, key: str) -> web.StreamResponse:
        """The Studio's service, as this person in this project and no further."""
        headers = passed_on(request)
        for name in ("Cookie", "Origin", "Referer", "Authorization"):
            headers.popall(name, None)
        headers["Authorization"] = f"Bearer {key}"
        headers["Host"] = self._own
        return await self._to_studio(request, headers)

    async def _to_server(
        self, request: web.BaseRequest, label: str, person: str, browsing: bool
    ) -> web.StreamResponse:
        headers = passed_on(request)
        for name in ("Cookie", "Authorization", PERSON, KEY):
            headers.popall(name, None)
        headers[PERSON] = person
        if xsrf := request.cookies.get(XSRF):
            headers["Cookie"] = f"{XSRF}={xsrf}"
        self.servers.touch(label)
        try:
            way = self.servers.way(label)
            headers.update(way.headers)
            return await relay(request, way.client, way.origin, headers, _of_server)
        except (aiohttp.ClientConnectorError, FileNotFoundError) as error:
            if not browsing:
                if self.servers.died(label):
                    # Nobody stopped it, so pages that are open go on with the next one.
                    self.servers.start(label)
                    hint = "It is being started again: wait a moment."
                else:
                    hint = "Open the project again."
                raise Refusal(503, "The project's server does not run.", hint) from error
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            # Killed while it was asked: who looks at a page gets the next one.
            if not browsing:
                raise
        return _page("Starting …", _STARTING, self.servers.start(label))

    def _entrant(self, key: str, label: str) -> Entrant | None:
        """Who has that session here, with their role now."""
        if not key:
            return None
        token = self.store.token()
        if token != self._token:
            self._known, self._token = {}, token
        if (key, label) not in self._known:
            project = project_of(label)
            found = sessions.find(self.store, key, "person", datetime.now(UTC))
            entrant = None
            if found is not None and found.project == project:
                actor = Actor(name=found.person, within=project)
                now = standing(self.store, actor, project)
                # Who may change nothing has no server; an archived project has none for anybody.
                role: Role | None = "viewer" if now.archived and now.role else now.role
                entrant = Entrant(found.person, role) if now.active else None
            self._known[key, label] = entrant
        return self._known[key, label]

    def _ask_in(self, request: web.BaseRequest, label: str) -> web.Response:
        """Send the browser to the Studio's own host, which knows who it is."""
        nonce = secrets.token_urlsafe(16)
        asked = urlencode({"project": project_of(label), "nonce": nonce, "next": request.raw_path})
        answer = web.HTTPFound(f"{self.settings.address}services/studio/enter?{asked}")
        self._set(answer, NONCE, nonce, label, 300)
        return answer

    def _enter(self, request: web.BaseRequest, label: str) -> web.Response:
        """Take a ticket of the Studio's own host for a session here."""
        nonce = request.cookies.get(self._cookie(label, NONCE), "")
        ticket = request.query.get("ticket", "")
        now = datetime.now(UTC)
        found = sessions.spend(self.store, f"{ticket}.{nonce}", now) if nonce and ticket else None
        wanted = request.query.get("next", "")
        if found is None or found.project != project_of(label):
            raise Refusal(
                403,
                "This way in was used already, or began in another browser.",
                "Open the project again.",
            )
        key = sessions.issue(
            self.store,
            "person",
            person=found.person,
            project=found.project,
            agent=request.headers.get("User-Agent", ""),
            now=now,
        )
        local = re.fullmatch(rf"/user/{label}/[^\\\s]*", wanted)
        answer = web.HTTPFound(wanted if local else f"/user/{label}/lab")
        answer.del_cookie(self._cookie(label, NONCE), path="/")
        self._set(answer, SESSION, key, label, int(sessions.LIFE["person"].total_seconds()))
        return answer

    def _set(self, answer: web.Response, name: str, value: str, label: str, age_s: int) -> None:
        answer.set_cookie(
            self._cookie(label, name),
            value,
            path="/",
            max_age=age_s,
            httponly=True,
            samesite="Lax",
            secure=self.settings.scheme == "https",
        )

    def _cookie(self, label: str, name: str = SESSION) -> str:
        if not self.settings.wildcard:
            return f"{name}-{label}"
        return f"__Host-{name}" if self.settings.scheme == "https" else name

    def _same_origin(self, request: web.BaseRequest, label: str) -> None:
        """Refuse a change or a socket that a page of another origin asks for."""
        if request.method in SAFE and not is_websocket(request):
            return
        origin = request.headers.get("Origin")
        if origin != self.settings.origin(project_of(label)) and not (
            origin and not self.settings.wildcard and origin.partition("://")[2] == request.host
        ):
            raise Refusal(
                403,
                f"A page of {origin or 'no origin'} may change nothing here.",
                "Do it from the project's own pages.",
            )

    async def _watch(self) -> None:
        """Cut what is open for whose session or role ended; stop what runs of no project."""
        seen: object = None
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                now = (self.store.token(), self.servers.labels())
                if now != seen:
                    self._look()
                    self.servers.stop_closed(now[1])
                    seen = now
            except WorkbenchError as error:
                log.warning("looked in vain: %s", error)

    def _look(self) -> None:
        for task, (key, label) in list(self._open.items()):
            entrant = self._entrant(key, label)
            if entrant is None or entrant.role not in ("editor", "owner"):
                task.cancel()


def _of_server(name: str, value: str) -> str | None:
    """What a project's server may set in a browser."""
    if name.lower() == "set-cookie":
        # Its own token against forgery, for its own host; nothing for another.
        if not value.startswith(f"{XSRF}="):
            return None
        return "; ".join(
            part
            for part in map(str.strip, value.split(";"))
            if not part.lower().startswith("domain")
        )
    return value


def _is_navigation(request: web.BaseRequest) -> bool:
    return (
        request.method == "GET"
        and not is_websocket(request)
        and "text/html" in request.headers.get("Accept", "")
        and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    )


def _told(request: web.BaseRequest, refusal: Refusal, trace: str) -> web.Response:
    if _is_navigation(request):
        text = f"{escape(refusal.sentence)} {escape(refusal.hint)}"
        text += f"<p><small>Asking somebody about it? Quote <code>{trace}</code></small></p>"
        answer = _page("NexusAI Studio", text, "", refusal.status)
        answer.headers[TRACE_HEADER] = trace
        return answer
    titles = {401: "Unauthenticated", 403: "Forbidden", 404: "NotFound", 500: "Bug"}
    title = titles.get(refusal.status, "Unavailable")
    problem = {
        "type": f"urn:workbench:error:{title.lower()}",
        "title": title,
        "status": refusal.status,
        "detail": refusal.sentence,
        "hint": refusal.hint,
        "trace": trace,
    }
    return web.Response(
        status=refusal.status,
        body=json.dumps(problem),
        content_type=MEDIA_TYPE,
        headers={TRACE_HEADER: trace},
    )


def _page(title: str, text: str, problem: str = "", status: int = HTTPStatus.OK) -> web.Response:
    body = _SHELL.format(title=escape(title), text=text, problem=escape(problem))
    return web.Response(
        status=status,
        text=body,
        content_type="text/html",
        headers={"Cache-Control": "no-store", "X-Frame-Options": "DENY"},
    )


_SHELL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
main {{ max-width: 32rem; margin: 20vh auto 0; padding: 0 1rem }}
h1 {{ font-size: 1.4rem }} progress {{ width: 100% }}
</style></head><body><main><h1>{title}</h1><div role="status">{text}</div>
<p role="alert">{problem}</p></main></body></html>"""

_STARTING = """<p>The project's JupyterLab starts. This takes a few seconds.</p>
<progress aria-label="Starting"></progress>
<script>
async function look() {
  const label = location.pathname.split('/')[2];
  const answer = await fetch('/enter/' + label + '/state').catch(() => null);
  if (answer && (await answer.json()).running) location.reload(); else setTimeout(look, 250);
}
setTimeout(look, 250);
</script><noscript><meta http-equiv="refresh" content="2"></noscript>"""


def tls(settings: Settings) -> ssl.SSLContext | None:
    """The certificate to serve with, if there is one."""
    return context(settings) if settings.tls_certificate else None


async def serve() -> None:
    """Answer at the Studio's address until told to stop."""
    settings = load_settings()
    configure_logging(settings)
    engines = Engines(settings)
    store = engines.get(stores)
    told = whereabouts()
    servers = Servers(settings, store, told.hub_api, told.token or "")
    gateway = Gateway(settings, store, told.proxy_url, servers)
    # The low-level server: routing would take paths apart. No access log: addresses hold tokens.
    server = web.Server(gateway.handle, access_log=None)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(
        runner, settings.host or None, settings.port, ssl_context=tls(settings)
    ).start()
    inner = web.ServerRunner(web.Server(servers.answer_hub, access_log=None))
    await inner.setup()
    await web.TCPSite(inner, "127.0.0.1", told.gateway_port).start()
    async with gateway.watching():
        await asyncio.Event().wait()


if __name__ == "__main__":
    workbench.load_rooms()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
