"""The work of `models.tune`: settings tried on a cluster, the best ones trained and registered.

Each trial is a step of the job: what was tried stays tried when the process is killed. Settings are
proposed by a tree-structured Parzen estimator (Bergstra et al., 2011, NeurIPS 24) that counts on
the worst of what still runs, and networks behind the median of the others are stopped.
"""

import time
import warnings
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compute import Need, check_workers, clusters
from workbench.core import Context, Invalid, Unavailable, new_id
from workbench.core.context import Quiet

from . import searching
from .estimators import Lesson, fit_estimator
from .ports import Run, registries
from .preparing import Given, Prepared, check_architecture, prepare
from .sampling import carried
from .training import finish
from .trying import Outcome, stop_name, try_settings
from .types import Model, Study, Trial, studies

if TYPE_CHECKING:
    from distributed import Client, Future

MOST_TRIALS = 1_000
WAIT_S = 0.2
"""How often it is looked whether the job is to stop, in seconds."""


def tune_model(
    ctx: Context,
    given: Given,
    trials: int,
    workers: int,
    objectives: Sequence[str],
    epochs: int | None,
) -> dict[str, str]:
    """See the action `models.tune`."""
    started = time.monotonic()
    _check(given, trials, workers, objectives)
    check_architecture(given, None, epochs)
    prepared = prepare(ctx, given)
    lesson = prepared.lesson(ctx.job, epochs=epochs)
    tried_on, said = carried(given.estimator, lesson)
    if said:
        ctx.job.log(said)
    search = Search(ctx, prepared, tried_on, trials, list(objectives))
    tried = search.run(workers)
    best = min((each for each in tried if each.state == "done"), key=lambda each: each.values[0])
    graph, settings = searching.made_of(given.estimator, best.settings)
    ctx.job.log(f"The best of {len(tried)} is number {best.number}: {_told(best.settings)}.")
    ctx.job.progress(0.7, "training with the best settings")
    lesson = replace(lesson, graph=graph, settings=settings)
    fitted, id = fit_estimator(given.estimator, lesson), new_id("std")
    model = finish(ctx, prepared, lesson, fitted, started, id)
    study = Study(
        id=id,
        product=prepared.product.ref,
        target=given.target,
        estimator=given.estimator,
        objectives=list(objectives),
        searched={each.name: (each.low, each.high) for each in searching.space(given.estimator)},
        trials=tried,
        best=best.number,
        front=front(tried),
        model=model.ref,
        seed=given.seed,
        explained=" ".join(filter(None, (_explained(tried, best), said))),
        made_at=ctx.now(),
        made_by=str(ctx.actor),
        elapsed_s=round(time.monotonic() - started, 2),
    )
    _record(ctx, study, model)
    ctx.stage(lambda tx: studies.put(tx, ctx.project, study))
    ctx.note(study=study.id)
    return {"model": model.ref, "study": study.id}


class Search:
    """Trials of one job, tried on a cluster.

    Args:
        ctx: The job's.
        prepared: Rows and columns.
        lesson: What each trial learns from.
        trials: How many.
        objectives: What is made small.
    """

    def __init__(
        self, ctx: Context, prepared: Prepared, lesson: Lesson, trials: int, objectives: list[str]
    ) -> None:
        import optuna

        self._ctx, self._lesson, self._trials = ctx, lesson, trials
        self._estimator, self._objectives = prepared.given.estimator, objectives
        # Each attempt has its own: a scheduler elsewhere remembers which trials were stopped.
        self._topic = f"tune-{new_id('run')}"
        self._lock = Lock()
        self._done: list[Trial] = []
        self._asked: dict[int, optuna.Trial] = {}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=lesson.seed, multivariate=True, constant_liar=True
            )
        self._study = optuna.create_study(
            directions=["minimize"] * len(objectives),
            sampler=sampler,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5),
        )
        # What training alone takes comes first: by its own measure the search never ends behind it.
        self._usual = searching.usual(prepared)

    def run(self, workers: int) -> list[Trial]:
        """Try them all, so many at a time.

        Raises:
            Invalid: Not one of them could be trained.
            Unavailable: There is no cluster, or it went away.
        """
        self._ctx.job.progress(0.05, "starting workers")
        need = Need(workers=min(workers, self._trials))
        with self._ctx.engine(clusters).open(self._ctx, need) as client:
            client.subscribe_topic(self._topic, partial(self._heard, client))
            # Nobody's Reporter: each worker has its own.
            data = client.scatter(replace(self._lesson, job=Quiet()), broadcast=True)
            try:
                with ThreadPoolExecutor(need.workers, "trial") as pool:
                    waiting = [
                        pool.submit(self._one, client, data, number)
                        for number in range(1, self._trials + 1)
                    ]
                    try:
                        for each in waiting:
                            each.result()
                    except BaseException:
                        pool.shutdown(wait=False, cancel_futures=True)
                        client.cancel(list(client.futures))
                        raise
            finally:
                client.unsubscribe_topic(self._topic)
        tried = sorted(self._done, key=lambda each: each.number)
        if not any(each.state == "done" for each in tried):
            raise Invalid(
                f"None of {len(tried)} trials could be trained: {tried[0].why}.",
                hint="Train once without a search, and look at what it says.",
            )
        return tried

    def _one(self, client: "Client", data: Any, number: int) -> None:
        fresh = False

        def work() -> Outcome:
            nonlocal fresh
            fresh = True
            return self._try(client, data, number)

        outcome = self._ctx.job.step(f"trial {number}", work)
        if not fresh:
            self._remember(outcome)
        trial = Trial(number=number, **outcome)
        with self._lock:
            self._done.append(trial)
            done = [each for each in self._done if each.state == "done"]
            best = min((each.values[0] for each in done), default=float("nan"))
            if trial.state == "done":
                self._ctx.job.metric(tried=len(self._done), loss=trial.values[0], best_loss=best)
            elif fresh:
                self._ctx.job.log(f"Trial {number} {trial.state}: {trial.why}.")
            self._ctx.job.progress(
                0.1 + 0.6 * len(self._done) / self._trials,
                f"{len(self._done)} of {self._trials} tried, least loss {best:.4f}",
            )

    def _try(self, client: "Client", data: Any, number: int) -> Outcome:
        """Ask for settings, have them tried, tell what came of it."""
        import optuna
        from distributed import Event

        with self._lock:
            if number == 1:
                self._study.enqueue_trial(self._usual)
            trial = self._study.ask()
            settings = searching.proposed(self._estimator, trial)
            self._asked[number] = trial
        began = time.monotonic()
        future = client.submit(
            try_settings,
            data,
            self._estimator,
            settings,
            self._objectives,
            (self._topic, number),
            key=f"{self._topic}-{number}",
            pure=False,
        )
        outcome = self._awaited(future, number)
        outcome |= {"settings": settings, "elapsed_s": round(time.monotonic() - began, 2)}
        stopped = outcome["state"] == "stopped"
        states = optuna.trial.TrialState
        with self._lock:
            del self._asked[number]
            if outcome["state"] == "done":
                self._study.tell(trial, outcome["values"])
            else:
                self._study.tell(trial, state=states.PRUNED if stopped else states.FAIL)
        if stopped:
            Event(stop_name(self._topic, number), client).clear()
        return outcome

    def _awaited(self, future: "Future[Outcome]", number: int) -> Outcome:
        """What came of a trial; Unavailable if the cluster went away meanwhile."""
        from distributed import wait

        try:
            while not future.done():
                self._ctx.job.check()
                try:
                    wait(future, timeout=WAIT_S)
                except TimeoutError:
                    continue
            error = future.exception() if future.status == "error" else None
            if error is not None:
                return {"state": "failed", "values": [], "epochs": 0, "why": _why(error)}
            outcome = future.result()
        except (CancelledError, OSError) as gone:
            raise Unavailable(
                f"The cluster went away while trial {number} ran.",
                hint="See that its scheduler runs, then run the job again.",
            ) from gone
        return outcome

    def _remember(self, outcome: Outcome) -> None:
        """Let the search know what a former attempt tried."""
        import optuna

        if outcome["state"] != "done":
            return
        with self._lock:
            self._study.add_trial(
                optuna.trial.create_trial(
                    params=searching.whole(self._estimator, outcome["settings"]),
                    distributions=searching.distributions(self._estimator),
                    values=outcome["values"],
                )
            )

    async def _heard(self, client: "Client", event: Any) -> None:
        """A worker told how far a trial is: stop it if it is behind. In the client's loop."""
        from distributed import Event

        _, told = event
        if len(self._objectives) > 1:
            return
        with self._lock:
            trial = self._asked.get(told["trial"])
            if trial is None:
                return
            trial.report(told["validation_loss"], int(told["epoch"]))
            behind = trial.should_prune()
        if behind:
            await Event(stop_name(self._topic, told["trial"]), client).set()


def front(trials: Sequence[Trial]) -> list[int]:
    """The numbers of the trials that no other beats in one objective and equals in the rest."""
    done = [each for each in trials if each.state == "done"]
    values = np.array([each.values for each in done])
    return [
        each.number
        for each, own in zip(done, values, strict=True)
        if not ((values <= own).all(axis=1) & (values < own).any(axis=1)).any()
    ]


def _check(given: Given, trials: int, workers: int, objectives: Sequence[str]) -> None:
    if not 2 <= trials <= MOST_TRIALS:
        raise Invalid(f"{trials} trials make no search.", hint=f"2 to {MOST_TRIALS:,}.")
    check_workers(workers)
    if not searching.space(given.estimator):
        raise Invalid(
            f"{given.estimator!r} has nothing to search.",
            hint=f"Use one of {', '.join(searching.SEARCHED)}.",
        )
    if list(objectives) not in (["loss"], ["loss", "parameters"]):
        raise Invalid(
            f"{list(objectives)} cannot be made small.",
            hint='Say ["loss"], or ["loss", "parameters"] for small models too.',
        )


def _why(error: BaseException) -> str:
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "its worker was killed, mostly for lack of memory"
    if isinstance(error, Unavailable | Invalid):
        return str(error).rstrip(".")
    return f"{type(error).__name__}: {str(error)[:200]}"


def _told(settings: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in settings.items())


def _explained(tried: Sequence[Trial], best: Trial) -> str:
    count = {state: sum(each.state == state for each in tried) for state in ("stopped", "failed")}
    rest = "".join(f", {number} {state}" for state, number in count.items() if number)
    usual = tried[0].values[0] if tried[0].state == "done" else None
    gain = (
        ""
        if usual is None
        else "; the usual settings are the best"
        if best is tried[0]
        else f"; the usual settings have {usual:.4f}"
    )
    return (
        f"{len(tried)} settings tried{rest}. The least loss on the rows that stop the training is "
        f"{best.values[0]:.4f}{gain}. What it is worth stands in the model: that is measured on "
        "rows that no trial saw."
    )


def _record(ctx: Context, study: Study, model: Model) -> None:
    """Each trial as a run of the registry, below the model's."""
    registry = ctx.engine(registries)
    runs = [
        Run(
            project=ctx.project,
            name=f"{model.name} trial {each.number}",
            params={"estimator": study.estimator, "seed": study.seed, **each.settings},
            metrics=dict(zip(study.objectives, each.values, strict=False)),
            tags={
                "mlflow.parentRunId": model.run,
                "workbench.study": study.id,
                "workbench.trial": str(each.number),
                "workbench.state": each.state,
                **({"workbench.why": each.why} if each.why else {}),
            },
        )
        for each in study.trials
    ]
    kept = registry.keep_runs(runs)
    ctx.on_abort(lambda: registry.forget_runs(kept))
