"""Rights at every threshold: a viewer's copied addresses, a role that ends, another site's page."""

import socket
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.hostile.conftest import Team, label
from tests.hostile.members import Inside, Loopback, Terminal, browser

# A socket that was refused is closed by the collector.
pytestmark = [
    pytest.mark.studio,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SOON_S = 1.0


def role(team: Team, person: str, role: str) -> float:
    """Give somebody another role in `theirs`; when it was acknowledged."""
    team.mallory.call(
        "POST",
        "projects:set_role",
        json={"person": person, "role": role},
        headers={"x-workbench-project": team.theirs},
    ).raise_for_status()
    return time.monotonic()


def cut(terminal: Terminal) -> float:
    """When the socket was closed from the other side."""
    with pytest.raises(ConnectionClosed):
        while True:
            terminal.socket.recv(timeout=5)
    at = time.monotonic()
    terminal.close()
    return at


@pytest.mark.parametrize(
    "path",
    ["lab", "api", "api/kernels", "api/terminals", "api/contents", "files/01-tour.ipynb", "tree"],
)
def test_a_viewer_with_a_copied_address_of_the_lab(team: Team, path: str) -> None:
    origin, name = team.origin(team.theirs), label(team.theirs)
    team.vera.http.get(f"{origin}/user/{name}/lab")
    answer = team.vera.http.get(
        f"{origin}/user/{name}/{path}", headers={"accept": "application/json"}
    )
    assert answer.status_code == 403, answer.text
    assert "may look at this project" in answer.json()["detail"]


def test_a_viewer_with_a_copied_address_of_a_socket(team: Team) -> None:
    origin, name = team.origin(team.theirs), label(team.theirs)
    team.vera.http.get(f"{origin}/user/{name}/lab")
    inside = Inside(team.vera, origin, name)
    for path in ("terminals/websocket/1", "api/kernels/x/channels", "api/collaboration/room/x"):
        with pytest.raises(InvalidStatus) as refused:
            inside.socket(path)
        assert refused.value.response.status_code == 403


def test_a_member_of_one_project_is_nobody_in_another(team: Team) -> None:
    team.enter(team.mallory, team.theirs)
    origin, name = team.origin(team.hers), label(team.hers)
    answer = team.mallory.http.get(f"{origin}/user/{name}/lab")
    assert answer.status_code == 403
    mine = team.origin(team.theirs)
    # Her own session, carried to another project's origin by hand.
    jar = team.mallory.http.cookies.jar
    key = next(c.value for c in jar if c.name == "studio-session" and c.domain in mine)
    with httpx.Client(transport=Loopback()) as stranger:
        cookie = {"cookie": f"studio-session={key}"}
        answer = stranger.get(f"{origin}/user/{name}/api", headers=cookie)
    assert answer.status_code == 401


def test_a_role_that_changes_holds_everywhere_within_a_second(team: Team) -> None:
    role(team, "vera", "editor")
    inside = team.enter(team.vera, team.theirs)
    terminal = inside.terminal()
    assert "hello" in terminal.run("echo hel''lo")
    assert inside.ask("GET", "api/kernels").status_code == 200
    service = f"{inside.origin}/services/studio/api/v1/session"
    assert team.vera.http.get(service).json()["project"]["role"] == "editor"

    since = role(team, "vera", "viewer")
    assert cut(terminal) - since < SOON_S
    assert inside.ask("GET", "api/kernels").status_code == 403
    asked = team.vera.http.get(service, headers={"accept": "application/json"})
    assert asked.status_code == 403
    answer = team.vera.call(
        "POST",
        "data:upload",
        json={"name": "x.csv", "size": 1},
        headers={"x-workbench-project": team.theirs},
    )
    assert answer.status_code == 403


def test_a_closed_account_is_out_everywhere_within_a_second(team: Team) -> None:
    role(team, "vera", "editor")
    terminal = team.enter(team.vera, team.theirs).terminal()
    team.ada.call("POST", "security:deactivate_person", json={"name": "vera"}).raise_for_status()
    since = time.monotonic()
    assert cut(terminal) - since < SOON_S
    assert team.vera.http.get(f"{team.url}services/studio/api/v1/session").status_code == 403
    team.ada.call("POST", "security:activate_person", json={"name": "vera"}).raise_for_status()
    role(team, "vera", "viewer")


def test_a_session_that_is_ended_is_cut(team: Team) -> None:
    inside = team.enter(team.mallory, team.theirs)
    terminal = inside.terminal()
    mine = team.mallory.call("GET", "security/sessions").json()["items"]
    here = [each["id"] for each in mine if each["project"] == team.theirs]
    assert here
    for id in here:
        team.mallory.call("POST", "security:end_session", json={"id": id}).raise_for_status()
    cut(terminal)
    asked = team.mallory.http.get(f"{inside.base}/api", headers={"accept": "application/json"})
    assert asked.status_code == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "{hers}", None])
def test_a_page_of_another_origin_changes_nothing(team: Team, origin: str | None) -> None:
    inside = team.enter(team.mallory, team.theirs)
    given = origin.format(hers=team.origin(team.hers)) if origin else ""
    answer = inside.ask("POST", "api/terminals", json={}, headers={"origin": given})
    assert answer.status_code == 403, answer.text
    with pytest.raises(InvalidStatus) as refused:
        inside.socket("api/events/subscribe", origin=given or None)
    assert refused.value.response.status_code == 403


def test_a_foreign_host_is_refused_by_every_page(team: Team) -> None:
    port = int(team.environment["WORKBENCH_PORT"])
    for path in (
        "hub/login",
        "services/studio/api/v1/health",
        "services/dashboards/",
        "user/x/lab",
    ):
        answer = httpx.get(f"http://127.0.0.1:{port}/{path}", headers={"host": "evil.example"})
        assert answer.status_code == 403, path


def test_a_ticket_works_once_and_in_one_browser(team: Team) -> None:
    origin, name = team.origin(team.theirs), label(team.theirs)
    http = team.mallory.http
    with browser() as another:
        asked = another.get(f"{origin}/user/{name}/lab", follow_redirects=False)
    entrance = asked.headers["location"]
    given = http.get(entrance, follow_redirects=False)
    ticket = given.headers["location"]
    assert ticket.startswith(f"{origin}/enter/{name}/")
    # Sent to somebody else, whose browser has not asked for it: it would sign them in as Mallory.
    with browser() as another:
        for stranger in (another, team.alice.http):
            answer = stranger.get(ticket)
            assert answer.status_code == 403
            assert "began in another browser" in answer.text


def test_nobody_comes_to_a_project_by_the_studios_own_host(team: Team) -> None:
    name = label(team.theirs)
    answer = team.mallory.http.get(f"{team.url}user/{name}/lab", follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(team.origin(team.theirs))
    post = team.mallory.http.post(f"{team.url}user/{name}/api/terminals", json={})
    assert post.status_code in (403, 404)


def test_a_stranger_at_each_port_learns_nothing(team: Team) -> None:
    import psutil

    from tests.running import processes_of

    ports = set()
    for process in processes_of(team.home):
        try:
            for each in process.net_connections("tcp"):
                if each.status == psutil.CONN_LISTEN:
                    ports.add(each.laddr.port)
        except psutil.AccessDenied:
            continue
    assert len(ports) >= 6
    for port in sorted(ports):
        for path in (
            "/",
            "/api/routes",
            "/hub/api/users",
            "/services/studio/api/v1/projects/projects",
            f"/user/{label(team.theirs)}/api/contents",
            "/services/dashboards/",
        ):
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5)
            except httpx.TransportError:
                continue
            said = answer.text
            assert answer.status_code in (302, 303, 307, 401, 403, 404, 405) or (
                "<html" in said.lower() or not said
            ), (port, path, said[:200])
            for secret in (team.hers, "theirs", "alice"):
                assert secret not in said, (port, path, said[:200])


def test_a_name_with_markup_stays_text(team: Team) -> None:
    answer = team.mallory.call(
        "POST", "projects/projects", json={"name": "marked", "title": "<script>alert(1)</script>"}
    )
    answer.raise_for_status()
    page = team.mallory.http.get(f"{team.url}services/studio/")
    assert "<script>alert(1)" not in page.text


def test_a_symbolic_link_of_a_project_is_not_followed_by_the_service(
    team: Team, shell: Terminal
) -> None:
    shell.run(
        f"ln -sf {team.home}/keys/local /home/project/stolen.csv; mkfifo /home/project/pipe.csv"
    )
    for source in ("stolen.csv", "pipe.csv", f"{team.home}/keys/local", "/etc/passwd"):
        answer = team.mallory.call(
            "POST",
            "data:inspect",
            json={"source": source},
            headers={"x-workbench-project": team.theirs},
        )
        assert answer.status_code in (400, 403, 404), (source, answer.text)
        assert "local-" not in answer.text
        assert "root:" not in answer.text


def test_a_socket_of_the_machine_is_not_there(team: Team) -> None:
    # The folder shown to sandboxes holds the one socket that asks for a key.
    inside = team.home / "run" / "inside"
    assert [each.name for each in inside.iterdir()] == ["studio.sock"]
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(inside / "studio.sock"))
        stranger.sendall(
            b"GET /services/studio/api/v1/projects/projects HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        assert b"401" in stranger.recv(200)
