"""A cell without memory says where it went."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from workbench import memory
from workbench.magics import load


def test_the_largest_variables_are_named() -> None:
    table = pd.DataFrame({"x": np.zeros(3_000_000)})
    names: dict[str, Any] = {
        **{"table": table, "_3": table, "array": np.zeros(1_000_000), "small": "x"},
        **{"module": sys, "function": len, "lists": [bytearray(1_000_000) for _ in range(5)]},
    }
    found = memory.largest(names)
    assert [(name, kind) for name, kind, _ in found] == [
        ("table", "DataFrame"),
        ("array", "ndarray"),
        ("lists", "list"),
    ]
    assert found[1][2] == 8_000_000
    assert 24_000_000 <= found[0][2] < 24_100_000


def test_a_torch_tensor_has_a_size() -> None:
    torch = pytest.importorskip("torch")
    assert memory.size_of(torch.zeros(1000, dtype=torch.float32)) == 4000


class Strange:
    nbytes = "many"

    def memory_usage(self) -> int:
        raise RuntimeError("no")


def test_a_strange_object_does_no_harm() -> None:
    assert memory.size_of(Strange()) == sys.getsizeof(Strange())
    recursive: list[Any] = []
    recursive.append(recursive)
    assert memory.size_of(recursive) > 0


def test_what_can_be_done_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "used_and_limit", lambda: (300 * memory.MIB, 512 * memory.MIB))
    text = "\n".join(memory.told({"rows": bytearray(20 * memory.MIB)}))
    assert "300 MiB of the 512 MiB" in text
    assert "rows  20 MiB  (bytearray)" in text and "del rows" in text
    assert "at once" in "\n".join(memory.told({}))
    assert "Kernel > Limit the Kernel’s Memory" in "\n".join(memory.told({}, own=True))


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    made = InteractiveShell.instance()
    yield made
    InteractiveShell.clear_instance()


def test_ipython_shows_it(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    load(shell)
    load(shell)
    result = shell.run_cell("rows = bytearray(5_000_000)\nbytearray(2**62)")
    assert isinstance(result.error_in_exec, MemoryError)
    told = capsys.readouterr().out
    assert "MemoryError" in told and "rows" in told and "MiB" in told
    assert shell.run_cell("1 / 0").error_in_exec is not None
    assert "MiB" not in capsys.readouterr().out


def test_what_is_allowed_is_the_limit_or_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(memory, "used_and_limit", lambda: (5, 700))
    assert memory.allowed() == 700
    monkeypatch.setattr(memory, "used_and_limit", lambda: (5, 0))
    assert memory.allowed() == memory.machine() == psutil.virtual_memory().total
