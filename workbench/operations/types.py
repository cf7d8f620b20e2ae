"""The Records of a Studio's operation."""

from datetime import datetime

from workbench.core import Record


class Server(Record):
    """A project's JupyterLab that runs, or the cells that go on without it."""

    project: str
    title: str
    """What people call the project; its id if it is gone."""
    since: datetime
    used_at: datetime
    """When somebody last used it, or something last ran in it."""
    memory_bytes: int
    """Of all its processes, kernels included; what they share is counted in each."""
    processes: int
    kernels: int
    busy: int
    """Kernels in which a cell runs."""
    commands: int
    """Commands that run in its terminals, or were left running there."""
    jobs: int
    """Jobs of the project that wait or run; they do not run in the server."""
    answers: bool
    """Whether it told this: a server that does not answer may be at work."""
    serves: bool = True
    """False: JupyterLab was stopped, and cells that had been started go on."""


class Part(Record):
    """A process of the Studio's own."""

    name: str
    """What it is: hub, proxy, gateway, service, worker, …."""
    pid: int
    since: datetime
    memory_bytes: int


class Finding(Record):
    """Something about this Studio that an administrator should know."""

    wrong: bool
    """True: do something about it. False: good to know."""
    sentence: str
    hint: str = ""


class Health(Record):
    """How the Studio is."""

    at: datetime
    ok: bool
    """Nothing is wrong."""
    findings: list[Finding]
    processes: list[Part]
    sandbox: str
    """Why projects are not kept apart; empty if they are."""
    disk_free_bytes: int
    disk_used_bytes: int
    databases: dict[str, int]
    """Database → its bytes."""
    backup: str
    """Where the last backup is; empty if there is none."""
    backup_at: datetime | None
    certificate_until: datetime | None
    """When the certificate ends; None without one."""
    people: int
    projects: int
    servers: int
    jobs: dict[str, int]
    """State → how many jobs."""
    versions: dict[str, str]


class Sweep(Record):
    """What was thrown away because its time was over."""

    at: datetime
    job_logs: int
    """Jobs whose lines and log were removed."""
    answers: int
    """Answers kept for idempotency keys."""
    sessions: int
    """Sessions that had ended."""
    uploads: int
    log_files: int
    """Former files of logs."""
    backups: int
    more: bool
    """Whether there was more than is removed at once."""
