"""Sizes of tensors, of which some are known only by a name: B (batch), F (features), C (classes).

A size is a whole number, or a polynomial of such names, written out: `4·F + 32`. Names stand for
whole numbers of at least 1. What would take too long to write is `?`: nobody knows it.
"""

from collections.abc import Iterable

Dim = int | str
Terms = dict[tuple[str, ...], int]

UNKNOWN = "?"
LONGEST = 48
"""Characters of a size that is written out."""
MOST_TERMS = 16


class Polynomial(str):
    """A size with its terms: the names that are multiplied, and how often they are added."""

    terms: Terms


def total(dims: Iterable[Dim]) -> Dim:
    """The sum.

    Example:
        >>> total(["F", 32, "F"])
        '2·F + 32'
    """
    found: Terms = {}
    for dim in dims:
        for names, times in _terms(dim).items():
            found[names] = found.get(names, 0) + times
    return _written(found)


def product(dims: Iterable[Dim]) -> Dim:
    """The product.

    Example:
        >>> product([4, total(["F", 1])])
        '4·F + 4'
    """
    found: Terms = {(): 1}
    for dim in sorted(dims, key=lambda dim: isinstance(dim, str)):
        if isinstance(dim, int) and len(found) == 1 and () in found:
            found = {(): found[()] * dim}
            continue
        made: Terms = {}
        for left, times in found.items():
            for right, more in _terms(dim).items():
                names = tuple(sorted((*left, *right)))
                made[names] = made.get(names, 0) + times * more
        if len(made) > MOST_TERMS:
            return UNKNOWN
        found = made
    return _written(found)


def floor(dim: Dim, by: int) -> Dim:
    """How often a number goes into a size, without the rest.

    Example:
        >>> floor(product([4, "F"]), 2), floor("F", 2)
        ('2·F', '⌊F/2⌋')
    """
    if isinstance(dim, int):
        return dim // by
    terms = _terms(dim)
    if all(times % by == 0 for times in terms.values()):
        return _written({names: times // by for names, times in terms.items()})
    told = f"⌊({dim})/{by}⌋" if len(terms) > 1 else f"⌊{dim}/{by}⌋"
    return told if len(told) <= LONGEST else UNKNOWN


def differ(one: Dim, other: Dim) -> bool:
    """Whether two sizes differ whatever the names stand for.

    Example:
        >>> differ("F", 32), differ("F", total(["F", 1]))
        (False, True)
    """
    if isinstance(one, int) and isinstance(other, int):
        return one != other
    if UNKNOWN in str(one) + str(other):
        return False
    rest = [times for times in _terms(total([one, product([-1, other])])).values() if times]
    return bool(rest) and (all(times > 0 for times in rest) or all(times < 0 for times in rest))


def per_row(dims: tuple[Dim, ...]) -> Dim:
    """How many numbers of a tensor there are for each row; none where it has no rows.

    Example:
        >>> per_row(("B", 3, 4)), per_row((product([2, "B"]), 4)), per_row((3, 4))
        (12, 8, 0)
    """
    if dims[:1] == ("B",):
        return product(dims[1:])
    rest = {names: times for names, times in _terms(product(dims)).items() if "B" in names}
    return _written({tuple(_without(names, "B")): times for names, times in rest.items()})


def _without(names: tuple[str, ...], name: str) -> list[str]:
    left = list(names)
    left.remove(name)
    return left


def known(dim: Dim) -> int | None:
    """The number, if it is one."""
    return dim if isinstance(dim, int) else None


def _terms(dim: Dim) -> Terms:
    if isinstance(dim, int):
        return {(): dim}
    return dim.terms if isinstance(dim, Polynomial) else {(dim,): 1}


def _written(terms: Terms) -> Dim:
    terms = {names: times for names, times in terms.items() if times}
    if not any(terms):
        return terms.get((), 0)
    told = ""
    for names in sorted(terms, key=lambda names: (-len(names), names)):
        times = abs(terms[names])
        factors = [str(times)] if times != 1 or not names else []
        sign = "-" if terms[names] < 0 else "+"
        told += (f" {sign} " if told else sign.strip("+")) + "·".join([*factors, *names])
    if len(told) > LONGEST:
        return UNKNOWN
    found = Polynomial(told)
    found.terms = terms
    return found
