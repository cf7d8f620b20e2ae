"""Tables larger than the memory: read column by column, mapped, drawn in blocks, sampled."""

import datetime as dt
import errno
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.models.test_estimators import FEATURES, Attempt, Killed, lesson
from workbench import memory
from workbench.core import Context, Limited
from workbench.core.context import Quiet
from workbench.data import Product, read_columns, scan
from workbench.data.types import Column
from workbench.models import drawing, networks
from workbench.models.drawing import batches
from workbench.models.estimators import (
    CLASSIFIERS,
    REGRESSORS,
    Lesson,
    answers_of,
    fit_estimator,
)
from workbench.models.features import Features, fit
from workbench.models.matrices import NAMES, Matrices, make_matrices
from workbench.models.reading import Columns
from workbench.models.sampling import carried, fewer, fitting
from workbench.models.splits import Parts, split_rows

ROWS = 500
LITTLE = 64 * 1024
"""A limit under which matrices of a KiB are mapped."""

KINDS: dict[str, Any] = {
    "number": st.floats(allow_nan=True, width=64),
    "integer": st.integers(-5, 2**40),
    "category": st.sampled_from(["a", "b", " ", "c d", "ä"]),
    "boolean": st.booleans(),
    "time": st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2040, 1, 1)),
    "text": st.text(max_size=5),
}
TYPES = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "category": pa.string(),
    "boolean": pa.bool_(),
    "time": pa.timestamp("us"),
    "text": pa.string(),
}


def written(table: pa.Table, folder: Path, group: int = 37) -> list[str]:
    """The table as two files of several row groups."""
    half = len(table) // 2
    files = [str(folder / name) for name in ("a.parquet", "b.parquet")]
    for file, part in zip(files, (table.slice(0, half), table.slice(half)), strict=True):
        pq.write_table(part, file, row_group_size=group)
    return files


def columns_of(table: pa.Table) -> list[Column]:
    return [
        Column(name=name, kind=name.partition("_")[0], type="")  # type: ignore[arg-type]
        for name in table.column_names
    ]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    random = np.random.default_rng(4)
    numbers = {f"number_{each}": pa.array(random.normal(size=ROWS)) for each in range(40)}
    gone = random.random(ROWS) < 0.2
    days = [dt.datetime(2020, 1, 1) + dt.timedelta(hours=int(each) * 7) for each in range(ROWS)]
    return pa.table(
        {
            **numbers,
            "integer_a": pa.array(random.integers(0, 9, ROWS), mask=gone),
            "category_a": pa.array(np.array(["x", "y", " "])[random.integers(0, 3, ROWS)]),
            "time_a": pa.array(days, pa.timestamp("us")),
            "boolean_a": pa.array(random.random(ROWS) < 0.5),
            "text_a": pa.array([f"note {each}" for each in range(ROWS)]),
        }
    )


@pytest.fixture
def given_table(
    ctx: Context, table: pa.Table, tmp_path: Path
) -> tuple[Context, Product, list[str], Features, Parts]:
    files = written(table, tmp_path)
    rows = np.flatnonzero(np.arange(ROWS) % 11 > 0).astype(np.int64)
    parts = split_rows(rows, 3)
    features = fit(Columns(Quiet(), files, table.column_names, parts.train), columns_of(table))
    product = Product.model_construct(id="prd_1", version=0, digest="sha256:1", rows=ROWS)
    job = Attempt(tmp_path / "scratch")
    job.scratch.mkdir()
    return ctx.fresh(job=job), product, files, features, parts


def limit(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    monkeypatch.setattr(memory, "allowed", lambda: allowed)


def equal(made: Matrices, table: pa.Table, features: Features, parts: Parts) -> bool:
    whole = features.transform(table)
    return all(np.array_equal(getattr(made, name), whole[getattr(parts, name)]) for name in NAMES)


def mapped(part: tuple[Any, Any], file: Path) -> tuple[Any, Any]:
    np.save(file, part[0])
    return np.load(file, mmap_mode="r+"), part[1]


def on_disk(given: Lesson, folder: Path) -> Lesson:
    """The lesson with its matrices in files."""
    return replace(
        given,
        train=mapped(given.train, folder / "train.npy"),
        validation=mapped(given.validation, folder / "validation.npy"),
    )


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rules_learned_column_by_column_are_those_of_the_table(data: st.DataObject) -> None:
    rows = data.draw(st.integers(2, 60))
    drawn = {
        kind: pa.array(
            data.draw(st.lists(st.none() | each, min_size=rows, max_size=rows)), TYPES[kind]
        )
        for kind, each in KINDS.items()
    }
    whole = pa.table(drawn)
    chosen = np.array(sorted(data.draw(st.sets(st.integers(0, rows - 1), min_size=1))))
    with tempfile.TemporaryDirectory() as folder:
        files = written(whole, Path(folder), group=7)
        with pytest.MonkeyPatch.context() as patched:
            limit(patched, data.draw(st.sampled_from([1 << 34, 1 << 15, 1 << 10])))
            columns = Columns(Quiet(), files, whole.column_names, chosen)
            found = fit(columns, columns_of(whole))
        expected = fit(whole.take(chosen).column, columns_of(whole))
    assert found.state == expected.state


def test_each_column_is_asked_for_once_and_free_text_never(table: pa.Table) -> None:
    asked: list[str] = []

    def read(name: str) -> pa.ChunkedArray:
        asked.append(name)
        return table[name]

    fit(read, columns_of(table))
    assert asked == [name for name in table.column_names if name != "text_a"]


@pytest.mark.parametrize(("allowed", "most"), [(1 << 34, 45), (4 * 8 * 300 * 32, 4), (1, 1)])
def test_as_many_columns_are_held_as_there_is_room_for(
    allowed: int, most: int, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[list[str]] = []

    def watched(files: Any, names: list[str], rows: Any) -> Any:
        passes.append(names)
        return read_columns(files, names, rows)

    limit(monkeypatch, allowed)
    monkeypatch.setattr("workbench.models.reading.read_columns", watched)
    names = table.column_names
    read = Columns(Quiet(), written(table, tmp_path), names, np.arange(300, dtype=np.int64))
    for name in names:
        if name != "number_7":
            assert read(name).equals(table[name].slice(0, 300))
    assert max(map(len, passes)) == most
    assert [name for each in passes for name in each if name != "number_7"] == [
        name for name in names if name != "number_7"
    ]


def test_a_scan_gives_every_row_of_every_column_a_few_columns_at_a_time(
    table: pa.Table, tmp_path: Path
) -> None:
    found: dict[str, list[tuple[int, pa.Array]]] = {name: [] for name in table.column_names}
    for at, batch in scan(written(table, tmp_path), table.column_names):
        assert batch.num_columns <= 32
        for name in batch.schema.names:
            found[name].append((at, batch[name]))
    for name, pieces in found.items():
        assert [at for at, _ in pieces] == list(
            np.cumsum([0, *(len(piece) for _, piece in pieces[:-1])])
        )
        assert pa.chunked_array([piece for _, piece in pieces]).equals(table[name])


@pytest.mark.parametrize("allowed", [1 << 34, LITTLE])
def test_matrices_are_what_the_whole_table_gives(
    given_table: Any, table: pa.Table, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    ctx, _, _, features, parts = given_table
    limit(monkeypatch, allowed)
    made = make_matrices(*given_table)
    assert equal(made, table, features, parts)
    assert isinstance(made.train, np.memmap) == (allowed == LITTLE)
    assert bool(list(ctx.job.scratch.iterdir())) == (allowed == LITTLE)


def test_outside_a_job_the_files_leave_nothing(
    given_table: Any, table: pa.Table, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ctx, *rest = given_table
    ctx.job.scratch = None
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    limit(monkeypatch, LITTLE)
    made = make_matrices(ctx, *rest)
    assert equal(made, table, rest[2], rest[3])
    assert not list((tmp_path / "temporary").iterdir())


def test_a_later_attempt_uses_what_is_there_and_only_what_is_the_same(
    given_table: Any, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, product, files, features, parts = given_table
    limit(monkeypatch, LITTLE)
    make_matrices(*given_table)
    with monkeypatch.context() as patched:
        patched.setattr("workbench.models.matrices.scan", None)
        again = make_matrices(*given_table)
    assert equal(again, table, features, parts)
    assert ctx.job.lines == ["The matrices that a former attempt made are used."]
    others = split_rows(np.sort(np.concatenate([parts.train, parts.validation])), 4)
    fewer_columns = features.of(features.columns[1:])
    newer = product.model_copy(update={"digest": "sha256:2"})
    assert equal(make_matrices(ctx, product, files, features, others), table, features, others)
    assert equal(
        make_matrices(ctx, product, files, fewer_columns, parts), table, fewer_columns, parts
    )
    make_matrices(ctx, newer, files, features, parts)
    assert len(list(ctx.job.scratch.iterdir())) == 4
    assert len(ctx.job.lines) == 1


def test_a_kill_before_the_files_have_their_name_is_harmless(
    given_table: Any, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, *_, features, parts = given_table
    limit(monkeypatch, LITTLE)
    make_matrices(*given_table)
    (folder,) = ctx.job.scratch.iterdir()
    # What such a kill leaves: everything but the last rows, under the other name.
    torn = folder.rename(folder.with_suffix(".writing"))
    np.load(torn / "train.npy", mmap_mode="r+")[-50:] = 0
    (torn / "test.npy").unlink()
    assert equal(make_matrices(*given_table), table, features, parts)
    assert ctx.job.lines == []
    assert list(ctx.job.scratch.iterdir()) == [folder]


def test_what_stops_on_the_way_leaves_no_files(
    given_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, *_ = given_table
    limit(monkeypatch, LITTLE)
    monkeypatch.setattr(
        "workbench.models.matrices.os.fsync", lambda _: (_ for _ in ()).throw(Killed)
    )
    with pytest.raises(Killed):
        make_matrices(*given_table)
    assert not list(ctx.job.scratch.iterdir())


def test_a_full_disk_is_one_sentence(given_table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx, _, _, features, parts = given_table

    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    limit(monkeypatch, LITTLE)
    monkeypatch.setattr("os.posix_fallocate", full)
    need = sum(len(getattr(parts, name)) for name in NAMES) * len(features.names) * 4
    with pytest.raises(Limited, match=f"need {need:,} bytes and the disk has [0-9,]+ left") as told:
        make_matrices(*given_table)
    assert "Free space" in told.value.hint
    assert not list(ctx.job.scratch.iterdir())


def test_every_byte_has_its_room_on_the_disk_before_a_row_is_written(
    given_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, LITTLE)
    reserved: list[tuple[int, int]] = []
    monkeypatch.setattr("os.posix_fallocate", lambda _, at, size: reserved.append((at, size)))
    make_matrices(*given_table)
    ctx, *_ = given_table
    (folder,) = ctx.job.scratch.iterdir()
    assert reserved == [(0, (folder / f"{name}.npy").stat().st_size) for name in NAMES]


def test_a_project_that_may_not_hold_as_much_says_so(
    given_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, *rest = given_table
    limit(monkeypatch, LITTLE)
    monkeypatch.setattr("workbench.security.limits.limit_of", lambda *_: 0.01)
    with pytest.raises(Limited, match="more do not fit"):
        make_matrices(ctx, *rest)


def drawn(rows: int, size: int, seed: int, epochs: int = 1) -> list[list[torch.Tensor]]:
    order = torch.Generator().manual_seed(seed)
    return [list(batches(rows, size, order, "cpu", 512)) for _ in range(epochs)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3_000), st.integers(1, 200), st.integers(0, 2**31))
def test_rows_drawn_in_blocks_come_once_an_epoch(rows: int, size: int, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drawing, "BLOCK", 16 * 512)
        patched.setattr(drawing, "BLOCKS", 5)
        (epoch,) = drawn(rows, size, seed)
        assert sorted(torch.cat(epoch).tolist()) == list(range(rows))
        assert [len(each) for each in epoch] == [
            len(each) for each in torch.split(torch.arange(rows), size)
        ]


def test_blocks_differ_by_epoch_and_seed_and_lie_beside_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing, "BLOCK", 16 * 512)
    monkeypatch.setattr(drawing, "BLOCKS", 4)
    first, second = (torch.cat(each) for each in drawn(2_000, 64, 1, epochs=2))
    (again,), (other,) = drawn(2_000, 64, 1), drawn(2_000, 64, 2)
    assert torch.equal(first, torch.cat(again))
    assert not torch.equal(first, second) and not torch.equal(first, torch.cat(other))
    # A batch is one window here: its rows are those of four blocks, and mixed.
    window = first[:64]
    assert len(set((window // 16).tolist())) <= 4
    assert window.tolist() != sorted(window.tolist())


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("allowed", [1 << 34, 1_000])
def test_a_training_from_files_goes_on_after_its_checkpoint(
    classes: int, allowed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all rows mixed the weights are those from memory, too."""
    monkeypatch.setattr("workbench.models.checkpoints.EVERY_S", 0.0)
    monkeypatch.setattr(drawing, "BLOCK", 200)
    monkeypatch.setattr(drawing, "BLOCKS", 3)
    limit(monkeypatch, allowed)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    given = on_disk(lesson(classes), tmp_path)
    whole = fit_estimator("network", given)
    for killed_in in (1, 5):
        with pytest.raises(Killed):
            fit_estimator("network", replace(given, job=Attempt(scratch, killed_in)))
    last = Attempt(scratch)
    fitted = fit_estimator("network", replace(given, job=last))
    assert last.epochs[0] == 5
    assert np.array_equal(fitted.predict(FEATURES), whole.predict(FEATURES))
    assert fitted.history == whole.history
    in_memory = fit_estimator("network", lesson(classes))
    same = np.array_equal(in_memory.predict(FEATURES), whole.predict(FEATURES))
    assert same == (allowed > 1_000)


def test_a_checkpoint_of_another_order_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.checkpoints.EVERY_S", 0.0)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    given = on_disk(lesson(3), tmp_path)
    with pytest.raises(Killed):
        fit_estimator("network", replace(given, job=Attempt(scratch, 4)))
    limit(monkeypatch, 1_000)
    other = Attempt(scratch)
    fit_estimator("network", replace(given, job=other))
    assert other.epochs[0] == 1


def test_a_mapped_matrix_is_shared_and_not_copied(tmp_path: Path) -> None:
    given = on_disk(lesson(3), tmp_path)
    rows = networks._Rows(given.train, {"task": "classification"}, "cpu", "cpu")
    assert rows._features.data_ptr() == given.train[0].ctypes.data


def test_rows_that_do_not_fit_on_a_gpu_stay_where_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = (np.zeros((100, 10), np.float32), np.zeros(100))
    for free, fits in ((100 * 48 / 0.8 + 1, True), (100 * 48, False)):
        monkeypatch.setattr("torch.cuda.mem_get_info", lambda free=free: (free, 10**9))
        assert networks._fit_on("cuda", (part,)) == fits


def classes_of(count: int, classes: int) -> Lesson:
    random = np.random.default_rng(0)
    features = random.normal(size=(count, 6)).astype(np.float32)
    target = np.minimum(random.geometric(0.6, count) - 1, classes - 1)
    target[:classes] = np.arange(classes)
    half = count // 2
    return replace(
        lesson(classes),
        train=(features[:half], target[:half]),
        validation=(features[half:], target[half:]),
    )


@pytest.mark.parametrize("kind", ["logistic", "lightgbm", "forest"])
def test_what_does_not_fit_learns_from_some_rows_and_says_so(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = classes_of(8_000, 7)
    assert fitting(kind, whole) is whole and fewer(kind, whole) == ""
    limit(monkeypatch, 8 << 20)
    said = Attempt(Path())
    given = replace(whole, job=said)
    one, two = fitting(kind, given), fitting(kind, given)
    rows = len(one.train[1])
    assert rows < 4_000
    assert np.array_equal(one.train[0], two.train[0]) and np.array_equal(one.train[1], two.train[1])
    assert set(one.train[1]) == set(range(7)), "every class is there"
    shares = np.bincount(one.train[1]) / rows - np.bincount(whole.train[1]) / 4_000
    assert np.abs(shares).max() < 0.02
    assert (len(one.validation[1]) < 4_000) == (kind == "lightgbm")
    other = fitting(kind, replace(given, seed=9))
    assert not np.array_equal(one.train[0], other.train[0])
    fitted = fit_estimator(kind, given)
    assert said.lines == [
        f"{kind} learned from {rows:,} of 4,000 rows: more do not fit in the 8 MiB a job may hold."
    ]
    assert fitted.predict(whole.validation[0]).shape == (4_000, 7)


@pytest.mark.parametrize("kind", ["network", "majority", "mean"])
def test_what_holds_no_rows_learns_from_all(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, LITTLE)
    given = lesson(0 if kind == "mean" else 3)
    assert fitting(kind, given) is given and fewer(kind, given) == ""


def test_what_is_sent_to_workers_is_in_memory_and_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = classes_of(8_000, 3)
    assert carried("network", given) == (given, "")
    on = on_disk(given, tmp_path)
    found, said = carried("network", on)
    assert said == "" and not isinstance(found.train[0], np.memmap)
    assert np.array_equal(found.train[0], given.train[0])
    limit(monkeypatch, 4 << 20)
    found, said = carried("network", on)
    rows = len(found.train[1])
    assert rows < 4_000 and len(found.validation[1]) < 4_000
    assert said.startswith(f"The trials learned from {rows:,} of 4,000 rows: more do not fit")
    assert not isinstance(found.validation[0], np.memmap)


@pytest.mark.parametrize("kind", sorted({*CLASSIFIERS, *REGRESSORS}))
def test_answers_come_block_by_block(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = lesson(3 if kind in CLASSIFIERS else 0)
    fitted = fit_estimator(kind, given)
    seen: list[int] = []
    predict = fitted.predict

    def watched(features: Any) -> Any:
        seen.append(len(features))
        return predict(features)

    monkeypatch.setattr(fitted, "predict", watched)
    monkeypatch.setattr("workbench.models.estimators.ANSWERED", 5 * 70)
    found = answers_of(fitted, FEATURES)
    assert seen == [70, 70, 70, 30]
    assert np.allclose(found, predict(FEATURES), rtol=1e-6)


def test_lightgbm_with_little_room_grows_the_same_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    given = classes_of(400, 2)
    usual = fit_estimator("lightgbm", given).predict(given.validation[0])
    limit(monkeypatch, 4 << 20)
    assert fewer("lightgbm", given) == ""
    assert np.allclose(fit_estimator("lightgbm", given).predict(given.validation[0]), usual)
