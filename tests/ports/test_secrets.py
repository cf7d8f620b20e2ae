"""What every engine of `security.secrets` must do. A new engine adds one URL, no test."""

import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from workbench.core import Invalid, NotFound
from workbench.security.secrets import LIMIT, Secrets, secrets

URLS = ["file://"]


def opened(url: str, home: Path) -> Secrets:
    engine: Secrets = secrets.load(url)(url, home)
    return engine


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest) -> str:
    given: str = request.param
    return given


@pytest.fixture
def kept(url: str, tmp_path: Path) -> Secrets:
    return opened(url, tmp_path)


@given(value=st.text(min_size=1, max_size=200).filter(lambda t: t.isprintable()))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_put_is_what_one_gets(kept: Secrets, value: str) -> None:
    kept.put("prj_1", "con_1", SecretStr(value))
    assert kept.get("prj_1", "con_1").get_secret_value() == value


def test_a_later_value_replaces_the_one_before(kept: Secrets) -> None:
    kept.put("p", "a", SecretStr("one"))
    kept.put("p", "b", SecretStr("other"))
    kept.put("p", "a", SecretStr("two"))
    assert kept.get("p", "a").get_secret_value() == "two"
    assert kept.get("p", "b").get_secret_value() == "other"


def test_another_project_has_none_of_it(kept: Secrets) -> None:
    kept.put("p", "a", SecretStr("one"))
    assert kept.names("q") == []
    with pytest.raises(NotFound, match="no secret 'a'"):
        kept.get("q", "a")
    kept.delete("q", "a")
    assert kept.get("p", "a").get_secret_value() == "one"


def test_names_are_sorted_and_go_with_their_secrets(kept: Secrets) -> None:
    for name in ("b", "a", "c"):
        kept.put("p", name, SecretStr("x"))
    assert kept.names("p") == ["a", "b", "c"]
    kept.delete("p", "b")
    kept.delete("p", "b")
    assert kept.names("p") == ["a", "c"]
    kept.delete("p", "a")
    kept.delete("p", "c")
    assert kept.names("p") == []
    with pytest.raises(NotFound):
        kept.get("p", "a")


def test_it_is_there_after_a_restart(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path).put("p", "a", SecretStr("long and lasting"))
    assert opened(url, tmp_path).get("p", "a").get_secret_value() == "long and lasting"


def test_writers_at_once_lose_nothing(url: str, tmp_path: Path) -> None:
    def write(number: int) -> None:
        opened(url, tmp_path).put("p", f"n{number}", SecretStr(f"value {number}"))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    kept = opened(url, tmp_path)
    assert sorted(kept.names("p")) == sorted(f"n{n}" for n in range(12))
    assert kept.get("p", "n7").get_secret_value() == "value 7"


@pytest.mark.parametrize("bad", ["", "../x", "a/b", ".lock", "a\0b", "x" * 129, "é"])
def test_names_that_are_none(kept: Secrets, bad: str) -> None:
    with pytest.raises(Invalid):
        kept.put("p", bad, SecretStr("x"))
    with pytest.raises(Invalid):
        kept.put(bad, "a", SecretStr("x"))


@pytest.mark.parametrize("size", [0, LIMIT + 1])
def test_a_value_of_an_impossible_size(kept: Secrets, size: int) -> None:
    with pytest.raises(Invalid, match=f"has {size:,} characters"):
        kept.put("p", "a", SecretStr("x" * size))


def test_nothing_shows_the_value(kept: Secrets) -> None:
    kept.put("p", "a", SecretStr("hunter2hunter2"))
    assert "hunter2" not in repr(kept) + repr(kept.get("p", "a")) + str(kept.get("p", "a"))
