"""A stranger's ONNX model, answered by onnxruntime."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core import Invalid

from .estimators import Array, write_told
from .types import Task


class Imported:
    """An ONNX model with one input, float [rows, columns]."""

    kind = "imported"
    epochs = 0
    history: list[dict[str, float]] = []

    def __init__(self, file: Path, task: Task, classes: int, name: str = "") -> None:
        import onnx
        import onnxruntime

        name = name or file.name
        self.file, self.task, self.classes = file, task, classes
        # From bytes: a model cannot then name other files of this machine as its weights.
        given = file.read_bytes()
        try:
            proto = onnx.load_from_string(given)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            self.session = onnxruntime.InferenceSession(
                given, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises a class of its own per fault
            first = str(error).partition("\n")[0][:200]
            raise Invalid(
                f"{name} is no ONNX model that runs here: {first.rstrip('.')}.",
                hint="Check it with onnx.checker, and keep the weights inside the file.",
            ) from error
        self.told = {each.key: each.value for each in proto.metadata_props}
        self.parameters = sum(int(np.prod(each.dims)) for each in proto.graph.initializer)
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
            kinds = ", ".join(f"{each.name} {each.type}{each.shape}" for each in inputs)
            raise Invalid(
                f"{name} takes {kinds}.",
                hint="A model that is imported takes one float tensor [rows, columns].",
            )
        width = inputs[0].shape[1]
        self.width = width if isinstance(width, int) else None

    @classmethod
    def load(cls, folder: Path, told: dict[str, Any]) -> "Imported":
        return cls(folder / "model.onnx", told["task"], told["classes"])

    def predict(self, features: Array) -> Array:
        from .exports import answer_of

        found = answer_of(self.session, features)
        if self.task == "regression":
            return found.reshape(len(features))
        found = found.reshape(len(features), -1)
        if found.shape[1] == 1 and self.classes == 2:
            found = np.concatenate([1 - found, found], axis=1)
        if found.shape[1] != self.classes:
            raise Invalid(
                f"The model answers {found.shape[1]} numbers per row, and the target has "
                f"{self.classes} classes.",
                hint="Import it with the target it was trained for.",
            )
        sums = found.sum(axis=1)
        if found.min() < -1e-3 or np.abs(sums - 1).max() > 1e-2:
            # Logits, then: what a network answers before its softmax.
            raised = np.exp(found - found.max(axis=1, keepdims=True))
            return np.asarray(raised / raised.sum(axis=1, keepdims=True))
        return found

    def proto(self) -> Any:
        """The model as it came, without what was said about it."""
        import onnx

        proto = onnx.load_from_string(self.file.read_bytes())
        del proto.metadata_props[:]
        return proto

    def save(self, folder: Path) -> None:
        shutil.copyfile(self.file, folder / "model.onnx")
        write_told(folder, {"format": "onnx", "task": self.task, "classes": self.classes})
