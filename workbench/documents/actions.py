"""Make, edit, look back at, vary, merge and hand out the graphs of a project."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pycrdt import Doc

from workbench.core import (
    Blob,
    Conflict,
    Context,
    Done,
    Invalid,
    NotFound,
    Page,
    Upload,
    action,
    new_id,
)
from workbench.graphs import TEMPLATES, Graph, Template, find_template

from . import log as kept
from .difference import differ, inverse, take
from .finding import find_at, number_of
from .meant import meant
from .operations import perform
from .rooms import rooms
from .shared import NONE, changed, fill, graph_of, hash_of
from .types import (
    Change,
    Code,
    Difference,
    Document,
    Edited,
    Merged,
    Moment,
    OpenDocument,
    Operation,
    documents,
)

AT_ONCE = 200


@action(effect="write", undo="inverse:documents.delete_document")
def create_document(
    ctx: Context, name: str, template: str = "", graph: Graph | None = None
) -> Document:
    """Begin a graph that people edit together: from a template, from another graph, or with none.

    Args:
        name: What it is called, new in the project.
        template: A template's name, such as `mlp`; `documents.list_templates` has them.
        graph: A graph to begin with, instead of a template.
    """
    if graph is not None and template:
        raise Invalid(
            f"A document begins with a template ({template!r}) or with a graph, not with both.",
            hint="Leave one of them out.",
        )
    if graph is None:
        graph = find_template(template or "empty").graph
    return _begun(ctx, name, graph, template=template)


@action(effect="read")
def list_templates(ctx: Context) -> Page[Template]:
    """What a document can begin with, and be trained as it is: networks for tables."""
    return Page[Template](items=[each for each in TEMPLATES.values() if _for_tables(each.graph)])


@action(effect="read")
def list_documents(ctx: Context, limit: int = 50, after: str | None = None) -> Page[Document]:
    """The documents of this project, newest first.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    return documents.page(ctx.store, ctx.project, limit=limit, after=after)


@action(effect="read", on="id")
def get_document(ctx: Context, id: str) -> OpenDocument:
    """A document, its graph and what it means: shapes, parameters, what is wrong.

    Args:
        id: Id or name of the document; `id@57` for how it was after its edit 57.
    """
    document, doc, seq = find_at(ctx, id)
    graph = graph_of(doc, document.name)
    return OpenDocument(
        **document.model_dump(),
        seq=seq,
        graph=graph,
        meaning=meant(graph),
        forks=_forks(ctx, document.id),
    )


@action(effect="write", undo="inverse:documents.update_document", on="id")
def update_document(ctx: Context, id: str, name: str) -> Document:
    """Give a document another name.

    Args:
        id: Id or name of the document.
        name: What it is called from now on.
    """
    document = documents.get(ctx.store, ctx.project, id)
    renamed = document.model_copy(update={"name": _name(name)})
    _free(ctx, renamed.name, but=document.id)
    ctx.note(document=document.id)
    ctx.stage(lambda tx: documents.replace(tx, ctx.project, renamed))
    return renamed


@action(effect="write", undo="irreversible", on="id")
def delete_document(ctx: Context, id: str) -> Done:
    """Delete a document with its whole past; its forks stay, and so do models made from it.

    Args:
        id: Id or name of the document.
    """
    document = documents.get(ctx.store, ctx.project, id)

    def write(tx: sa.Connection) -> None:
        documents.remove(tx, ctx.project, document.id)
        kept.forget(tx, ctx.project, document.id)

    ctx.note(document=document.id)
    ctx.stage(write)
    _tell(ctx, document.id)
    return Done()


@action(effect="write", undo="compensate:documents.undo", on="id")
def edit(ctx: Context, id: str, operations: list[Operation]) -> Edited:
    """Change a graph by word: all of the operations, in their order, or none.

    Who has it open sees it at once. What it breaks is told in the meaning, as it is in the editor:
    a graph may be in the middle of things.

    Args:
        id: Id or name of the document.
        operations: Such as `{"op": "add_node", "layer": "dense", "params": {"units": 64}}`,
            `{"op": "connect", "source": "table", "target": "dense_k3f"}`, `set_param`, `rename`,
            `move`, `disconnect`, `remove_node`, `set_group`, `remove_group`, `set_training`.
    """
    document, doc, _ = find_at(ctx, id, now=True)
    made: list[str] = []
    update = changed(doc, lambda: made.extend(perform(doc, operations)))
    return _edited(ctx, document, doc, update, "documents.edit", made)


@action(effect="write", undo="compensate:documents.undo", on="id")
def undo(ctx: Context, id: str) -> Edited:
    """Take back your own last edit by word; again, the one before.

    What somebody else has changed since stays as it is. Who edits in a window undoes there.

    Args:
        id: Id or name of the document.
    """
    document, doc, _ = find_at(ctx, id, now=True)
    with ctx.store.read() as connection:
        rows = [
            row
            for row in kept.past(connection, document.id)
            if row.actor == str(ctx.actor) and row.via != kept.ROOM
        ]
    taken_back = {int(row.via.partition("@")[2]) for row in rows if "@" in row.via}
    last = next((r for r in reversed(rows) if r.seq not in taken_back and "@" not in r.via), None)
    if last is None:
        raise Conflict(
            f"{ctx.actor.name} has no edit by word to take back in {document.name}.",
            hint="Restore a moment of its history instead.",
        )
    changes = inverse(_between(ctx, document.id, last.first - 1, last.seq))
    graph = graph_of(doc)
    update = changed(doc, lambda: take(doc, graph, changes))
    return _edited(ctx, document, doc, update, f"undo@{last.seq}", [])


@action(effect="write", undo="compensate:documents.restore", on="id")
def restore(ctx: Context, id: str, seq: int) -> Edited:
    """Make a graph what it was at a moment of its past; that is an edit, so nothing is lost.

    Args:
        id: Id or name of the document.
        seq: The moment's number, as `history` has it.
    """
    document, doc, _ = find_at(ctx, id, now=True)
    with ctx.store.read() as connection:
        then, _ = kept.load(connection, ctx.project, document.id, seq)
    graph = graph_of(doc)
    changes = differ(graph, graph_of(then))
    update = changed(doc, lambda: take(doc, graph, changes, anyway=True))
    return _edited(ctx, document, doc, update, "documents.restore", [])


@action(effect="read", on="id")
def history(ctx: Context, id: str, limit: int = 20, after: str | None = None) -> Page[Moment]:
    """Who changed what in a document, newest first; each moment can be looked at and restored.

    Args:
        id: Id or name of the document.
        limit: At most how many moments, up to 200.
        after: The `next` of the page before.
    """
    document = documents.get(ctx.store, ctx.project, id)
    size = max(1, min(limit, AT_ONCE))
    with ctx.store.read() as connection:
        past = kept.past(connection, document.id)
        if after is not None:
            past = [each for each in past if each.seq < number_of(after)]
        shown = past[-size:]
        moments = []
        if shown:
            doc, reached = kept.load(connection, ctx.project, document.id, shown[0].first - 1)
            before = graph_of(doc)
            for sitting in shown:
                for row in kept.read(connection, document.id, reached, sitting.seq):
                    doc.apply_update(row.body)
                reached, graph = sitting.seq, graph_of(doc)
                moments.append(
                    Moment(
                        seq=sitting.seq,
                        first=sitting.first,
                        at=sitting.at,
                        actor=sitting.actor,
                        via=sitting.via,
                        changes=differ(before, graph),
                    )
                )
                before = graph
    more = len(past) > len(shown)
    return Page(items=moments[::-1], next=str(shown[0].seq) if more else None)


@action(effect="read", on="id")
def compare(ctx: Context, id: str, other: str = "") -> Difference:
    """In what a document differs from another one, or from itself as it was.

    Args:
        id: Id or name of the document, `id@57` for a moment of its past.
        other: What it is compared with: the changes lead from there to `id`. A fork is compared
            with what it began from if nothing is named.
    """
    document, doc, seq = find_at(ctx, id)
    if other:
        base, old, base_seq = find_at(ctx, other)
    elif document.forked_from:
        base, (old, base_seq) = document, _origin(ctx, document)
    else:
        raise Invalid(
            f"{document.name} is no fork, so what is it to be compared with?",
            hint="Name another document, or a moment: `id@57`.",
        )
    before, after = graph_of(old), graph_of(doc)
    return Difference(
        base=f"{base.id}@{base_seq}",
        other=f"{document.id}@{seq}",
        changes=differ(before, after),
        before=meant(before),
        after=meant(after),
    )


@action(effect="write", undo="inverse:documents.delete_document", on="id")
def fork(ctx: Context, id: str, name: str = "") -> Document:
    """Begin a variant of a document: a document of its own that can be merged back.

    Args:
        id: Id or name of the document, `id@57` for a moment of its past.
        name: What the variant is called; made from the document's name if empty.
    """
    document, doc, seq = find_at(ctx, id)
    name = name or _variant(ctx, document.name)
    return _begun(ctx, name, None, state=doc.get_update(), forked_from=f"{document.id}@{seq}")


@action(effect="write", undo="compensate:documents.restore", on="id")
def merge(
    ctx: Context,
    id: str,
    into: str = "",
    changes: list[str] | None = None,
    conflicts: Literal["keep", "take"] = "keep",
) -> Merged:
    """Take over what was changed in a fork, all of it or single changes.

    Where both have changed the same, the document's own stands, and the answer says so.

    Args:
        id: Id or name of the fork.
        into: The document that takes the changes; the one it is a fork of if empty.
        changes: The keys of the changes to take, as `compare` has them; all if null.
        conflicts: `take` lets the fork win where both have changed the same.
    """
    variant, theirs, seq = find_at(ctx, id, now=True)
    if not variant.forked_from and not into:
        raise Invalid(
            f"{variant.name} is no fork: where is it to be merged into?", hint="Name a document."
        )
    document, doc, _ = find_at(ctx, into or variant.forked_from.partition("@")[0], now=True)
    if document.id == variant.id:
        raise Invalid(f"{variant.name} cannot be merged into itself.", hint="Name another one.")
    origin, _ = _origin(ctx, variant)
    found = differ(graph_of(origin), graph_of(theirs))
    if changes is not None:
        known = {each.key for each in found}
        if strange := [key for key in changes if key not in known]:
            raise NotFound(
                f"{variant.name} has no change {strange[0]!r}.", hint="Compare it to see them."
            )
        found = [each for each in found if each.key in changes]
    graph = graph_of(doc)
    applied: list[Change] = []
    left: list[Change] = []

    def both() -> None:
        done, not_done = take(doc, graph, found, anyway=conflicts == "take")
        applied.extend(done)
        left.extend(not_done)

    update = changed(doc, both)
    if changes is None and not left:
        done = variant.model_copy(update={"merged_at": seq})
        ctx.stage(lambda tx: documents.replace(tx, ctx.project, done))
    ctx.note(fork=f"{variant.id}@{seq}")
    edited = _edited(ctx, document, doc, update, "documents.merge", [])
    answer = Merged(id=document.id, seq=edited.seq, applied=applied, conflicts=left)
    ctx.stage(lambda tx: _number_it(answer, edited.seq))
    return answer


@action(effect="read", on="id")
def get_code(ctx: Context, id: str) -> Code:
    """A graph as a module of torch, to read, to run, to take away: nothing in it is ours.

    Args:
        id: Id or name of the document, `id@57` for a moment of its past.
    """
    from .exports import code_of

    document, doc, seq = find_at(ctx, id)
    return Code(id=document.id, seq=seq, code=code_of(document, graph_of(doc, document.name)))


@action(effect="blob", on="id", heavy=True)
def export(
    ctx: Context, id: str, format: Literal["graph", "python", "onnx", "torch", "weights"] = "graph"
) -> Blob:
    """A graph as a file.

    Args:
        id: Id or name of the document, `id@57` for a moment of its past.
        format: `graph` (JSON made for git, which can be imported again), `python` (a module of
            torch, which needs nothing of ours), `onnx` and `torch` (a `torch.export` program),
            both with the weights that the graph begins with, `weights` (those alone,
            safetensors with the graph in it).
    """
    from .exports import exported

    document, doc, seq = find_at(ctx, id)
    return exported(ctx, document, graph_of(doc, document.name), seq, format)


@action(effect="write", undo="inverse:documents.delete_document", heavy=True)
def import_document(
    ctx: Context,
    source: Annotated[str, Upload],
    name: str = "",
    weights: Annotated[str, Upload] = "",
    answer: str = "",
    sizes: dict[str, int] = {},  # noqa: B006
) -> Document:
    """A graph from a file: what `export` wrote, or an ONNX file of anybody's, with its weights.

    A graph's file that says which document it was, and was changed since, becomes a fork of that
    document; nothing is merged that nobody looked at. An ONNX file is read operator by operator;
    what was read answers as onnxruntime does, or is refused.

    Args:
        source: A local file (it is uploaded) or `blob:…`: `.graph.json` or `.onnx`.
        name: What it is called; as in the file if empty.
        weights: What its layers begin with: safetensors, by the names that the built module has.
        answer: Which output of an ONNX file the graph has; needed where it has several.
        sizes: How long the dimensions are that an ONNX file leaves open beside the rows, by name.
    """
    from .importing import brought

    found, begin = brought(ctx, source, weights, answer, sizes, name)
    if begin:
        data = {**found.graph.data, "weights": begin}
        found = found._replace(graph=found.graph.model_copy(update={"data": data}))
    origin = _known_origin(ctx, found.document, found.seq, found.base)
    if origin is None:
        return _begun(ctx, name or _variant(ctx, found.graph.name), found.graph)
    document, doc = origin
    graph = graph_of(doc)
    state = doc.get_update()
    changes = differ(graph, found.graph)
    update = changed(doc, lambda: take(doc, graph, changes, anyway=True))
    return _begun(
        ctx,
        name or _variant(ctx, document.name),
        None,
        state=state,
        forked_from=f"{document.id}@{found.seq}",
        then=update,
    )


def _begun(
    ctx: Context,
    name: str,
    graph: Graph | None,
    *,
    state: bytes = b"",
    then: bytes = NONE,
    **about: str,
) -> Document:
    document = Document(
        id=new_id("doc"),
        name=_name(name),
        made_at=ctx.now(),
        made_by=str(ctx.actor),
        **about,
    )
    _free(ctx, document.name)
    if graph is not None:
        doc: Doc[Any] = Doc()
        fill(doc, graph)
        state = doc.get_update()

    def write(tx: sa.Connection) -> None:
        documents.put(tx, ctx.project, document)
        kept.begin(tx, ctx.project, document.id, state)
        if then != NONE:
            entry = kept.Entry(str(ctx.actor), "documents.import_document", then)
            kept.append(tx, ctx.project, document.id, [entry], ctx.now())

    ctx.note(document=document.id)
    ctx.stage(write)
    return document


def _edited(
    ctx: Context,
    document: Document,
    doc: "Doc[Any]",
    update: bytes,
    via: str,
    made: Sequence[str],
) -> Edited:
    with ctx.store.read() as connection:
        seq = kept.head(connection, ctx.project, document.id)
    edited = Edited(id=document.id, seq=seq, made=list(made), meaning=meant(graph_of(doc)))
    ctx.note(document=document.id)
    if update == NONE:
        return edited

    def write(tx: sa.Connection) -> None:
        entry = kept.Entry(str(ctx.actor), via, update)
        before = kept.append(tx, ctx.project, document.id, [entry], ctx.now())
        _number_it(edited, before + 1)
        ctx.note(seq=before + 1)

    ctx.stage(write)
    _tell(ctx, document.id)
    return edited


def _number_it(answer: Edited | Merged, seq: int) -> None:
    # Numbers are given where only one writes, and the answer is kept in the same transaction.
    answer.__dict__["seq"] = seq


def _tell(ctx: Context, document: str) -> None:
    ctx.after_commit(lambda: ctx.engine(rooms).notice(document))


def _origin(ctx: Context, variant: Document) -> tuple["Doc[Any]", int]:
    """A fork as it began, or as it was when it was last merged whole."""
    with ctx.store.read() as connection:
        return kept.load(connection, ctx.project, variant.id, variant.merged_at)


def _between(ctx: Context, document: str, before: int, after: int) -> list[Change]:
    with ctx.store.read() as connection:
        old, _ = kept.load(connection, ctx.project, document, before)
        new, _ = kept.load(connection, ctx.project, document, after)
    return differ(graph_of(old), graph_of(new))


def _known_origin(
    ctx: Context, document: str, seq: int, base: str
) -> tuple[Document, "Doc[Any]"] | None:
    """The document that a file says it was, if it was that."""
    found = documents.find(ctx.store, ctx.project, document) if document else None
    if found is None:
        return None
    with ctx.store.read() as connection:
        if not 0 <= seq <= kept.head(connection, ctx.project, found.id):
            return None
        doc, _ = kept.load(connection, ctx.project, found.id, seq)
    return (found, doc) if hash_of(graph_of(doc)) == base else None


def _forks(ctx: Context, id: str) -> list[Document]:
    found: list[Document] = []
    after: str | None = None
    while True:
        page = documents.page(ctx.store, ctx.project, limit=1000, after=after)
        found += [each for each in page.items if each.forked_from.partition("@")[0] == id]
        if page.next is None:
            return found
        after = page.next


def _for_tables(graph: Graph) -> bool:
    return any(node.layer == "input" for node in graph.nodes.values())


def _name(name: str) -> str:
    named = " ".join(name.split())
    if not named or len(named) > 120 or "@" in named or named.startswith("doc_"):
        raise Invalid(
            f"A document cannot be called {name[:80]!r}.",
            hint="Up to 120 signs, without @, and not like an id (doc_…).",
        )
    return named


def _free(ctx: Context, name: str, but: str = "") -> None:
    found = documents.find(ctx.store, ctx.project, name)
    if found is not None and found.id != but:
        raise Conflict(
            f"This project has a document {name!r} already.", hint="Choose another name."
        )


def _variant(ctx: Context, name: str) -> str:
    """A name that is free: the name itself, or with a number."""
    return _first(
        lambda each: documents.find(ctx.store, ctx.project, each) is None,
        re.sub(r" \d+$", "", name),
    )


def _first(free: Callable[[str], bool], name: str) -> str:
    if free(name):
        return name
    number = 2
    while not free(f"{name} {number}"):
        number += 1
    return f"{name} {number}"
