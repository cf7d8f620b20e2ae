"""Merkle trees over the event log, as Certificate Transparency builds them.

Source: RFC 9162, section 2.1 (tree hash, inclusion path and its verification). Domain bytes 0x00
and 0x01 keep a leaf from passing as a node.
"""

from collections.abc import Sequence
from hashlib import sha256


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf (32 bytes)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children (32 bytes)."""
    return sha256(b"\x01" + left + right).digest()


def root_hash(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes; SHA-256 of nothing for an empty tree.

    Example:
        >>> root_hash([leaf_hash(b"a")]) == leaf_hash(b"a")
        True
    """
    if not leaves:
        return sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        level = [
            node_hash(level[i], level[i + 1]) if i + 1 < len(level) else level[i]
            for i in range(0, len(level), 2)
        ]
    return level[0]


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The sibling hashes from a leaf to the root, lowest first; `0 <= index < len(leaves)`."""
    path = []
    level = list(leaves)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = [
            node_hash(level[i], level[i + 1]) if i + 1 < len(level) else level[i]
            for i in range(0, len(level), 2)
        ]
        index //= 2
    return path


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf and its path lead to (RFC 9162, 2.1.3.2).

    Raises:
        ValueError: The path does not have the length that index and size demand.
    """
    at, last, found = index, size - 1, leaf
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    for sibling in path:
        if last == 0:
            raise ValueError("the path is too long")
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        at >>= 1
        last >>= 1
    if last:
        raise ValueError("the path is too short")
    return found
