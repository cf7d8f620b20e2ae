"""A graph of 1,000 layers in the editor: the work per frame while it is panned and a layer dragged.

Prints one JSON line. No bound is set here; the target is 8 ms (p95). Work: all that the page's
main thread does from one animation frame to the next, by the browser's own trace (`RunTask`):
scripts, style, layout and the list of what is painted, so more than script and layout alone. The
window shows the whole graph, so nothing is left out for being outside. `empty` is a graph of two
layers, moved in the same way: what the Lab and the library need for no graph at all.
"""

import json
import statistics
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.bench_lab import signed_in, studio  # noqa: E402
from workbench.api.client import connect  # noqa: E402
from workbench.graphs import Edge, Graph, Node  # noqa: E402
from workbench.security.guard import local_key  # noqa: E402

LAYERS, WIDE, MOVES = 1_000, 25, 240
GRAPH = ".nx-Graph"


def grid(size: int) -> Graph:
    """Dense layers, one after the other, row by row."""
    ids = ["table", *(f"n{place}" for place in range(size - 2)), "target"]
    kinds = {"table": "input", "target": "output"}
    return Graph(
        nodes={id: Node(layer=kinds.get(id, "dense")) for id in ids},
        edges={f"{a}-{b}": Edge(source=a, target=b) for a, b in pairwise(ids)},
        layout={
            id: (260.0 * (place % WIDE), 130.0 * (place // WIDE)) for place, id in enumerate(ids)
        },
        data={"features": 8, "outputs": 2},
    )


def opened(page: Page, name: str, layers: int) -> None:
    """The graph, whole, in the window."""
    section = page.locator("#nexus-studio-panel [data-section=graphs]")
    head = section.locator("h3 > button[aria-expanded]")
    if head.get_attribute("aria-expanded") == "false":
        head.click()
    section.get_by_role("button", name=name).first.click()
    graph = page.locator(f"{GRAPH}:visible")
    graph.locator(".react-flow__node").nth(layers - 1).wait_for(state="attached", timeout=60_000)
    graph.get_by_role("button", name="Show all").click()
    page.wait_for_timeout(2_000)


def frames(page: Page, x: float, y: float) -> list[float]:
    """Milliseconds of work in each frame while the mouse, pressed there, moves about."""
    browser = page.context.browser
    assert browser is not None
    page.mouse.move(x, y)
    page.mouse.down()
    browser.start_tracing(page=page, categories=["devtools.timeline", "toplevel", "blink"])
    for move in range(MOVES):
        page.mouse.move(x + move % 60, y + (move * 7) % 40)
    trace = json.loads(browser.stop_tracing())["traceEvents"]
    page.mouse.up()
    main = _main_thread(trace)
    events = [each for each in trace if (each["pid"], each["tid"]) == main]
    begins = sorted(each["ts"] for each in events if each["name"] == "FireAnimationFrame")
    tasks = [each for each in events if each["name"].endswith("RunTask") and "dur" in each]
    work = dict.fromkeys(range(len(begins) - 1), 0.0)
    for task in tasks:
        for place, (start, end) in enumerate(pairwise(begins)):
            if start <= task["ts"] < end:
                work[place] += task["dur"] / 1000
                break
    return list(work.values())


def _main_thread(trace: list[dict[str, Any]]) -> tuple[int, int]:
    """The page's own: where most animation frames are."""
    found: dict[tuple[int, int], int] = {}
    for each in trace:
        if each["name"] == "FireAnimationFrame":
            key = each["pid"], each["tid"]
            found[key] = found.get(key, 0) + 1
    return max(found, key=lambda key: found[key])


def told(work: list[float]) -> dict[str, float]:
    every = sorted(work)
    return {
        "frames": len(every),
        "p50_ms": round(statistics.median(every), 2),
        "p95_ms": round(every[int(0.95 * (len(every) - 1))], 2),
    }


def moved(page: Page, name: str, layers: int) -> dict[str, Any]:
    """Panning, and dragging a layer in the middle."""
    opened(page, name, layers)
    pane = page.locator(f"{GRAPH}:visible .react-flow__pane").bounding_box()
    assert pane is not None
    pan = frames(page, pane["x"] + 8, pane["y"] + pane["height"] / 2)
    page.locator(f"{GRAPH}:visible").get_by_role("button", name="Show all").click()
    page.wait_for_timeout(1_000)
    node = page.locator(f"{GRAPH}:visible .react-flow__node").nth(layers // 2).bounding_box()
    assert node is not None
    drag = frames(page, node["x"] + node["width"] / 2, node["y"] + node["height"] / 2)
    return {"pan": told(pan), "drag": told(drag)}


def main() -> dict[str, Any]:
    with studio() as (home, url, link), signed_in(link) as page:
        service = f"{url}services/studio/"
        with connect(service, token=local_key(home)) as anybody:
            project = anybody.projects.list_projects().items[0].id
        with connect(service, token=local_key(home), project=project) as wb:
            wb.documents.create_document("large", graph=grid(LAYERS))
            wb.documents.create_document("empty", graph=grid(2))
        page.goto(page.url.split("/lab")[0] + "/lab?reset")
        page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=60_000)
        page.locator("#jp-main-dock-panel").wait_for(timeout=60_000)
        return {
            "layers": LAYERS,
            "large": moved(page, "large", LAYERS),
            "empty": moved(page, "empty", 2),
        }


if __name__ == "__main__":
    print(json.dumps(main()))
