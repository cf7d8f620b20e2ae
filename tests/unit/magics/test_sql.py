"""`%%sql` and `wb`, in a shell of IPython's."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

import workbench
from workbench.magics import load
from workbench.magics.studio import Studio


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell beside a Studio of its own, with one product."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame({"city": ["Rome", "Oslo", "Rome"], "age": [30, 40, 50]})
    wb = workbench.connect()
    wb.data.register(table, name="people")
    wb.close()
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    yield made
    studio = made.user_ns.get("wb")
    if isinstance(studio, Studio) and studio._connected is not None:
        studio._connected.close()
    InteractiveShell.clear_instance()


def test_a_query_is_a_table(shell: InteractiveShell) -> None:
    load(shell)
    told = shell.run_cell(
        "%%sql\nSELECT city, avg(age) AS age FROM people GROUP BY city ORDER BY city"
    )
    assert told.result.to_dict("list") == {"city": ["Oslo", "Rome"], "age": [40.0, 40.0]}
    assert len(shell.run_cell("%sql SELECT * FROM people").result) == 3


def test_a_query_has_a_name_and_a_limit(shell: InteractiveShell) -> None:
    load(shell)
    told = shell.run_cell("%%sql few --limit 2\nSELECT * FROM people ORDER BY age")
    assert told.result is None and told.success
    assert shell.user_ns["few"]["age"].tolist() == [30, 40]


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("%%sql\nSELECT * FROM nothing", "nothing"),
        ("%%sql 2nd\nSELECT 1", "no name of a variable"),
        ("%%sql\n ", "no query"),
        ("%%sql\nDROP TABLE people", "SELECT"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], cell: str, sentence: str
) -> None:
    load(shell)
    assert not shell.run_cell(cell).success
    told = capsys.readouterr()
    assert sentence in told.err + told.out and "Traceback" not in told.err + told.out


def test_the_studio_is_connected_when_it_is_used(shell: InteractiveShell) -> None:
    load(shell)
    wb = shell.user_ns["wb"]
    assert wb._connected is None and repr(wb) == "wb, the Studio"
    assert [each.name for each in wb.data.list_products().items] == ["people"]
    assert "models" in dir(wb)
    load(shell)
    assert shell.user_ns["wb"] is wb


def test_a_name_that_somebody_gave_stays(shell: InteractiveShell) -> None:
    shell.user_ns["wb"] = "mine"
    load(shell)
    assert shell.user_ns["wb"] == "mine"
    assert len(shell.run_cell("%sql SELECT * FROM people").result) == 3
