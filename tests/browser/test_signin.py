"""Coming in: the one-time link, the password, the Lab, out and in again; and what is refused."""

import os
import subprocess
import sys

import pytest
from playwright.sync_api import Browser, Page, expect

from workbench.security.sandbox import why_not

from .conftest import Studio
from .lab import lab_is_ready

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("WORKBENCH_SHOTS", "")


def shot(page: Page, name: str) -> None:
    """Keep a picture for somebody to look at, if a folder for them is named."""
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def fill(page: Page, password: str, again: str | None = None) -> None:
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Password again").fill(password if again is None else again)
    page.get_by_role("button", name="Open the Studio").click()


def test_a_link_makes_an_account_once(studio: Studio, page: Page) -> None:
    link = studio.new_link("grace")
    page.goto(link)
    shot(page, "welcome")
    expect(page.get_by_label("Name")).to_have_value("grace")

    fill(page, "short")
    expect(page.get_by_role("alert")).to_have_text(
        "A password needs 10 characters or more, and this one has 5."
    )
    shot(page, "welcome-weak")
    fill(page, "1234567890")
    expect(page.get_by_role("alert")).to_contain_text("among the first that are guessed")
    fill(page, "enough characters", "other characters")
    expect(page.get_by_role("alert")).to_have_text("The two passwords are not the same.")

    fill(page, "enough characters")
    expect(page.locator("#heading, #jp-main-dock-panel").first).to_be_visible(timeout=60_000)
    shot(page, "starting")
    lab_is_ready(page)
    shot(page, "lab")

    answer = page.goto(link)
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("heading")).to_contain_text("This link was used on")
    expect(page.get_by_role("alert")).to_contain_text("workbench welcome")
    shot(page, "welcome-used")


def test_a_link_of_nobody_is_refused_in_a_sentence(studio: Studio, page: Page) -> None:
    answer = page.goto(f"{studio.url}hub/welcome?token=guessed")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("heading")).to_have_text(
        "This link is not one of this Studio’s, or was replaced."
    )
    assert "Traceback" not in page.content()


def test_out_and_in_again_by_keyboard(studio: Studio, page: Page) -> None:
    studio.open_lab(page)
    page.goto(f"{studio.url}hub/home")
    shot(page, "home")
    page.get_by_role("link", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to NexusAI Studio")).to_be_visible()
    shot(page, "signin")
    answer = page.request.get(f"{studio.url}hub/home", max_redirects=0)
    assert answer.status == 302, "signed out"

    page.keyboard.type(studio.name)
    page.keyboard.press("Tab")
    page.keyboard.type(studio.password)
    page.keyboard.press("Enter")
    lab_is_ready(page)


def test_the_sign_in_page_reads_in_the_dark_and_warns_if_need_be(
    studio: Studio, browser: Browser
) -> None:
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.goto(f"{studio.url}hub/login")
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
        warned = page.get_by_text("Trusted people only").count()
        assert bool(warned) == bool(why_not())
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(20, 23, 29)"
        shot(page, "signin-dark")


@pytest.mark.parametrize("name", ["ada", "nobody-here"])
def test_a_wrong_password_and_a_wrong_name_look_alike(
    studio: Studio, page: Page, name: str
) -> None:
    studio.sign_in(page, name, "not the password")
    expect(page.get_by_role("alert")).to_have_text(
        "This name and this password do not belong together."
    )
    expect(page.get_by_label("Name")).to_have_value(name)
    shot(page, "signin-wrong")


def test_five_wrong_passwords_pause(studio: Studio, page: Page) -> None:
    for _ in range(6):
        studio.sign_in(page, "mallory", "guess")
        expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_text(
        "Too many wrong passwords for this name: try again in 5 minutes."
    )


def test_nobody_signs_up(studio: Studio, page: Page) -> None:
    answer = page.goto(f"{studio.url}hub/signup")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading")).to_have_text("There is no page at this address.")
    shot(page, "404")


def test_a_password_is_changed(studio: Studio, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(studio.new_link("linus"))
        fill(page, "the first passphrase")
        page.goto(f"{studio.url}hub/change-password")
        page.get_by_label("Old password").fill("not it")
        page.get_by_label("New password", exact=True).fill("the second passphrase")
        page.get_by_label("New password again").fill("the second passphrase")
        page.get_by_role("button", name="Change it").click()
        expect(page.get_by_role("alert")).to_have_text("The old password is not right.")
        page.get_by_label("Old password").fill("the first passphrase")
        page.get_by_label("New password", exact=True).fill("the second passphrase")
        page.get_by_label("New password again").fill("the second passphrase")
        page.get_by_role("button", name="Change it").click()
        expect(page.get_by_role("status")).to_have_text("Your password is changed.")
        shot(page, "password")
    with browser.new_context() as context:
        page = context.new_page()
        studio.sign_in(page, "linus", "the first passphrase")
        expect(page.get_by_role("alert")).to_be_visible()


def test_a_second_start_names_the_running_one(studio: Studio) -> None:
    done = studio.run("up")
    assert done.returncode == 0
    assert f"Open {studio.url}" in done.stdout


def test_a_taken_port_is_told_plainly(studio: Studio, tmp_path: os.PathLike[str]) -> None:
    port = studio.url.rstrip("/").rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "workbench.cli.main", "up"],
        env=studio.environment | {"WORKBENCH_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"Port {port} is taken by python (process" in done.stderr
    assert "WORKBENCH_PORT=" in done.stderr
    assert "Traceback" not in done.stderr
