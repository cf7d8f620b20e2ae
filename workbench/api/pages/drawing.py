"""A notebook as HTML: run by its path, in a process of its own, on a hostile file.

It imports nothing of ours, so that a page waits for nbconvert alone.
"""

import sys
import warnings
from contextlib import suppress
from typing import Any

MEMORY_MB = 3_000
CPU_S = 60
PRIORITY = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "text/latex",
    "image/png",
    "image/jpeg",
    "text/plain",
]
FROM_ELSEWHERE = (
    "script[src], link, base, meta[http-equiv], iframe, frame, object, embed, applet, portal"
)


class Unreadable(Exception):
    """What was given is no notebook, or holds what cannot be shown; says why."""


def draw(file_bytes: bytes, name: str) -> str:
    """A notebook with its outputs as one page of HTML that loads nothing from elsewhere.

    Scripts in outputs (a chart to turn and zoom) stay in it: serve it with `view_headers`, never
    without. Formulas stay as they were written: what draws them would come from elsewhere.

    Args:
        file_bytes: The file.
        name: What stands in the title.

    Raises:
        Unreadable: It is no notebook.
    """
    import nbformat
    from bs4 import BeautifulSoup

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            notebook = nbformat.reads(  # type: ignore[no-untyped-call]
                file_bytes.decode(), as_version=4
            )
        except Exception as error:  # nbformat raises whatever the file makes it raise
            raise Unreadable(f"{name[:200]!r} is no notebook that can be read.") from error
        notebook.metadata.pop("widgets", None)
        notebook.metadata.pop("title", None)
        soup = BeautifulSoup(_exported(notebook, name), "html.parser")
    for element in soup.select(FROM_ELSEWHERE):
        element.decompose()
    for anchor in soup.select("a[href], area[href]"):
        if not str(anchor["href"]).startswith("#"):
            anchor["target"], anchor["rel"] = "_blank", "noopener noreferrer nofollow"
    return str(soup)


def _exported(notebook: Any, name: str) -> str:
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    settings = Config()
    settings.NbConvertBase.display_data_priority = PRIORITY
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        config=settings,
        template_name="lab",
        template_file="studio.html.j2",
        extra_loaders=[DictLoader({"studio.html.j2": _TEMPLATE})],
        require_js_url="",
        mathjax_url="",
        jquery_url="",
        jupyter_widgets_base_url="",
        embed_images=False,
        exclude_anchor_links=True,
    )
    environment = exporter.environment
    dark = environment.loader.get_source(environment, "static/theme-dark.css")[0]
    try:
        html, _ = exporter.from_notebook_node(
            notebook, {"metadata": {"name": name}, "studio_dark": dark}
        )
    except Exception as error:  # what is in the cells may be anything
        raise Unreadable(f"{name[:200]!r} cannot be shown: {type(error).__name__}.") from error
    return str(html)


_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
<style>
@media (prefers-color-scheme: dark) {
{{ resources.studio_dark }}
}
html { color-scheme: light dark; }
body.jp-Notebook { padding: 1rem; margin: 0; }
main { max-width: 64rem; margin: 0 auto; }
.jp-RenderedHTMLCommon, .jp-OutputArea-output { overflow-x: auto; }
@media (max-width: 40rem) {
  .jp-InputPrompt, .jp-OutputPrompt { display: none; }
}
</style>
{%- endblock -%}
"""


def _main() -> int:
    """Draw what stands on standard input: 3, no notebook; 4, something is not installed."""
    # Not every system has them; a lower one may stand. Whoever started this ends it in time, too.
    with suppress(ImportError, ValueError, OSError):
        import resource

        bound = MEMORY_MB * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    # jsonschema imports it to check addresses, which no notebook has, and it takes three seconds.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    try:
        html = draw(sys.stdin.buffer.read(), sys.argv[1])
    except Unreadable as error:
        sys.stdout.write(str(error))
        return 3
    except ImportError as error:
        sys.stdout.write(f"Notebooks cannot be shown: {error.name} is not installed.")
        return 4
    sys.stdout.buffer.write(html.encode(errors="replace"))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
