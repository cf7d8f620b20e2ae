"""What a document's graph means, with what it says it is for."""

from workbench.graphs import Graph, Meaning, Reader

_Ends = tuple[int | None, int | None]


class Meant:
    """Reads a document again and again, and works out what is new."""

    def __init__(self) -> None:
        self._ends: _Ends = (None, None)
        self._reader = Reader()

    def read(self, graph: Graph) -> Meaning:
        """What it means now."""
        if (ends := ends_of(graph)) != self._ends:
            self._ends, self._reader = ends, Reader(*ends)
        return self._reader.read(graph)


def meant(graph: Graph) -> Meaning:
    """What a graph means."""
    return Meant().read(graph)


def ends_of(graph: Graph) -> _Ends:
    """How many numbers a table's row becomes, and how many the target needs; None if unknown."""
    return _number(graph.data.get("features")), _number(graph.data.get("outputs"))


def _number(value: object) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if known else None  # type: ignore[return-value]
