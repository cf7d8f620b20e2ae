"""What the models room needs of others: a registry of runs, and gates before an alias."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from workbench.core import Context, Port, Record

from .types import Model

RELEASES = frozenset({"production", "champion", "released"})
"""Aliases that let a model loose on people: guarded by the gate, and given by a person only."""


class Run(Record):
    """A training as a registry keeps it."""

    project: str
    """The project's id: the experiment."""
    name: str
    """The model's name; the registry qualifies it by the project."""
    params: dict[str, Any]
    epochs: list[dict[str, float]] = []
    """Per epoch: `epoch`, `loss`, `validation_loss`."""
    metrics: dict[str, float]
    tags: dict[str, str]


class Registered(Record):
    """Where a run and its model version are in the registry."""

    run: str
    name: str
    version: str

    @property
    def uri(self) -> str:
        """`models:/name/1`"""
        return f"models:/{self.name}/{self.version}"


class Registry(Protocol):
    """Keeps runs and model versions. Every engine passes tests/unit/models/test_registry.py."""

    def record(self, run: Run, artifacts: Path) -> Registered:
        """Keep a finished run with its files, and a new version of the model."""

    def keep_runs(self, runs: Sequence[Run]) -> list[str]:
        """Keep finished runs without files or models; their ids."""

    def forget_runs(self, ids: Sequence[str]) -> None:
        """Remove runs that nobody will ever see."""

    def forget(self, registered: Registered) -> None:
        """Remove a version and its run that nobody will ever see."""

    def alias(self, uri: str, alias: str) -> None:
        """Move an alias to this version (`models:/name/1`); Unavailable if it is gone."""

    def unalias(self, uri: str, alias: str) -> None:
        """Take an alias away from the model this version is of."""

    def files(self, project: str, run: str) -> list[str]:
        """The files of a run, as paths; NotFound if the project can see no such run."""

    def fetch(self, run: str, path: str, folder: Path) -> Path:
        """A file of a run, copied into a folder."""


class Answer(Protocol):
    """What a gate answers."""

    @property
    def allowed(self) -> bool:
        """Whether the model may have the alias."""

    @property
    def reasons(self) -> list[str]:
        """What is missing, one sentence each."""


class Gate(Protocol):
    """Says whether a model may get an alias."""

    def check(self, ctx: Context, model: Model, alias: str) -> Answer:
        """The answer now."""


registries = Port[Registry](
    "models.registry",
    default="mlflow+sqlite://",
    doc="Runs and registered models: MLflow in a file of the home, or an MLflow server.",
)
for scheme in ("mlflow+sqlite", "mlflow+http", "mlflow+https"):
    registries.engine(
        scheme, "workbench.models.registry:MlflowRegistry", hint="pip install mlflow==3.17.2"
    )

gates = Port[Gate](
    "models.gates", default="ethics://", doc="Whether a model may get an alias such as production."
)
gates.engine("ethics", "workbench.ethics.gates:EthicsGate")
