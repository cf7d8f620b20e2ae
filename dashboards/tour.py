"""The tour's dashboard: what was learnt about the mortgage applications, and whether it is fair.

view(reader)    a page, for whoever may read the project
"""

from typing import Any

import pandas as pd
import panel as pn
import plotly.graph_objects as go

INK, PALE = "#3b5bdb", "#868e96"
NAMES = {"majority": "the majority", "logistic": "logistic regression", "lightgbm": "LightGBM"}


def view(wb: Any) -> Any:
    """The dashboard of the project the reader is in."""
    models = wb.call("models.list_models").items
    if not models:
        return pn.pane.Alert("This project has no model yet. Run `workbench tour` first.")
    model = models[0]
    found = wb.call("ethics.list_reports", {"model": model.ref}).items
    parts = [
        pn.pane.Markdown(f"## {model.name}, version {model.version}\n{model.verdict}"),
        pn.Row(_beside(model), _table(model)),
    ]
    for report in found[:1]:
        parts.append(
            pn.pane.Markdown(f"## Is it fair? {report.verdict.capitalize()}.\n{report.summary}")
        )
        parts += [_groups(each, report.limit) for each in report.attributes]
    parts.append(
        pn.pane.Markdown(
            f"Trained on `{model.product}` by {model.made_by}, {model.made_at:%d %B %Y}. "
            f"{model.split.explained if model.split else ''}"
        )
    )
    template = pn.template.FastListTemplate(
        title="Fair lending", accent=INK, font="system-ui, sans-serif"
    )
    template.main.extend(parts)
    return template


def _metric(model: Any) -> str:
    return "auc" if "auc" in model.metrics else next(iter(model.metrics))


def _rows(model: Any) -> dict[str, dict[str, Any]]:
    own = {model.estimator: model.metrics}
    return own | {NAMES.get(name, name): figures for name, figures in model.beside.items()}


def _beside(model: Any) -> Any:
    metric = _metric(model)
    rows = {name: each[metric] for name, each in _rows(model).items() if metric in each}
    figure = go.Figure(
        go.Scatter(
            x=[each.value for each in rows.values()],
            y=list(rows),
            mode="markers",
            marker={"size": 12, "color": [INK] + [PALE] * (len(rows) - 1)},
            error_x={
                "array": [each.high - each.value for each in rows.values()],
                "arrayminus": [each.value - each.low for each in rows.values()],
            },
        )
    )
    figure.update_layout(
        template="plotly_white",
        title=f"{metric} on the untouched split, with 95 % intervals",
        height=320,
        margin={"l": 10, "r": 10, "t": 50, "b": 10},
    )
    figure.update_yaxes(autorange="reversed")
    return pn.pane.Plotly(figure, config={"displayModeBar": False})


def _table(model: Any) -> Any:
    rows = {
        name: {
            metric: f"{each.value:.3f} [{each.low:.3f}, {each.high:.3f}]"
            for metric, each in figures.items()
        }
        for name, figures in _rows(model).items()
    }
    return pn.pane.DataFrame(pd.DataFrame(rows), sizing_mode="stretch_width")


def _groups(attribute: Any, limit: float) -> Any:
    figure = go.Figure(
        go.Bar(
            x=[f"{each.name} ({each.rows} people)" for each in attribute.groups],
            y=[each.selection_rate for each in attribute.groups],
            marker_color=INK,
            error_y={
                "array": [each.high - each.selection_rate for each in attribute.groups],
                "arrayminus": [each.selection_rate - each.low for each in attribute.groups],
            },
            width=0.4,
        )
    )
    figure.update_layout(
        template="plotly_white",
        title=f"Share of favourable decisions by {attribute.name} "
        f"(largest acceptable gap {limit:.0%})",
        height=340,
        margin={"l": 10, "r": 10, "t": 50, "b": 10},
        yaxis_tickformat=".0%",
    )
    return pn.pane.Plotly(figure, config={"displayModeBar": False})
