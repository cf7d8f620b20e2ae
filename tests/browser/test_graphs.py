"""A graph that two people and a kernel draw together: shapes, training, a fork, a merge."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import onnx.parser
import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect

from workbench.api.client import Workbench, connect
from workbench.graphs.programs import to_onnx
from workbench.security.guard import local_key

from .conftest import Studio
from .lab import LAB_MS, Lab, lab_is_ready

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("WORKBENCH_SHOTS", "")
TRAINED_MS = 90_000
"""How long a training of some epochs may take, in milliseconds."""
READ_MS = 60_000
"""How long a file may take to be read: the first one waits for torch and onnxruntime."""
OPEN = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
two (float[rows, length] x) => (float[rows, length] bent, float[rows, length] less)
{ bent = Relu(x) less = Neg(bent) }""")
"""A file that says neither which output is meant nor how long a row is."""
KERNEL = """import workbench
g = workbench.connect().documents.open("credit")
forget = g.add("dropout", after="hidden", rate=0.5, name="forget")
g.disconnect("hidden", "target")
g.connect(forget, "target")
print(g.settled(), g[forget].outputs.get("out", "") if forget in g.meaning.nodes else "")
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
        given = self.side.get_by_label(re.compile(rf"^{field}\b"))
        given.fill(value)
        given.press("Enter")

    def join(self, source: str, target: str) -> None:
        """Connect two layers by the form, as without a mouse."""
        self.choose(source)
        self.side.get_by_role("tab", name="Properties").click()
        connections = self.side.get_by_role("region", name="Connections")
        wanted = connections.get_by_role("option", name=re.compile(rf"^{re.escape(target)}\b"))
        connections.get_by_role("combobox").select_option(wanted.first.get_attribute("value"))
        connections.get_by_role("button", name="Connect", exact=True).click()

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


def section(page: Page) -> Locator:
    """The graphs in the panel, unfolded."""
    found = page.locator("#nexus-studio-panel [data-section=graphs]")
    head = found.locator("h3 > button[aria-expanded]")
    if head.get_attribute("aria-expanded") == "false":
        head.click()
    return found


def opened(page: Page, name: str) -> None:
    """Open a graph from the panel."""
    section(page).get_by_title(name, exact=True).click(timeout=LAB_MS)
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
    section(one.page).get_by_role("button", name="New", exact=True).click()
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

    # The end: the input no longer goes there directly.
    other.choose("target")
    other.side.get_by_role("tab", name="Properties").click()
    other.side.get_by_role("button", name="Disconnect table").click()
    other.join("hidden", "target")
    expect(one.graph.get_by_role("tab", name="Problems", exact=True)).to_be_visible()
    one.page.keyboard.press("Escape")
    one.graph.get_by_role("button", name="Lay out").click()
    other.graph.get_by_role("button", name="Show all").first.click()
    for each in (one, other):
        each.safe()
    one.shot("graph-drawn")

    # A notebook's kernel is one more of those who draw.
    lab.write("peer.ipynb", KERNEL)
    kernel = Lab(studio, lab.browser)
    kernel.open("peer.ipynb")
    kernel.run()
    expect(kernel.outputs()).to_contain_text("all safe", timeout=LAB_MS)
    kernel.page.context.close()
    expect(one.node("forget")).to_contain_text("B × 16")
    expect(other.node("forget")).to_be_visible()

    # Trained where it is drawn: the curves grow for both.
    drawer = one.drawer("Train")
    drawer.get_by_role("button", name="Train", exact=True).click()
    shown = other.drawer("Train")
    for each in (drawer, shown):
        expect(each.get_by_text("validation loss").first).to_be_visible(timeout=TRAINED_MS)
    expect(other.node("wide").locator(".nx-GraphFigures")).to_contain_text("gradient")
    one.shot("graph-training")
    runs = drawer.get_by_role("table", name="Trainings of this graph")
    expect(runs).to_contain_text("accuracy", timeout=TRAINED_MS)
    expect(runs).to_contain_text("done")
    expect(shown.get_by_role("button", name="Model").first).to_be_visible(timeout=TRAINED_MS)
    [model] = [each for each in wb.models.list_models().items if each.name == "credit"]
    document = wb.documents.get_document("credit")
    assert model.document == f"{document.id}@{document.seq}"
    assert set(model.graph.nodes) == set(document.graph.nodes)

    # What it was made of can be read, and runs anywhere.
    one.side.get_by_role("tab", name="Code").click()
    expect(one.side.get_by_label("The graph as Python")).to_contain_text("class Credit(nn.Module)")

    # A fork: tried without disturbing the others, looked at, merged in part.
    variants = other.drawer("Variants")
    variants.get_by_label("A fork called").fill("wider")
    variants.get_by_role("button", name="Fork", exact=True).click()
    expect(other.page.get_by_role("tab", name="wider")).to_be_visible()
    other.choose("wide")
    other.side.get_by_role("tab", name="Properties").click()
    other.put("units", "32")
    other.choose("forget")
    other.side.get_by_role("tab", name="Properties").click()
    other.put("rate", "0.2")
    other.safe()
    expect(one.node("wide")).to_contain_text("B × 16")
    variants = one.drawer("Variants")
    told = variants.get_by_role("region", name="wider")
    expect(told).to_contain_text("units of wide")
    expect(told).to_contain_text("2 changed")
    one.shot("graph-variants")
    told.get_by_role("checkbox", name=re.compile("units of wide")).uncheck()
    told.get_by_role("button", name="Merge the 1 chosen").click()
    expect(told).to_contain_text("1 change was taken over.")
    now = wb.documents.get_document("credit").graph.nodes
    [forget] = [each for each in now.values() if each.name == "forget"]
    [wide] = [each for each in now.values() if each.name == "wide"]
    assert (forget.params["rate"], wide.params["units"]) == (0.2, 16)

    # All of it is in the history, with who did what, and on the record.
    past = one.drawer("History")
    expect(past).to_contain_text("rate of forget")
    one.shot("graph-history")
    acts = {each.action for each in wb.audit.list_events(limit=100).items}
    assert {"documents.create_document", "documents.fork", "documents.merge"} <= acts
    other.page.context.close()


def test_a_function_of_torch_is_written_in_its_form(lab: Lab, wb: Workbench) -> None:
    wb.documents.create_document(name="powers")
    wb.documents.edit(
        id="powers",
        operations=[
            {"op": "add_node", "layer": "operation", "id": "bent", "at": [300, 0]},
            {"op": "add_node", "layer": "weight", "id": "scale", "at": [300, 150]},
            {"op": "connect", "source": "table", "target": "bent"},
        ],
    )
    one = Window(lab.page)
    one.page.goto(f"{lab.origin}/user/{lab.label}/lab?reset")
    lab_is_ready(one.page)
    opened(one.page, "powers")
    expect(one.node("bent")).to_contain_text(re.compile("abs.*in 0", re.DOTALL))
    one.choose("bent")
    one.side.get_by_role("tab", name="Properties").click()

    # One of many is found by its letters; what is none of them stays here.
    function = one.side.get_by_label("function")
    function.fill("po")
    expect(function).to_have_accessible_description(re.compile("such as.* pow.*not sent"))
    one.put("function", "pow")
    expect(one.node("bent")).to_contain_text("pow")
    given = one.side.get_by_label("arguments")
    given.fill('[{"in": 0}, {"inn": 1}]')
    expect(given).to_have_accessible_description(re.compile('{"inn": 1} is no argument'))
    given.fill('[{"in":0},2]')
    given.press("Control+Enter")
    expect(given).to_have_value('[{"in": 0}, 2]')
    expect(one.node("bent")).to_contain_text("in 0, 2")
    one.shot("graph-function")

    one.choose("scale")
    one.side.get_by_role("tab", name="Properties").click()
    one.put("size", "[]")
    expect(one.node("scale")).to_contain_text("size []")
    one.safe()
    nodes = wb.documents.get_document(id="powers").graph.nodes
    assert nodes["bent"].params == {"function": "pow", "arguments": [{"in": 0}, 2]}
    assert nodes["scale"].params == {"size": []}


def test_a_file_of_another_tool_is_drawn(lab: Lab, wb: Workbench, tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    file, none, two = (tmp_path / f"{each}.onnx" for each in ("net", "none", "two"))
    file.write_bytes(to_onnx(net, (torch.zeros(2, 4),)).SerializeToString())
    none.write_bytes(b"no network")
    two.write_bytes(OPEN.SerializeToString())
    one = Window(lab.page)
    one.page.goto(f"{lab.origin}/user/{lab.label}/lab?reset")
    lab_is_ready(one.page)
    section(one.page).get_by_role("button", name="Import…", exact=True).click()
    form = one.page.locator(".nx-Page:visible")
    bring = form.get_by_role("button", name="Import", exact=True)

    # What is none is told in a sentence, and the form stays as it was.
    expect(bring).to_be_disabled(timeout=LAB_MS)
    form.get_by_label("Network file").set_input_files(none)
    form.get_by_label("Name").fill("elsewhere")
    bring.click()
    expect(form.get_by_role("alert")).to_contain_text("This is no ONNX file", timeout=READ_MS)
    expect(form.get_by_role("alert")).to_contain_text("Check it with onnx.checker.")
    expect(form.get_by_label("Name")).to_have_value("elsewhere")
    one.shot("graph-import")

    # What the file leaves open is asked where it is refused.
    form.get_by_label("Network file").set_input_files(two)
    expect(form.get_by_role("alert")).to_have_count(0)
    bring.click()
    expect(form.get_by_label("Output")).to_be_focused(timeout=READ_MS)
    form.get_by_label("Output").fill("bent")
    bring.click()
    expect(form.get_by_label("Sizes")).to_be_focused(timeout=READ_MS)
    form.get_by_label("Sizes").fill("length=3")
    one.shot("graph-import-asked")
    bring.click()
    expect(one.node("Numbers")).to_contain_text("B × 3", timeout=READ_MS)
    one.page.get_by_role("tab", name="Import a graph").click()

    form.get_by_label("Network file").set_input_files(file)
    form.get_by_label("Name").fill("brought")
    bring.click()
    expect(one.graph.locator(".nx-GraphNode")).to_have_count(4, timeout=READ_MS)
    expect(one.graph.locator(".nx-GraphNode").filter(has_text="ReLU")).to_contain_text("B × 8")

    # Its weights came along, until somebody lets it begin anew.
    assert str(wb.documents.get_document("brought").graph.data["weights"]).startswith("sha256:")
    one.side.get_by_role("tab", name="Properties").click()
    line = one.side.get_by_text("Begins with weights that were read")
    expect(line).to_be_visible()
    one.shot("graph-begun")
    one.side.get_by_role("button", name="Begin anew").click()
    expect(line).to_have_count(0)
    one.safe()
    assert "weights" not in wb.documents.get_document("brought").graph.data
    one.graph.get_by_role("button", name="Undo").click()
    expect(line).to_be_visible()
