"""Documents by word: made, edited, looked back at, varied, merged, handed out, deleted."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.documents.conftest import Ask
from workbench.core import Conflict, Context, Forbidden, Invalid, NotFound, Refused, blobs
from workbench.core.events import tail
from workbench.documents import Document


def test_a_new_document_has_an_input_and_an_output(ask: Ask) -> None:
    made = ask("create_document", name="credit")
    found = ask("get_document", id="credit")
    assert found.id == made.id and found.seq == 0
    assert {each.layer for each in found.graph.nodes.values()} == {"input", "output"}
    assert [each.name for each in ask("list_documents").items] == ["credit"]


def test_a_name_is_one_document(ask: Ask) -> None:
    ask("create_document", name="credit")
    with pytest.raises(Conflict, match="has a document 'credit' already"):
        ask("create_document", name=" credit ")
    for name in ("", "a@3", "doc_x", "x" * 121):
        with pytest.raises(Invalid, match="cannot be called"):
            ask("create_document", name=name)


def test_an_edit_is_all_or_nothing(credit: Document, ask: Ask) -> None:
    before = ask("get_document", id=credit.id)
    with pytest.raises(NotFound, match="no node 'nobody'"):
        ask(
            "edit",
            id=credit.id,
            operations=[
                {"op": "add_node", "layer": "dense"},
                {"op": "rename", "id": "nobody", "name": "x"},
            ],
        )
    after = ask("get_document", id=credit.id)
    assert (after.seq, after.graph) == (before.seq, before.graph)


def test_an_edit_answers_its_number_and_what_it_made(credit: Document, ask: Ask) -> None:
    done = ask("edit", id="credit", operations=[{"op": "add_node", "layer": "dense"}])
    assert done.seq == 2
    [made] = done.made
    assert made.startswith("dense_")
    assert made in ask("get_document", id="credit").graph.nodes


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ({"op": "add_node", "layer": "warp"}, "no layer 'warp'"),
        ({"op": "add_node", "layer": "dense", "id": "wide"}, "has a node 'wide' already"),
        ({"op": "add_node", "layer": "dense", "id": "not an id"}, "cannot be a node's id"),
        ({"op": "add_node", "layer": "dense", "id": "class"}, "cannot be a node's id"),
        ({"op": "add_node", "layer": "dense", "params": {"units": 0}}, "units 0"),
        ({"op": "add_node", "layer": "dense", "group": "g"}, "no group 'g'"),
        ({"op": "set_param", "id": "wide", "param": "units", "value": "many"}, "units 'many'"),
        ({"op": "set_param", "id": "wide", "param": "wings", "value": 2}, "no parameter 'wings'"),
        ({"op": "connect", "source": "wide", "target": "wide"}, "with itself"),
        ({"op": "connect", "source": "wide", "target": "bend", "port": "out"}, "no 'out'"),
        ({"op": "disconnect", "source": "bend", "target": "wide"}, "no edge"),
        ({"op": "remove_node", "id": "gone"}, "no node 'gone'"),
        ({"op": "remove_group", "id": "gone"}, "no group 'gone'"),
        ({"op": "set_training", "name": "epochs", "value": 0}, "epochs 0"),
        ({"op": "set_training", "name": "colour", "value": 1}, "no 'colour'"),
        ({"op": "fly"}, "fly"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(
    credit: Document, ask: Ask, operation: dict[str, Any], said: str
) -> None:
    with pytest.raises((Invalid, NotFound, Conflict)) as told:
        ask("edit", id=credit.id, operations=[operation])
    assert said in str(told.value)


def test_removing_a_node_takes_its_edges(credit: Document, ask: Ask) -> None:
    ask("edit", id=credit.id, operations=[{"op": "remove_node", "id": "wide"}])
    edges = ask("get_document", id=credit.id).graph.edges.values()
    assert [(each.source, each.target) for each in edges] == [("bend", "target")]


def test_undo_takes_back_ones_own_and_nothing_else(credit: Document, ask: Ask) -> None:
    set_units = {"op": "set_param", "id": "wide", "param": "units"}
    ask("edit", id=credit.id, operations=[{**set_units, "value": 128}])
    ask(
        "edit",
        as_="bob",
        id=credit.id,
        operations=[{"op": "set_param", "id": "wide", "param": "bias", "value": False}],
    )
    ask("undo", id=credit.id)
    node = ask("get_document", id=credit.id).graph.nodes["wide"]
    assert node.params == {"units": 64, "bias": False}
    ask("undo", id=credit.id)  # the edit before, which made the layers: Bob has changed one since
    found = ask("get_document", id=credit.id).graph
    assert "wide" in found.nodes and "bend" not in found.nodes
    with pytest.raises(Conflict, match="no edit by word to take back"):
        ask("undo", id=credit.id)


def test_history_says_who_did_what_and_is_restored(credit: Document, ask: Ask) -> None:
    ask(
        "edit",
        as_="bob",
        id=credit.id,
        operations=[{"op": "set_param", "id": "wide", "param": "units", "value": 8}],
    )
    newest, oldest = ask("history", id=credit.id).items
    assert (newest.actor, newest.seq) == ("person:bob", 2)
    assert [each.sentence for each in newest.changes] == ["units of wide is 8, after 64."]
    assert {each.what for each in oldest.changes} == {"node", "edge"}
    assert ask("get_document", id=f"{credit.id}@1").graph.nodes["wide"].params["units"] == 64
    ask("restore", id=credit.id, seq=1)
    now = ask("get_document", id=credit.id)
    assert now.graph.nodes["wide"].params["units"] == 64
    assert now.seq == 3
    first = ask("history", id=credit.id, limit=1)
    second = ask("history", id=credit.id, limit=1, after=first.next)
    assert (first.items[0].seq, second.items[0].seq) == (3, 2)
    with pytest.raises(NotFound, match="no edit 99"):
        ask("restore", id=credit.id, seq=99)


def test_a_fork_is_compared_and_merged(credit: Document, ask: Ask) -> None:
    wider = ask("fork", id=credit.id, name="wider")
    assert wider.forked_from == f"{credit.id}@1"
    ask(
        "edit",
        id="wider",
        operations=[
            {"op": "set_param", "id": "wide", "param": "units", "value": 256},
            {"op": "add_node", "layer": "dropout", "id": "forget"},
            {"op": "connect", "source": "bend", "target": "forget"},
        ],
    )
    told = ask("compare", id="wider")
    assert {each.key for each in told.changes} == {
        "nodes/wide/params/units",
        "nodes/forget",
        "edges/bend.out__forget.in",
    }
    one = ask("merge", id="wider", changes=["nodes/wide/params/units"])
    assert [each.key for each in one.applied] == ["nodes/wide/params/units"]
    assert "forget" not in ask("get_document", id=credit.id).graph.nodes
    rest = ask("merge", id="wider")
    assert {each.key for each in rest.applied} == {"nodes/forget", "edges/bend.out__forget.in"}
    assert ask("compare", id="wider", other=credit.id).changes == []
    assert ask("merge", id="wider").applied == []
    assert [each.name for each in ask("get_document", id=credit.id).forks] == ["wider"]


def test_what_both_changed_is_a_conflict(credit: Document, ask: Ask) -> None:
    ask("fork", id=credit.id, name="wider")
    units = {"op": "set_param", "id": "wide", "param": "units"}
    ask("edit", id="wider", operations=[{**units, "value": 256}])
    ask("edit", id=credit.id, operations=[{**units, "value": 32}])
    kept = ask("merge", id="wider")
    assert [each.key for each in kept.conflicts] == ["nodes/wide/params/units"]
    assert ask("get_document", id=credit.id).graph.nodes["wide"].params["units"] == 32
    taken = ask("merge", id="wider", conflicts="take")
    assert taken.conflicts == [] and len(taken.applied) == 1
    assert ask("get_document", id=credit.id).graph.nodes["wide"].params["units"] == 256


def test_an_edge_to_a_node_that_is_gone_is_a_conflict(credit: Document, ask: Ask) -> None:
    ask("fork", id=credit.id, name="longer")
    ask(
        "edit",
        id="longer",
        operations=[
            {"op": "add_node", "layer": "tanh", "id": "last"},
            {"op": "connect", "source": "bend", "target": "last"},
        ],
    )
    ask("edit", id=credit.id, operations=[{"op": "remove_node", "id": "bend"}])
    done = ask("merge", id="longer")
    assert [each.key for each in done.conflicts] == ["edges/bend.out__last.in"]
    assert "last" in ask("get_document", id=credit.id).graph.nodes


def test_who_may_only_look_changes_nothing(credit: Document, ask: Ask) -> None:
    assert ask("get_document", as_="vic", id=credit.id).name == "credit"
    operations = [{"op": "rename", "id": "wide", "name": "mine"}]
    for verb, request in (
        ("edit", {"id": credit.id, "operations": operations}),
        ("fork", {"id": credit.id}),
        ("delete_document", {"id": credit.id}),
        ("restore", {"id": credit.id, "seq": 0}),
    ):
        with pytest.raises(Forbidden, match="vic is viewer"):
            ask(verb, as_="vic", **request)


def test_a_document_is_renamed_and_deleted(credit: Document, ask: Ask, ctx: Context) -> None:
    ask("create_document", name="other")
    with pytest.raises(Conflict, match="'other' already"):
        ask("update_document", id=credit.id, name="other")
    ask("update_document", id=credit.id, name="lending")
    assert ask("get_document", id="lending").graph.name == "lending"
    ask("delete_document", id="lending")
    with pytest.raises(NotFound, match="no document 'lending'"):
        ask("get_document", id="lending")
    done = [each.action for each in tail(ctx.store, project=ctx.project)]
    assert done[-2:] == ["documents.update_document", "documents.delete_document"]


def exported(ask: Ask, ctx: Context, **request: Any) -> Path:
    blob = ask("export", **request)
    path: Path = ctx.engine(blobs).path(ctx.project, blob.id)
    return path


def brought(ctx: Context, text: str, tmp_path: Path) -> str:
    file = tmp_path / "graph.json"
    file.write_text(text)
    return f"blob:{ctx.engine(blobs).link(ctx.project, file).id}"


def test_a_file_goes_out_and_comes_back(
    credit: Document, ask: Ask, ctx: Context, tmp_path: Path
) -> None:
    text = exported(ask, ctx, id=credit.id).read_text()
    assert text == exported(ask, ctx, id=credit.id).read_text()
    body = json.loads(text)
    assert (body["document"], body["seq"]) == (credit.id, 1)
    # As it was: a fork with nothing in it that differs.
    same = ask("import_document", source=brought(ctx, text, tmp_path))
    assert same.forked_from == f"{credit.id}@1"
    assert ask("compare", id=same.id).changes == []
    # Changed in an editor of text: a fork, with what was changed.
    body["nodes"]["wide"]["params"]["units"] = 16
    fork = ask("import_document", source=brought(ctx, json.dumps(body), tmp_path))
    assert [each.key for each in ask("compare", id=fork.id).changes] == ["nodes/wide/params/units"]
    assert ask("get_document", id=credit.id).graph.nodes["wide"].params["units"] == 64
    # Of a document that nobody here knows: a new one.
    body["document"] = "doc_elsewhere"
    new = ask("import_document", source=brought(ctx, json.dumps(body), tmp_path), name="new")
    assert new.forked_from == "" and ask("get_document", id="new").seq == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[]", "does not say that it is a graph"),
        ('{"format": "nexus-graph", "schema": 1}', "no graph at nodes"),
        ('{"format":"nexus-graph","schema":1,"nodes":{"a b":{"layer":"x"}},"edges":{}}', "'a b'"),
    ],
)
def test_a_file_that_is_none(ask: Ask, ctx: Context, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Invalid) as told:
        ask("import_document", source=brought(ctx, text, tmp_path))
    assert said in str(told.value)


def test_a_later_file_is_refused(ask: Ask, ctx: Context, tmp_path: Path) -> None:
    text = '{"format": "nexus-graph", "schema": 99, "nodes": {}, "edges": {}}'
    with pytest.raises(Refused, match="schema 99"):
        ask("import_document", source=brought(ctx, text, tmp_path))


def test_the_code_runs_without_the_studio(credit: Document, ask: Ask) -> None:
    import torch

    with pytest.raises(Invalid, match="features of this graph are not known"):
        ask("get_code", id=credit.id)
    ends = [{"op": "set_data", "name": name, "value": 3} for name in ("features", "outputs")]
    ask("edit", id=credit.id, operations=ends)
    told = ask("get_code", id=credit.id)
    assert "workbench" not in told.code
    made: dict[str, Any] = {}
    exec(told.code, made)
    assert made["Credit"]()(torch.zeros(5, 3)).shape == (5, 3)
    assert ask("get_document", id=credit.id).meaning.parameters == 3 * 64 + 64 + 64 * 3 + 3


def test_a_program_goes_out_with_any_number_of_rows(
    credit: Document, ask: Ask, ctx: Context
) -> None:
    import numpy as np
    import onnxruntime
    import torch

    ends = [{"op": "set_data", "name": name, "value": 3} for name in ("features", "outputs")]
    ask("edit", id=credit.id, operations=ends)
    session = onnxruntime.InferenceSession(exported(ask, ctx, id=credit.id, format="onnx"))
    given = {session.get_inputs()[0].name: np.zeros((7, 3), np.float32)}
    assert session.run(None, given)[0].shape == (7, 3)
    program = torch.export.load(exported(ask, ctx, id=credit.id, format="torch"))
    assert program.module()(torch.zeros(7, 3)).shape == (7, 3)
