"""What somebody with a terminal in one project can reach of everything else: nothing.

`docs/isolation.md` holds the table of what was tried; `test_the_table_is_as_committed` keeps it.
"""

import json
import shlex
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.hostile.conftest import Team, invited, label, made
from tests.hostile.members import Terminal
from tests.running import processes_of

pytestmark = pytest.mark.studio

TRIED: dict[str, tuple[str, str]] = {
    "read another project's files": (
        "cat {home}/projects/{hers}/files/01-tour.ipynb; ls {home}/projects",
        "No such file",
    ),
    "read the keys": ("ls {home}/keys; cat {home}/keys/local", "No such file"),
    "read the databases": ("ls {home}/studio.db {home}/hub.sqlite", "No such file"),
    "read the logs": ("ls {home}/logs", "No such file"),
    "walk out by ..": ("ls /home/project/../../../{home}", "No such file"),
    "follow a link of its own": (
        "ln -sf {home}/keys/local stolen; cat stolen; rm stolen",
        "No such file",
    ),
    "see other processes": ("ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm", "bwrap"),
    "signal processes outside": ("kill -9 {launcher}", "No such process"),
    "read another's environment": ("cat /proc/{launcher}/environ", "No such file"),
    "write to the system": ("touch /usr/bin/x; touch /etc/passwd", "Read-only file system"),
    "write to the Studio's code": ("touch {package}/x.py", "Read-only file system"),
    "write to the environment": ("touch {prefix}/x", "Read-only file system"),
    "write a sysctl": ("echo x > /proc/sys/kernel/core_pattern", "Read-only file system"),
    "mount something": (
        "python -c 'import ctypes; l=ctypes.CDLL(None, use_errno=True); "
        'print(l.mount(0, b"/tmp", b"tmpfs", 0, 0), ctypes.get_errno())\'',
        "-1 1",
    ),
    "make a user namespace": ("unshare -U id", "Operation not permitted"),
    "become root": ("su -c id root </dev/null; id -u", "1000"),
    "trace a process": (
        "python -c 'import ctypes; l=ctypes.CDLL(None, use_errno=True); "
        "print(l.ptrace(16, 1, 0, 0), ctypes.get_errno())'",
        "-1 1",
    ),
    "reach the hub's API": ("{get} http://127.0.0.1:{port}/hub/api", "Couldn't connect"),
    "reach a port of the machine": ("{get} http://127.0.0.1:{service}/", "Couldn't connect"),
    "reach the internet": ("{get} http://192.0.2.1/", "Couldn't connect"),
    "use a VM socket": (
        "python -c 'import socket; socket.socket(40, socket.SOCK_STREAM)'",
        "Address family not supported",
    ),
    "use raw sockets": (
        "python -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
        "Address family not supported",
    ),
    "see another project's server": ("ls /run/studio {home}/run/servers", "No such file"),
    "push keys into a terminal": (
        "python -c 'import fcntl; fcntl.ioctl(0, 0x5412, b\"x\")'",
        "Operation not permitted",
    ),
    "open a file by its handle": (
        "python -c 'import ctypes; l=ctypes.CDLL(None, use_errno=True); "
        "print(l.syscall(304, -100, 0, 0), ctypes.get_errno())'",
        "-1 1",
    ),
    "use the machine's keyring": (
        "python -c 'import ctypes; l=ctypes.CDLL(None, use_errno=True); "
        "print(l.syscall(250, 0, -3, 0), ctypes.get_errno())'",
        "-1 1",
    ),
}
"""What is tried → the command, and what its answer must hold."""


@pytest.mark.parametrize("what", TRIED)
def test_a_terminal_cannot(team: Team, shell: Terminal, what: str) -> None:
    import sys

    import workbench

    command, said = TRIED[what]
    running = json.loads((team.home / "run" / "up.json").read_text())
    service = json.loads((team.home / "run" / "studio.json").read_text())["url"]
    answer = shell.run(
        command.format(
            home=team.home,
            hers=team.hers,
            launcher=running["pid"],
            package=Path(workbench.__file__).parent,
            prefix=sys.prefix,
            port=team.environment["WORKBENCH_PORT"],
            service=service.split(":")[2].split("/")[0],
            get="curl -sS -m 3",
        )
        + " 2>&1"
    )
    assert said in answer, answer
    assert "local-" not in answer, "a key"


def test_the_environment_holds_one_secret_which_is_its_own(team: Team, shell: Terminal) -> None:
    told = dict(line.split("=", 1) for line in shell.run("env").splitlines() if "=" in line)
    assert told["WORKBENCH_PROJECT"] == team.theirs
    secret = {n for n in told if "TOKEN" in n or "KEY" in n or "SECRET" in n or "COOKIE" in n}
    assert secret == {"WORKBENCH_TOKEN"}
    assert "WORKBENCH_HOME" not in told


def test_code_acts_as_its_project_and_in_no_other(team: Team, shell: Terminal) -> None:
    said = shell.run(
        "python -c 'import workbench; wb = workbench.connect(); print(wb.security.whoami())'"
    )
    assert f"kind='project', name='{team.theirs}'" in said
    assert "role='editor'" in said
    for tried in (f'project="{team.hers}"', 'project="hers"'):
        said = shell.run(f"python -c 'import workbench; workbench.connect({tried})' 2>&1 | tail -4")
        assert "NotFound" in said


@pytest.mark.parametrize(
    "action",
    [
        'projects.invite(role="owner")',
        'projects.set_role(person="mallory", role="owner")',
        'projects.transfer_project(person="vera")',
        'projects.delete_project(id="theirs", confirm="theirs")',
        'projects.create_project(name="more")',
        "security.list_people()",
        'security.deactivate_person(name="alice")',
    ],
)
def test_code_may_not_do_what_needs_a_person(shell: Terminal, action: str) -> None:
    said = shell.run(f"python -c 'import workbench; workbench.connect().{action}' 2>&1 | tail -4")
    assert "Forbidden" in said, said


def test_a_stolen_key_of_a_project_is_no_use_outside(team: Team, shell: Terminal) -> None:
    key = shell.run("echo $WORKBENCH_TOKEN").split()[0]
    headers = {"authorization": f"Bearer {key}"}
    answer = team.vera.http.get(f"{team.url}services/studio/api/v1/session", headers=headers)
    assert answer.status_code == 401, answer.text


CALL = (
    "curl -sS -m 20 --unix-socket /run/studio/studio.sock -H 'authorization: Bearer {key}' "
    "http://localhost/services/studio/api/v1/session -w ' %{{http_code}}' | tail -c 400"
)


def called(terminal: Terminal, key: str) -> str:
    """How the Studio's socket answers a process of that terminal with that key."""
    return terminal.run(CALL.format(key=key)).split()[-1]


ROOM = """import sys
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import unix_connect
key, document, project = sys.argv[1:]
with unix_connect(
    "/run/studio/studio.sock",
    f"ws://localhost/services/studio/api/v1/documents/room?id={document}&project={project}",
    additional_headers={"Authorization": f"Bearer {key}"},
) as room:
    try:
        print("heard", room.recv(10)[0])
    except ConnectionClosed as error:
        print("closed", error.rcvd.code)
"""


def test_a_stolen_key_opens_no_room_of_another_project(team: Team, shell: Terminal) -> None:
    """Graphs are edited over a socket: who comes in there is asked as everywhere."""
    headers = {"x-workbench-project": team.hers}
    document = team.alice.call(
        "POST", "documents/documents", json={"name": "hers"}, headers=headers
    ).json()["id"]
    there = team.enter(team.alice, team.hers).terminal()
    mine, hers = (each.run("echo $WORKBENCH_TOKEN").split()[0] for each in (shell, there))

    def entered(terminal: Terminal, key: str) -> str:
        terminal.run(f"printf %s {shlex.quote(ROOM)} > room.py")
        return " ".join(
            terminal.run(f"python room.py {key} {document} {team.hers} 2>&1").split()[-2:]
        )

    assert entered(there, hers) == "heard 103"
    there.close()
    assert entered(shell, hers) == "closed 4403"
    assert entered(shell, mine) == "closed 4404"  # its own project has no such document
    assert entered(shell, "none") == "closed 4403"


def test_a_stolen_key_is_no_use_in_another_project(team: Team, shell: Terminal) -> None:
    """Who was an editor of both keeps the key of one, and is one of the other only."""
    invited(team.alice, team.hers, team.mallory, "editor")
    there = team.enter(team.mallory, team.hers).terminal()
    key = there.run("echo $WORKBENCH_TOKEN").split()[0]
    assert called(there, key) == "200"
    # Out of a process that has left its parents behind, too.
    there.run(f"echo {shlex.quote(CALL.format(key=key))} > call.sh")
    there.run("setsid sh -c '(sleep 1; sh call.sh > told) &' </dev/null")
    assert there.run("sleep 4; cat told").split()[-1] == "200"
    there.close()
    assert called(shell, key) == "401"
    team.alice.call(
        "POST",
        "projects:remove_member",
        json={"person": "mallory"},
        headers={"x-workbench-project": team.hers},
    ).raise_for_status()
    assert called(shell, key) == "401"


@pytest.mark.parametrize("ending", ["stopped", "archived", "deleted"])
def test_a_stolen_key_ends_with_the_server(team: Team, shell: Terminal, ending: str) -> None:
    project = made(team.mallory, f"was-{ending}")
    headers = {"x-workbench-project": project}
    terminal = team.enter(team.mallory, project).terminal()
    key = terminal.run("echo $WORKBENCH_TOKEN").split()[0]
    terminal.close()
    if ending == "stopped":
        team.ada.call("POST", "operations:stop_server", json={"id": project}).raise_for_status()
    elif ending == "archived":
        team.mallory.call(
            "POST", "projects:archive_project", json={"id": project}, headers=headers
        ).raise_for_status()
    else:
        team.mallory.call(
            "DELETE",
            f"projects/projects/{project}",
            params={"confirm": f"was-{ending}"},
            headers=headers,
        ).raise_for_status()
    assert called(shell, key) == "401"
    outside = httpx.Client(
        transport=httpx.HTTPTransport(uds=str(team.home / "run" / "inside" / "studio.sock"))
    )
    with outside:
        answer = outside.get(
            "http://localhost/services/studio/api/v1/session",
            headers={"authorization": f"Bearer {key}"},
        )
    assert answer.status_code == 401


def test_nothing_of_the_studio_listens_inside(team: Team, shell: Terminal) -> None:
    """No port of the Studio, a Dask scheduler's or MLflow's is reached; one socket is seen."""
    ports, commands = set(), []
    for process in processes_of(team.home):
        with suppress(psutil.Error):
            commands.append(" ".join(process.cmdline()))
            ports |= {
                each.laddr.port
                for each in process.net_connections("tcp")
                if each.status == psutil.CONN_LISTEN
            }
    assert len(ports) >= 6
    assert not [each for each in commands if "dask" in each or "mlflow server" in each]
    assert not ports & {8786, 8787, 5000}
    tried = sorted(ports | {8786, 8787, 5000, 22, 5432, 6379})
    said = shell.run(
        "python -c '\nimport socket\n"
        f'for port in {tried}:\n  for host in ("127.0.0.1", "::1", "169.254.169.254"):\n'
        '    try: socket.create_connection((host, port), 2); print("REACHED", host, port)\n'
        '    except OSError as e: pass\nprint("tried")\'',
        timeout_s=120,
    )
    assert said.strip() == "tried"
    listening = shell.run("awk '$4 == \"0A\"' /proc/net/tcp /proc/net/tcp6 | wc -l")
    kernels = shell.run("pgrep -fc ipykernel_launcher || true")
    assert int(listening) <= 5 * int(kernels or 0), "only kernels of its own listen"
    assert shell.run("ls /run/studio").split() == ["studio.sock"]


def test_a_fork_bomb_is_bounded(shell: Terminal) -> None:
    said = shell.run(
        "python -c '\nimport os, time\nn = 0\ntry:\n  while n < 3000:\n"
        "    if os.fork() == 0: time.sleep(5); os._exit(0)\n    n += 1\n"
        "except OSError as e: print(n, e)'".replace("\n", "\n"),
        timeout_s=90,
    )
    assert "Resource temporarily unavailable" in said
    assert int(said.split()[0]) < 1024


def test_the_table_is_as_committed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "isolation.md").read_text()
    for what in TRIED:
        assert f"| {what} |" in page, what


__all__ = ["label"]
