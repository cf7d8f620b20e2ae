"""Who a text names. The Lab cuts texts the same way, by `tests/golden/texts/mentions.json`."""

import re
from collections.abc import Collection
from typing import NamedTuple

_NAMED = re.compile(r"(?<![\w@.+/-])@([a-z0-9][a-z0-9._-]{0,31})(?!\w)", re.IGNORECASE)


class Piece(NamedTuple):
    """A part of a text, and the person it names, if any."""

    text: str
    person: str | None = None


def pieces(text: str, people: Collection[str]) -> list[Piece]:
    """A text cut where it names one of these people.

    Example:
        >>> [tuple(each) for each in pieces("Ask @Bob.", ["bob"])]
        [('Ask ', None), ('@Bob', 'bob'), ('.', None)]
    """
    found: list[Piece] = []
    start = 0
    for match in _NAMED.finditer(text):
        # The dot after a name usually ends the sentence, but may be part of the name.
        name = match[1].lower()
        while name not in people and name[-1:] in "._-" and name:
            name = name[:-1]
        if name not in people:
            continue
        end = match.start() + 1 + len(name)
        found += [Piece(text[start : match.start()]), Piece(text[match.start() : end], name)]
        start = end
    found.append(Piece(text[start:]))
    return [each for each in found if each.text]


def mentioned(text: str, people: Collection[str]) -> list[str]:
    """The people a text names, each once, in the order of the text."""
    return list(dict.fromkeys(each.person for each in pieces(text, people) if each.person))
