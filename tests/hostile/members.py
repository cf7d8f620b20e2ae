"""People at a running Studio without a browser: they sign in, enter a project, use a terminal."""

import json
import re
import socket as sockets
import time
from contextlib import closing
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect


class Loopback(httpx.HTTPTransport):
    """Every name is this machine: not every resolver knows `prj-….localhost`."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        near = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1"),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return super().handle_request(near)


def browser() -> httpx.Client:
    """A client that keeps cookies and follows links as a browser does."""
    return httpx.Client(
        transport=Loopback(), follow_redirects=True, timeout=60, headers={"accept": "text/html"}
    )


def submit(http: httpx.Client, page: str, fields: dict[str, str]) -> httpx.Response:
    """Fill in the form of a hub's page and send it."""
    shown = http.get(page)
    xsrf = re.search(r'name="_xsrf" value="([^"]+)"', shown.text)
    assert xsrf, shown.text[:500]
    url = httpx.URL(page)
    origin = f"{url.scheme}://{url.netloc.decode()}"
    return http.post(
        page,
        data={**fields, "_xsrf": xsrf[1]},
        headers={"origin": origin, "sec-fetch-mode": "navigate"},
    )


def come_in(link: str, name: str, password: str, *, stay: bool = True) -> None:
    """Use a one-time link: make the account; unless to `stay`, no project is opened."""
    token = httpx.URL(link).params["token"]
    fields = {"token": token, "name": name, "password": password, "again": password}
    with browser() as http:
        http.follow_redirects = stay
        answer = submit(http, link, fields)
        assert answer.status_code < 500, answer.text[:500]


class Member:
    """Somebody signed in to the hub."""

    def __init__(
        self, url: str, name: str, password: str, *, took: list[float] | None = None
    ) -> None:
        self.url, self.name = url, name
        self.http = browser()
        if took is not None:
            self.http.event_hooks["response"] = [
                lambda answer: (answer.read(), took.append(answer.elapsed.total_seconds()))
            ]
        answer = submit(
            self.http,
            f"{url}hub/login?next=%2Fservices%2Fstudio%2Faccount",
            {"username": name, "password": password},
        )
        assert answer.status_code in (200, 404), answer.text[:500]
        # Where a page of the service sends a browser that has no cookie of it yet.
        self.http.get(f"{url}services/studio/signin").raise_for_status()

    def close(self) -> None:
        self.http.close()

    def session(self) -> dict[str, Any]:
        answer = self.http.get(f"{self.url}services/studio/api/v1/session")
        return dict(answer.raise_for_status().json())

    def call(self, method: str, path: str, **given: Any) -> httpx.Response:
        """The Studio's REST face, as this person's browser on the Studio's own pages."""
        headers = {"x-xsrftoken": self.session()["xsrf"], **given.pop("headers", {})}
        return self.http.request(
            method, f"{self.url}services/studio/api/v1/{path}", headers=headers, **given
        )

    def enter(self, origin: str, label: str, *, wait_s: float = 60) -> "Inside":
        """Open a project's Lab, as a browser does, and wait until its server answers."""
        until = time.monotonic() + wait_s
        while True:
            page = self.http.get(f"{origin}/user/{label}/lab")
            state = self.http.get(f"{origin}/enter/{label}/state").json()
            if state["running"]:
                # The page itself, for its cookie: the one before may have said that it starts.
                self.http.get(f"{origin}/user/{label}/lab")
                return Inside(self, origin, label)
            assert time.monotonic() < until, page.text[-500:]
            time.sleep(0.2)


class Inside:
    """Somebody in a project's Lab."""

    def __init__(self, member: Member, origin: str, label: str) -> None:
        self.member, self.origin, self.label = member, origin, label
        self.base = f"{origin}/user/{label}"

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """The Lab's own REST API, as its page asks it."""
        self.member.http.get(f"{self.base}/api/me")
        jar = self.member.http.cookies.jar
        xsrf = next((c.value for c in jar if c.name == "_xsrf" and c.domain in self.origin), "")
        headers = {"x-xsrftoken": str(xsrf), "origin": self.origin, "accept": "application/json"}
        given["headers"] = headers | given.get("headers", {})
        return self.member.http.request(method, f"{self.base}/{path}", **given)

    def socket(self, path: str, **given: Any) -> ClientConnection:
        """A WebSocket of the Lab."""
        host = httpx.URL(self.origin)
        jar = self.member.http.cookies.jar
        cookies = "; ".join(
            f"{c.name}={c.value}"
            for c in jar
            if c.domain and host.host.endswith(c.domain.strip("."))
        )
        reached = sockets.create_connection(("127.0.0.1", host.port or 80), timeout=10)
        try:
            return self._connected(reached, path, cookies, given)
        except BaseException:
            reached.close()
            raise

    def _connected(
        self, reached: sockets.socket, path: str, cookies: str, given: dict[str, Any]
    ) -> ClientConnection:
        return connect(
            f"{self.base}/{path}".replace("http", "ws", 1),
            sock=reached,
            additional_headers={"cookie": cookies},
            origin=given.pop("origin", self.origin),
            max_size=None,
            legacy=True,
            **given,
        )

    def terminal(self) -> "Terminal":
        name = self.ask("POST", "api/terminals", json={}).raise_for_status().json()["name"]
        return Terminal(self.socket(f"terminals/websocket/{name}"))


class Terminal:
    """A shell in the project's sandbox."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._count = 0
        self.run("PS1=; PS2=")

    def run(self, command: str, timeout_s: float = 60) -> str:
        """What a command prints."""
        self._count += 1
        begin, end = f"begin{self._count}", f"end{self._count}"
        # Split, so that the echo of what was typed is not taken for the mark.
        line = f"stty -echo; echo {begin[:3]}''{begin[3:]}; {command}\necho {end[:2]}''{end[2:]}\n"
        self.socket.send(json.dumps(["stdin", line]))
        seen = ""
        until = time.monotonic() + timeout_s
        while f"{end}\r\n" not in seen:
            left = until - time.monotonic()
            assert left > 0, f"{command} took longer than {timeout_s} s: {seen[-500:]}"
            kind, *what = json.loads(self.socket.recv(timeout=left))
            if kind == "stdout":
                seen += what[0]
        told = seen.split(f"{begin}\r\n")[-1].split(f"{end}\r\n")[0].replace("\r\n", "\n")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", told)

    def close(self) -> None:
        self.socket.close()


__all__ = ["Inside", "Loopback", "Member", "Terminal", "closing"]
