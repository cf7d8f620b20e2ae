"""A graph that two people and a kernel draw together: shapes, training, a fork, a merge."""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from workbench.api.client import Workbench, connect
from workbench.security.guard import local_key

from .conftest import Studio
from .lab import LAB_MS, Lab, lab_is_ready

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("WORKBENCH_SHOTS", "")
TRAINED_MS = 90_000
"""How long a training of some epochs may take, in milliseconds."""
KERNEL = """import workbench
g = workbench.connect().documents.open("credit")
forget = g.add("dropout", after="hidden", rate=0.5, name="forget")
g.disconnect("hidden", "target")
g.connect(forget, "target")
print(g.settled(), g[forget].outputs["out"] if forget in g.meaning.nodes else "")
g.close()"""


class Window:
    """One person's window onto one graph."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def graph(self) -> Locator:
        return self.page.locator(".nx-Graph:visible")

    @property
    def side(self) -> Locator:
        return self.graph.locator(".nx-GraphSide")

    def node(self, text: str) -> Locator:
        """The card that says this."""
        return self.graph.locator(".nx-GraphNode").filter(has_text=text)

    def choose(self, node: str) -> None:
        """By its row in the outline: no card has to be seen for it."""
        self.side.get_by_role("tab", name="Outline").click()
        self.side.get_by_role("treeitem", name=re.compile(rf"^{re.escape(node)}\b")).click()

    def add(self, layer: str, *, after: str = "") -> None:
        """A layer from the palette; connected with the one before, if that is named."""
        if after:
            self.choose(after)
        box = self.graph.get_by_label("Search layers")
        box.fill(layer)
        box.press("Shift+Enter" if after else "Enter")
        self.side.get_by_role("tab", name="Properties").click()

    def put(self, field: str, value: str) -> None:
        """A parameter, or the name, of what is chosen."""
        given = self.side.get_by_label(field, exact=True)
        given.fill(value)
        given.press("Enter")

    def join(self, source: str, target: str) -> None:
        """Connect two layers by the form, as without a mouse."""
        self.choose(source)
        self.side.get_by_role("tab", name="Properties").click()
        connections = self.side.get_by_role("region", name="Connections")
        wanted = connections.get_by_role("option", name=re.compile(rf"^{re.escape(target)}\b"))
        connections.get_by_role("combobox").select_option(wanted.first.get_attribute("value"))
        connections.get_by_role("button", name="Connect").click()

    def safe(self) -> None:
        """Until everything is on the Studio's disk."""
        expect(self.graph.get_by_text("All changes are safe")).to_be_visible()

    def drawer(self, name: str) -> Locator:
        """One of the drawers below the graph, opened."""
        button = self.graph.get_by_role("button", name=name, exact=True).first
        if button.get_attribute("aria-pressed") != "true":
            button.click()
        return self.graph.get_by_role("region", name=name)

    def shot(self, name: str) -> None:
        """Keep a picture in light and in dark, if a folder is named."""
        if SHOTS:
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                self.page.screenshot(path=f"{SHOTS}/{name}-{scheme}.png")
            self.page.emulate_media(color_scheme="light")


@pytest.fixture(scope="module")
def lab(studio: Studio, browser: Browser) -> Iterator[Lab]:
    """Ada's project, with a table of the tour's."""
    made = Lab(studio, browser)
    yield made
    made.page.context.close()


@pytest.fixture(scope="module")
def wb(studio: Studio, lab: Lab) -> Iterator[Workbench]:
    """The service, as whoever runs the Studio, in that project."""
    url = f"{studio.url}services/studio/"
    with connect(url, token=local_key(studio.home), project=lab.project) as given:
        rows = "age,income,owns,paid\n" + "".join(
            f"{20 + i % 50},{1000 + (i * 37) % 900},{'yes' if i % 3 else 'no'},"
            f"{'yes' if (i * 37) % 900 + 9 * (i % 50) > 600 else 'no'}\n"
            for i in range(2000)
        )
        file = studio.home.parent / "loans.csv"
        file.write_text(rows)
        given.data.register(str(file), name="loans")
        yield given


def opened(page: Page, name: str) -> None:
    """Open a graph from the panel."""
    section = page.locator("#nexus-studio-panel [data-section=graphs]")
    head = section.locator("h3 > button[aria-expanded]")
    if head.get_attribute("aria-expanded") == "false":
        head.click()
    section.get_by_title(name, exact=True).click(timeout=LAB_MS)
    expect(page.locator(".nx-Graph:visible .nx-GraphNode").first).to_be_visible()


def test_two_browsers_and_a_kernel_build_a_residual_network(
    lab: Lab, studio: Studio, wb: Workbench
) -> None:
    one = Window(lab.page)
    one.page.goto(f"{lab.origin}/user/{lab.label}/lab?reset")
    lab_is_ready(one.page)
    other = Window(lab._new())
    studio.open_lab(other.page)

    # Begun for a table: its columns and classes are the sizes of the ends.
    one.page.evaluate("() => document.querySelector('#nexus-studio-panel')?.scrollTo(0, 0)")
    section = one.page.locator("#nexus-studio-panel [data-section=graphs]")
    head = section.locator("h3 > button[aria-expanded]")
    if head.get_attribute("aria-expanded") == "false":
        head.click()
    section.get_by_role("button", name="New", exact=True).click()
    form = one.page.locator(".nx-Page:visible")
    form.get_by_label("Name").fill("credit")
    form.get_by_label("For the data product").select_option(label="loans")
    form.get_by_label("It predicts").select_option("paid")
    form.get_by_role("radio", name=re.compile("^Empty")).check()
    one.shot("graph-new")
    form.get_by_role("button", name="Draw", exact=True).click()
    expect(one.graph.locator(".nx-GraphNode")).to_have_count(2)
    expect(one.node("table")).to_contain_text("B × 4")
    expect(one.node("target")).to_contain_text("B × 2")

    # From nothing: two layers, and what came in is added to what they make of it.
    opened(other.page, "credit")
    one.choose("table")
    one.add("Dense", after="table")
    one.put("Name", "wide")
    one.put("units", "16")
    expect(other.node("wide")).to_contain_text("B × 16")
    one.add("ReLU", after="wide")
    one.put("Name", "bend")
    # The other goes on from there, at the same time as Ada names things.
    expect(other.node("bend")).to_be_visible()
    other.add("Dense", after="bend")
    other.put("Name", "again")
    other.put("units", "8")
    expect(one.node("again")).to_contain_text("B × 8")
    other.add("Add", after="again")
    other.put("Name", "hidden")
    other.join("bend", "hidden")
    # What does not fit is told at its layer, for both, and nothing else loses its shape.
    expect(one.node("hidden")).to_contain_text("⚠")
    expect(one.node("again")).to_contain_text("B × 8")
    one.shot("graph-misfit")
    other.choose("again")
    other.side.get_by_role("tab", name="Properties").click()
    other.put("units", "16")
    expect(one.node("hidden")).to_contain_text("B × 16")


def unused() -> None: ...
