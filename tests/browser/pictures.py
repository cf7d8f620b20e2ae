"""Pictures of what a test sees, for people to look at."""

import os

from playwright.sync_api import Page


def shot(page: Page, name: str) -> None:
    """Keep one in the folder that `WORKBENCH_SHOTS` names; nothing without it."""
    if folder := os.environ.get("WORKBENCH_SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")
