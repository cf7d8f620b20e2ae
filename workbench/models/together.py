"""One network trained by several workers of a cluster, each on its share of the rows.

The job sends each worker its share, asks the first one now and then how far they are, and keeps the
checkpoint that it has: a later attempt goes on there, on other workers. If one is lost, all are.
"""

import io
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workbench.compute import Need, clusters
from workbench.core import Context, Invalid, Unavailable, WorkbenchError
from workbench.core.context import Quiet

from .checkpoints import EVERY_S, Checkpoint
from .crews import Peers
from .estimators import Array, Lesson
from .networks import Network, told_of

if TYPE_CHECKING:
    from distributed import Client, Future

LOOK_S = 0.3
"""How often it is asked how far they are, in seconds."""
ALONE_S = 60.0
"""How long they train on when the job does not ask any more: its process was killed."""
MIB = 1024 * 1024
ROOM = 0.5
"""Of a worker's memory: what its rows may take. They are there twice while they arrive."""


class Stopped(BaseException):
    """The job was stopped. Not an Exception: nothing on the way may swallow it."""


def fit_together(ctx: Context, lesson: Lesson, workers: int) -> Network:
    """See `Network.fit`: by as many workers as there are, at most so many.

    Raises:
        Invalid: The rows do not fit on them, or see `Network.fit`.
        Unavailable: There is no cluster, or a worker was lost.
    """
    fitted: Network | None
    told = told_of(lesson)
    ctx.job.progress(0.08, "starting workers")
    with ctx.engine(clusters).open(ctx, Need(workers=workers)) as client:
        addresses = sorted(client.scheduler_info(n_workers=-1)["workers"])[:workers]
        size = min(len(addresses), len(lesson.train[1]) // 2, len(lesson.validation[1]))
        if size < 2:
            ctx.job.log("One worker trains it: there are no more, or too few rows.")
            return Network.fit(lesson)
        addresses = addresses[:size]
        _check_room(client, addresses, lesson)
        if size < workers:
            ctx.job.log(f"{size} workers train it: there are no more.")
        kept = Checkpoint(ctx.job, {**told, "seed": lesson.seed, "workers": size})
        reached = kept.read()
        meet = client.run(_meeting_point, workers=addresses[:1])[addresses[0]]
        futures = []
        for rank, address in enumerate(addresses):
            share = client.scatter(_share(lesson, rank, size), workers=[address])
            given = (told, rank, size, meet, reached)
            futures.append(
                client.submit(
                    learn, share, *given, workers=[address], allow_other_workers=False, pure=False
                )
            )
        _await(ctx, client, addresses, futures, kept)
        fitted = futures[0].result()
    if fitted is None:
        raise Unavailable("The workers stopped: nobody asked for them.", hint="Run it again.")
    kept.drop()
    return fitted


def _share(lesson: Lesson, rank: int, size: int) -> Lesson:
    """Every `size`th row from the `rank`th on: of the rows to train on everybody as many."""
    least = len(lesson.train[1]) // size

    def of(part: tuple[Array, Array], most: int | None) -> tuple[Array, Array]:
        features, target = (np.ascontiguousarray(each[rank::size][:most]) for each in part)
        return features, target

    train, held = of(lesson.train, least), of(lesson.validation, None)
    return replace(lesson, train=train, validation=held, job=Quiet())


def _check_room(client: "Client", addresses: Sequence[str], lesson: Lesson) -> None:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    least = min(workers[each]["memory_limit"] or np.inf for each in addresses)
    parts = (lesson.train, lesson.validation)
    share = sum(x.nbytes + y.nbytes for x, y in parts) / len(addresses)
    if share > ROOM * least:
        raise Invalid(
            f"Each of {len(addresses)} workers would hold {share / MIB:,.0f} MiB of rows, and has "
            f"{least / MIB:,.0f} MiB in all.",
            hint="Use more workers, or one: it draws its rows from the disk.",
        )


def _await(
    ctx: Context,
    client: "Client",
    addresses: Sequence[str],
    futures: "Sequence[Future[Any]]",
    kept: Checkpoint,
) -> None:
    """Tell how far they are until all have ended; raise what went wrong."""
    from distributed import wait

    after, first = 0, list(addresses[:1])
    try:
        while not all(each.done() for each in futures):
            try:
                ctx.job.check()
            except BaseException:
                # They may be gone with their cluster.
                with suppress(OSError):
                    client.run(_stop, workers=list(addresses))
                raise
            # One that is lost leaves the others waiting.
            if any(each.status == "error" for each in futures):
                break
            try:
                wait(futures, timeout=LOOK_S)
            except TimeoutError:
                after = _relay(ctx, client, first, after, kept)
        errors = [each.exception() for each in futures if each.status == "error"]
        if not errors:
            _relay(ctx, client, first, after, kept)
            return
    except (CancelledError, OSError) as gone:
        raise Unavailable(
            "The cluster went away while it trained the network.",
            hint="See that its scheduler runs, then run the job again.",
        ) from gone
    raise _told(errors)


def _relay(ctx: Context, client: "Client", first: list[str], after: int, kept: Checkpoint) -> int:
    """Tell the job what the first worker has told since."""
    lines, state = client.run(_heard, after, workers=first)[first[0]]
    for what, given in lines:
        getattr(ctx.job, what)(*given) if what != "metric" else ctx.job.metric(**given[0])
    if state is not None:
        kept.write(torch.load(io.BytesIO(state), weights_only=True))
    return after + len(lines)


def _told(errors: "Sequence[BaseException | None]") -> BaseException:
    from distributed import KilledWorker

    ours = next((each for each in errors if isinstance(each, WorkbenchError)), None)
    if ours is not None:
        return ours
    if any(isinstance(each, KilledWorker) for each in errors):
        return Unavailable(
            "A worker that trained the network was killed, mostly for lack of memory.",
            hint="Run the job again: it goes on after the last epoch. Or use more workers.",
        )
    return Unavailable(
        f"The workers that train the network lost each other: {errors[0]}",
        hint="Run the job again: it goes on after the last epoch.",
    )


# What follows happens on the workers.


@dataclass
class Saying(Quiet):
    """A Reporter on a worker: what the first one's is told, the job asks for."""

    lines: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    state: bytes | None = None
    stopped: bool = False
    asked_at: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def progress(self, share: float, note: str = "") -> None:
        """See `workbench.core.Reporter`."""
        self.lines.append(("progress", (share, note)))

    def log(self, line: str) -> None:
        """See `workbench.core.Reporter`."""
        self.lines.append(("log", (line,)))

    def metric(self, **values: float) -> None:
        """See `workbench.core.Reporter`."""
        self.lines.append(("metric", (values,)))

    def check(self) -> None:
        """See `workbench.core.Reporter`."""
        if self.stopped:
            raise Stopped


class Asked(Saying):
    """Of the first worker: it is asked, unless the job's process was killed."""

    def check(self) -> None:
        """See `workbench.core.Reporter`."""
        super().check()
        if time.monotonic() - self.asked_at > ALONE_S:
            raise Stopped


class Handed:
    """A checkpoint that is handed to the job; see `Keeps`."""

    def __init__(self, reached: dict[str, Any] | None, saying: Saying) -> None:
        self._reached, self._saying = reached, saying
        self._written_at = 0.0

    def read(self) -> dict[str, Any] | None:
        """See `Keeps`."""
        return self._reached

    def write(self, state: dict[str, Any]) -> None:
        """See `Keeps`."""
        if time.monotonic() - self._written_at < EVERY_S:
            return
        self._written_at = time.monotonic()
        out = io.BytesIO()
        torch.save(state, out)
        with self._saying.lock:
            self._saying.state = out.getvalue()

    def drop(self) -> None:
        """See `Keeps`."""


class Nowhere(Handed):
    """Of those whose checkpoint the first worker has."""

    def write(self, state: dict[str, Any]) -> None:
        """See `Keeps`."""


_saying = Saying()


def learn(
    lesson: Lesson,
    told: dict[str, Any],
    rank: int,
    size: int,
    meet: str,
    reached: dict[str, Any] | None,
) -> Network | None:
    """Train with the others; the first one has what came of it.

    Args:
        lesson: This one's rows.
        told: `told_of` the whole.
        rank: Which one it is.
        size: How many there are.
        meet: Where they meet.
        reached: The checkpoint they go on with.
    """
    global _saying
    _saying = Saying() if rank else Asked()
    device = f"cuda:{rank % torch.cuda.device_count()}" if torch.cuda.is_available() else "cpu"
    checkpoint = (Nowhere if rank else Handed)(reached, _saying)
    lesson = replace(lesson, job=_saying)
    try:
        with Peers(rank, size, meet, device, lesson.seed) as crew:
            fitted = Network.fit_with(crew, lesson, told, device, checkpoint)
    except Stopped:
        return None
    return None if rank else fitted


def _heard(after: int) -> tuple[list[tuple[str, tuple[Any, ...]]], bytes | None]:
    """What was told after so many lines, and the checkpoint if there is a new one."""
    _saying.asked_at = time.monotonic()
    with _saying.lock:
        state, _saying.state = _saying.state, None
    return _saying.lines[after:], state


def _stop() -> None:
    _saying.stopped = True


def _meeting_point(dask_worker: Any) -> str:
    """A port of the first worker that is free, at the address that the others know it by."""
    host = dask_worker.address.rpartition("/")[2].rpartition(":")[0]
    with socket.socket() as free:
        free.bind((host, 0))
        return f"tcp://{host}:{free.getsockname()[1]}"
