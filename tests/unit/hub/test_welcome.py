"""One-time links: one use, one day, one per person; only a digest is kept."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jupyterhub import orm
from nativeauthenticator.orm import UserInfo

from tests.postgres import Postgres
from workbench.core import Forbidden, Invalid, load_settings
from workbench.hub.welcome import check_name, first_account, hub_database, issue, look, spend

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_link_names_its_person_and_keeps_no_token(tmp_path: Path) -> None:
    token = issue(tmp_path, "ada", admin=True, now=NOW)
    assert len(token) >= 43
    link = look(tmp_path, token, NOW)
    assert (link.name, link.admin) == ("ada", True)
    file = tmp_path / "keys" / "welcome.json"
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_works_once(tmp_path: Path) -> None:
    token = issue(tmp_path, "ada", admin=True, now=NOW)
    spend(tmp_path, token, NOW)
    with pytest.raises(Forbidden, match="was used on 23 November 2026 at 12:00") as told:
        look(tmp_path, token, NOW)
    assert "workbench welcome" in told.value.hint


def test_a_link_expires_after_a_day(tmp_path: Path) -> None:
    token = issue(tmp_path, "ada", admin=True, now=NOW)
    assert look(tmp_path, token, NOW + timedelta(hours=24))
    with pytest.raises(Forbidden, match="expired on 24 November"):
        spend(tmp_path, token, NOW + timedelta(hours=24, seconds=1))


def test_a_new_link_replaces_the_persons_unused_one_only(tmp_path: Path) -> None:
    old = issue(tmp_path, "ada", admin=True, now=NOW)
    other = issue(tmp_path, "grace", admin=False, now=NOW)
    new = issue(tmp_path, "ada", admin=True, now=NOW)
    assert look(tmp_path, new, NOW).name == "ada"
    assert look(tmp_path, other, NOW).name == "grace"
    with pytest.raises(Forbidden, match="not one of this Studio"):
        look(tmp_path, old, NOW)


def test_of_eight_at_once_one_gets_it(tmp_path: Path) -> None:
    token = issue(tmp_path, "ada", admin=True, now=NOW)

    def take(_: int) -> bool:
        try:
            spend(tmp_path, token, NOW)
        except Forbidden:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


@pytest.mark.parametrize("name", ["", "Ada", "a b", "../x", "-a", "a" * 33, "ä", "a/b", "a\n"])
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        check_name(name)


def test_a_new_home_has_no_account(tmp_path: Path) -> None:
    assert first_account(load_settings(home=tmp_path)) is None


def test_the_first_administrator_is_found_in_postgresql_too(
    postgres: Postgres, tmp_path: Path
) -> None:
    settings = load_settings(home=tmp_path, hub_db_url=postgres.database())
    assert first_account(settings) is None
    url = hub_database(settings).render_as_string(hide_password=False)
    session = orm.new_session_factory(url)()
    UserInfo.__table__.create(session.get_bind(), checkfirst=True)
    assert first_account(settings) is None
    session.add(orm.User(name="ben", admin=False))
    session.add(orm.User(name="ada", admin=True))
    for name in ("ben", "ada"):
        session.add(UserInfo(username=name, password=b"hash", is_authorized=True))
    session.commit()
    assert first_account(settings) == "ada"
    session.close()
    session.get_bind().dispose()


def test_accounts_and_records_in_one_database_are_invalid(tmp_path: Path) -> None:
    url = "postgresql://studio@db/studio"
    settings = load_settings(home=tmp_path, hub_db_url=url, urls={"core.store": url})
    with pytest.raises(Invalid, match="the database studio of the Studio's records"):
        hub_database(settings)
