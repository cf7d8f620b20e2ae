"""A line says which call it belongs to; the id a person quotes finds it."""

import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from workbench.cli import main as shell
from workbench.core import Context, Invalid, NotFound, call_here
from workbench.core.door import acting
from workbench.core.logfiles import Entry, find_entries
from workbench.core.logs import JsonLines, TextLines, scrubbed


def line(message: str, *values: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("room.part", logging.INFO, "f.py", 1, message, values, None)
    vars(made).update(extra)
    return made


def test_a_line_of_json_has_what_a_machine_asks_for(ctx: Context) -> None:
    with acting(ctx):
        told = json.loads(JsonLines().format(line("put %s", "a", product="prd_x")))
    assert told.pop("time").endswith("Z")
    assert told == {
        "level": "INFO",
        "logger": "room.part",
        "message": "put a",
        "trace": ctx.trace,
        "actor": "person:ada",
        "project": ctx.project,
        "product": "prd_x",
    }
    assert "trace" not in json.loads(JsonLines().format(line("no call")))


def test_a_line_of_text_says_the_same(ctx: Context) -> None:
    with acting(ctx):
        told = TextLines().format(line("put", product="prd_x"))
    known = f"[{ctx.trace} person:ada {ctx.project}]"
    assert told.endswith(f"INFO room.part {known} put product=prd_x")


def test_a_traceback_belongs_to_its_line() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        made = line("broke", exc_info=(ValueError, error, error.__traceback__))
    text = TextLines().format(made).splitlines()
    assert len(text) > 2 and all(each.startswith("  ") for each in text[1:])
    assert "ValueError: why" in json.loads(JsonLines().format(made))["exception"]
    assert "\n" not in JsonLines().format(made)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("/hub/welcome?token=abcdef123&next=/", "/hub/welcome?token=…&next=/"),
        ("Authorization: Bearer abcdefghijklmnop.q", "Authorization: Bearer …"),
        ("session-0123456789abcdefghijkl is gone", "session-… is gone"),
        ("metrics-0123456789abcdefghijkl", "metrics-…"),
        ("state=running code=1", "state=running code=1"),
        ("a token of nine", "a token of nine"),
    ],
)
def test_what_lets_somebody_in_is_not_written(said: str, kept: str) -> None:
    assert scrubbed(said) == kept
    assert kept in TextLines().format(line("%s", said))


@given(st.text())
def test_every_message_is_one_line_of_json(said: str) -> None:
    told = JsonLines().format(line("%s", said))
    assert "\n" not in told and isinstance(json.loads(told)["message"], str)


def test_an_error_is_one_line_that_its_trace_finds(
    ctx: Context, root: Context, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with pytest.raises(NotFound) as caught:
        call_here(ctx, "models.get_model", {"id": "my secret name"})
    trace = caught.value.trace
    assert trace == ctx.trace and caught.value.as_problem()["trace"] == trace
    (found,) = [each for each in caplog.records if each.name == "workbench.core.door"]
    assert found.getMessage() == "models.get_model: NotFound"  # not what was asked
    folder = root.home / "logs"
    folder.mkdir(parents=True)
    with acting(ctx):
        (folder / "studio.log").write_text(TextLines().format(found) + "\n")
    (hit,) = call_here(root, "operations.find_logs", {"id": trace}).items
    assert (hit.file, hit.line) == ("studio.log", 1) and "NotFound" in hit.text


LOG = """\
2026-11-25T09:00:00.000Z INFO a before
2026-11-25T09:00:01.000Z ERROR a [trc_01m8aevt8zdqwt3q134h6kdqp9] broke
  Traceback (most recent call last):
  ValueError: why
2026-11-25T09:00:02.000Z INFO a after
2026-11-25T09:00:03.000Z INFO a long after
"""
ID = "trc_01m8aevt8zdqwt3q134h6kdqp9"


def test_an_entry_is_found_with_its_traceback_and_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "hub.log").write_text(LOG)
    (tmp_path / "hub.log.20261124T000000000000").write_text(f'{{"trace": "{ID}"}}\nmore\n')
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "job_01m8aevt8zdqwt3q134h6kdqp9.log").write_text("one\n== two\n\x1b[2J")
    former, *hub = find_entries(tmp_path, ID, around=1)
    assert former.text == f'{{"trace": "{ID}"}}\nmore'
    assert [(each.line, each.around) for each in hub] == [(1, True), (2, False), (5, True)]
    assert hub[1].text.endswith("ValueError: why") and "long after" not in hub[2].text
    whole = find_entries(tmp_path, "job_01m8aevt8zdqwt3q134h6kdqp9")
    assert [each.text for each in whole] == ["one", "== two\n·[2J"]  # a job's own log
    assert find_entries(tmp_path, ID[:-1] + "x") == []


@pytest.mark.parametrize("id", ["", "a", "password", "../keys/local", ".*", "trc_", ID.upper()])
def test_only_ids_are_looked_for(tmp_path: Path, id: str) -> None:
    with pytest.raises(Invalid):
        find_entries(tmp_path, id)


def test_the_shell_finds_what_it_wrote_itself(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(ctx.home))
    with pytest.raises(SystemExit):
        shell.main(["models", "get-model", "nothing"])
    told = capsys.readouterr().err
    id = told.rpartition("id ")[2].strip()
    assert id.startswith("trc_") and "INFO" not in told
    done = CliRunner().invoke(shell.cli, ["logs", id, "--around", "0", "--json"])
    assert done.exit_code == 0, done.output
    (found,) = [Entry.model_validate(each) for each in json.loads(done.output)["items"]]
    assert found.file == "shell.log" and "models.get_model: NotFound" in found.text
