"""The Dask cluster of a project's notebooks: a kernel that is connected to it, and its panel."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Studio
from tests.browser.lab import LAB_MS, Lab
from tests.browser.pictures import shot
from tests.running import process_in
from tests.together.cells import notebook
from tests.together.peers import until

pytestmark = pytest.mark.browser

SPREAD = """\
import time

def slowly(number):
    time.sleep(0.4)
    return number

sum(client.gather(client.map(slowly, range(30), pure=False)))"""


def test_a_notebook_on_the_projects_cluster(lab: Lab, studio: Studio) -> None:
    """No address is typed; it can be seen at work and scaled, and outlives JupyterLab's server."""
    told = notebook(SPREAD, "client.scheduler.address")
    told["metadata"]["kernelspec"] = {"name": "studio-dask", "display_name": "Studio Dask"}
    lab.put("spread.ipynb", json.dumps(told))
    lab.open("spread.ipynb")
    page = lab.page
    page.locator('.jp-SideBar .lm-TabBar-tab[title="Dask"]').click()
    item = page.locator(".dask-ClusterListingItem")
    expect(item).to_contain_text("This project's cluster", timeout=30_000)
    lab.run(0)
    expect(item).to_contain_text(re.compile("Number of Workers: [12]"), timeout=30_000)
    expect(lab.outputs(0)).to_contain_text("435", timeout=LAB_MS)
    shot(page, "dask-panel")
    page.get_by_role("button", name="Workers", exact=True).click()
    pages = page.frame_locator(".dask-DaskDashboard-widget iframe")
    expect(pages.get_by_text("tls://127.0.0.1").first).to_be_visible(timeout=30_000)
    shot(page, "dask-workers")
    scaled = studio.run(*("compute", "scale", "--workers", "2", "--project", lab.project, "--json"))
    assert scaled.returncode == 0, scaled.stderr
    expect(item).to_contain_text("Minimum Workers: 2", timeout=30_000)
    expect(item).to_contain_text("Number of Workers: 2", timeout=30_000)
    listed = studio.run("compute", "list-clusters", "--project", lab.project, "--json")
    assert json.loads(listed.stdout)["items"][0]["workers"] == 2, listed.stdout
    # The server is killed: the cluster goes on, and the new server shows it.
    before = process_in(lab.project, "workbench.compute.standing")
    lab.kill()
    page.reload()
    expect(item).to_contain_text("Number of Workers: 2", timeout=LAB_MS)
    assert process_in(lab.project, "workbench.compute.standing") == before
    ended = studio.run(*("compute", "scale", "--workers", "0", "--project", lab.project, "--json"))
    assert ended.returncode == 0, ended.stderr
    expect(item).to_have_count(0, timeout=30_000)
    until(
        "no process of it is left",
        lambda: process_in(lab.project, "workbench.compute.standing") is None,
        10,
    )


def test_the_kernels_have_names_of_the_studio(lab: Lab) -> None:
    page = lab.page
    page.goto(f"{lab.origin}/user/{lab.label}/lab?reset")
    page.get_by_role("menuitem", name=re.compile("^File")).click()
    page.get_by_text("New Launcher", exact=True).click()
    launcher = page.locator(".jp-Launcher")
    for name in ("Studio Python", "Studio Dask"):
        expect(launcher.get_by_text(name).first).to_be_visible()
    shot(page, "launcher")
