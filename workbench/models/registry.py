"""MLflow as the registry: a SQLite file and a folder of the home, or a server elsewhere."""

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from workbench.core import NotFound, Unavailable

from .ports import Registered, Run

LOCK_S = 120


class MlflowRegistry:
    """The engine of the port `models.registry` for `mlflow+sqlite://` and `mlflow+http(s)://`."""

    def __init__(self, url: str, home: Path) -> None:
        scheme, _, rest = url.partition("://")
        self._artifacts = ""
        if scheme == "mlflow+sqlite":
            file = Path(rest) if rest else home / "mlflow.db"
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._uri = f"sqlite:///{file}"
            self._artifacts = (file.parent / "mlflow").absolute().as_uri()
            self._lock = FileLock(f"{file}.lock", timeout=LOCK_S)
        else:
            self._uri = f"{scheme.removeprefix('mlflow+')}://{rest}"
            self._lock = FileLock(str(home / "mlflow.lock"), timeout=LOCK_S)
        self._opened: Any = None

    def record(self, run: Run, artifacts: Path) -> Registered:
        """See `Registry`."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        name = f"{run.project}.{run.name}"
        try:
            with self._lock:
                where = self._experiment(run.project)
                if not client.search_registered_models(f"name = '{name}'"):
                    client.create_registered_model(name)
            made = self._made(where, run)
            id = made.info.run_id
            client.log_artifacts(id, str(artifacts), "model")
            client.set_terminated(id)
            source = f"{made.info.artifact_uri}/model"
            version = client.create_model_version(name, source, run_id=id, tags=run.tags)
        except MlflowException as error:
            raise _down(self._uri, error) from error
        return Registered(run=id, name=name, version=str(version.version))

    def keep_runs(self, runs: Sequence[Run]) -> list[str]:
        """See `Registry`."""
        from mlflow.exceptions import MlflowException

        client, made = self._client(), list[str]()
        try:
            for run in runs:
                with self._lock:
                    where = self._experiment(run.project)
                made.append(self._made(where, run).info.run_id)
                client.set_terminated(made[-1])
        except MlflowException as error:
            self.forget_runs(made)
            raise _down(self._uri, error) from error
        return made

    def forget_runs(self, ids: Sequence[str]) -> None:
        """See `Registry`."""
        for id in ids:
            self._client().delete_run(id)

    def forget(self, registered: Registered) -> None:
        """See `Registry`."""
        client = self._client()
        client.delete_model_version(registered.name, registered.version)
        client.delete_run(registered.run)

    def alias(self, uri: str, alias: str) -> None:
        """See `Registry`."""
        from mlflow.exceptions import MlflowException

        name, _, version = uri.removeprefix("models:/").rpartition("/")
        try:
            self._client().set_registered_model_alias(name, alias, version)
        except MlflowException as error:
            raise _down(self._uri, error) from error

    def unalias(self, uri: str, alias: str) -> None:
        """See `Registry`."""
        name = uri.removeprefix("models:/").rpartition("/")[0]
        self._client().delete_registered_model_alias(name, alias)

    def files(self, project: str, run: str) -> list[str]:
        """See `Registry`."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        found: list[str] = []
        waiting = [""]
        unseen = NotFound(
            f"There is no MLflow run {run!r}.", hint="Give the id of a run of this project."
        )
        try:
            held = client.get_experiment(client.get_run(run).info.experiment_id).name
            if held.startswith("prj_") and held != project:
                raise unseen
            while waiting:
                for each in client.list_artifacts(run, waiting.pop() or None):
                    (waiting if each.is_dir else found).append(each.path)
        except MlflowException as error:
            raise unseen from error
        return sorted(found)

    def fetch(self, run: str, path: str, folder: Path) -> Path:
        """See `Registry`."""
        return Path(self._client().download_artifacts(run, path, str(folder)))

    def _experiment(self, project: str) -> str:
        """The id of a project's experiment, which is made if there is none."""
        client = self._client()
        found = client.get_experiment_by_name(project)
        if found is not None:
            return str(found.experiment_id)
        place = f"{self._artifacts}/{project}" if self._artifacts else None
        return str(client.create_experiment(project, artifact_location=place))

    def _made(self, experiment: str, run: Run) -> Any:
        """A run with what is told of it, not yet ended."""
        from mlflow.entities import Metric, Param, RunTag

        client = self._client()
        made = client.create_run(experiment, run_name=run.name)
        id, at = made.info.run_id, made.info.start_time
        series = [
            Metric(key, value, at, int(each["epoch"]))
            for each in run.epochs
            for key, value in each.items()
            if key != "epoch"
        ]
        final = [Metric(key, value, at, 0) for key, value in run.metrics.items()]
        params = [Param(key, str(value)[:6000]) for key, value in run.params.items()]
        tags = [RunTag(key, value[:8000]) for key, value in run.tags.items()]
        client.log_batch(id, params=params[:100], tags=tags[:100])
        told = series + final
        for start in range(0, len(told), 1_000):
            client.log_batch(id, metrics=told[start : start + 1_000])
        return made

    def _client(self) -> Any:
        if self._opened is None:
            # Before the import: MLflow reads these then.
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
            for each in ("mlflow", "alembic"):
                logging.getLogger(each).setLevel(logging.WARNING)
            # The first one makes the database: two at once would collide. What MLflow's own
            # imports deprecate is not for our users.
            with self._lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from mlflow import MlflowClient

                self._opened = MlflowClient(self._uri, self._uri)
        return self._opened


def _down(uri: str, error: Exception) -> Unavailable:
    where = uri if uri.startswith("http") else "in this home"
    first = str(error).partition("\n")[0][:300]
    return Unavailable(
        f"The MLflow registry {where} did not take it: {first}.",
        hint="Look at the port models.registry, then try again.",
    )
