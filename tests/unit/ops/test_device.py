"""The rules that every function keeps: where it computes, what it takes, what comes back."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from kernels.ops import (
    DeviceUnavailable,
    bootstrap_counts,
    count_groups,
    lay_out_graph,
    nan_quantiles,
    permutation_test,
    summarise_layer,
)

ROOT = Path(__file__).parents[3]


def test_a_tensor_given_brings_tensors_back(device: str) -> None:
    codes, value = torch.tensor([0, 1, 1]), np.array([1.0, 2.0, 4.0])
    counts, sums = count_groups([codes], [2], value, device=device)
    assert isinstance(counts, torch.Tensor) and isinstance(sums, torch.Tensor)
    assert counts.device.type == sums.device.type == device
    assert sums.tolist() == [1, 6]
    counts, _ = count_groups([codes.numpy()], [2], device=device)
    assert isinstance(counts, np.ndarray)


def test_half_precision_is_taken_for_the_numbers_it_is(device: str) -> None:
    values = torch.tensor([0.1, 0.2, 0.3, float("nan")], dtype=torch.bfloat16, requires_grad=True)
    found = nan_quantiles(values, [0.0, 0.5], device=device)
    assert isinstance(found, torch.Tensor) and found.dtype == torch.float64
    assert found.tolist() == values.double()[:2].tolist()
    found = summarise_layer(values, device=device).quantiles
    assert isinstance(found, torch.Tensor) and not found.requires_grad


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA on this machine")
def test_no_function_falls_back_to_the_cpu() -> None:
    numbers = np.ones((2, 2), np.int64)
    for call in (
        lambda: count_groups([numbers[0]], [2], device="cuda"),
        lambda: bootstrap_counts(numbers, lambda t: t.sum(-1), device="cuda:0"),
        lambda: permutation_test(numbers, device=torch.device("cuda")),
        lambda: nan_quantiles(numbers, [0.5], device="cuda"),
        lambda: summarise_layer(numbers, device="cuda"),
        lambda: lay_out_graph(2, numbers, device="cuda"),
    ):
        with pytest.raises(DeviceUnavailable, match="has 0 CUDA devices; use 'cpu'"):
            call()


def test_the_twins_need_no_torch_to_be_read() -> None:
    source = "import sys, kernels.ops; print('torch' in sys.modules, 'workbench' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", source],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert told.stdout.split() == ["False", "False"]


def test_the_example_of_the_page_runs() -> None:
    page = (ROOT / "docs" / "ops.md").read_text()
    example = page.split("```python\n")[1].split("```")[0]
    told: dict[str, object] = {}
    exec(example, told)
    assert isinstance(told["phi"], np.ndarray) and told["phi"].shape == (50, 8, 1)
