"""`jupyter_config.py`: what the hub, a notebook server and everybody else get from it."""

import subprocess
import sys
from pathlib import Path

import pytest
from traitlets.config.loader import PyFileConfigLoader

from workbench.core import load_settings
from workbench.hub.config import configure_hub
from workbench.hub.proxy import SCRIPT

FILE = Path(__file__).parents[3] / "jupyter_config.py"


def test_for_its_settings_alone_the_file_configures_nothing(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text(f"load_subconfig({str(FILE)!r})\nc.Workbench.port = 8123\n")
    assert load_settings(own).port == 8123
    assert "JupyterHub" not in PyFileConfigLoader(FILE.name, str(FILE.parent)).load_config()


def test_everything_of_the_hub_lies_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from traitlets.config import Config

    script = tmp_path / "node" / "node_modules" / SCRIPT
    script.parent.mkdir(parents=True)
    script.touch()
    monkeypatch.chdir(tmp_path)
    c = Config()
    configure_hub(c, load_settings(home=tmp_path, port=8123), str(FILE))
    assert c.JupyterHub.public_url == "http://localhost:8123/"
    assert c.JupyterHub.bind_url.startswith("http://127.0.0.1:")
    for path in (c.JupyterHub.db_url, c.JupyterHub.cookie_secret_file, c.StudioAuthenticator.home):
        assert str(tmp_path) in path
    gateway, studio = c.JupyterHub.services[:2]
    assert (gateway["name"], studio["name"]) == ("gateway", "studio")
    assert gateway["environment"]["STUDIO_PROXY_URL"] == c.JupyterHub.bind_url
    assert studio["oauth_no_confirm"]
    assert studio["url"].startswith("http://127.0.0.1:")
    places = (c.JupyterHub.bind_url, c.JupyterHub.hub_bind_url, c.ConfigurableHTTPProxy.api_url)
    assert len({*places, studio["url"], c.StudioSpawner.gateway_port}) == 5


def test_a_log_belongs_to_its_process(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "one.log"
    command = [sys.executable, "-m", "workbench.hub.logged", str(log), sys.executable, "-c"]
    done = subprocess.run(
        [*command, "import sys; print('said'); print('wrong', file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=FILE.parent,
    )
    assert done.stdout == done.stderr == ""
    assert sorted(log.read_text().split()) == ["said", "wrong"]
    assert log.stat().st_mode & 0o077 == 0
