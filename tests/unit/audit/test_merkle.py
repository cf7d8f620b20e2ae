"""Merkle proofs: every leaf proves, nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.audit.merkle import inclusion_path, leaf_hash, root_from_path, root_hash

entries = st.lists(st.binary(max_size=8), min_size=1, max_size=40, unique=True)


@given(entries)
def test_every_leaf_leads_to_the_root(data: list[bytes]) -> None:
    leaves = [leaf_hash(each) for each in data]
    root = root_hash(leaves)
    for index, leaf in enumerate(leaves):
        path = inclusion_path(leaves, index)
        assert root_from_path(leaf, index, len(leaves), path) == root


@given(entries, st.binary(max_size=8), st.integers(0, 39))
def test_what_is_not_in_it_does_not(data: list[bytes], other: bytes, index: int) -> None:
    leaves = [leaf_hash(each) for each in data]
    index %= len(leaves)
    if leaf_hash(other) != leaves[index]:
        path = inclusion_path(leaves, index)
        assert root_from_path(leaf_hash(other), index, len(leaves), path) != root_hash(leaves)


@pytest.mark.parametrize(
    ("size", "root"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_the_published_vectors(size: int, root: str) -> None:
    # Test vectors of the Certificate Transparency project (RFC 6962's tree, kept by RFC 9162).
    data = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ][:size]
    assert root_hash([leaf_hash(bytes.fromhex(each)) for each in data]).hex() == root


def test_a_path_of_the_wrong_length_is_an_error() -> None:
    leaves = [leaf_hash(bytes([i])) for i in range(5)]
    path = inclusion_path(leaves, 1)
    with pytest.raises(ValueError, match="too short"):
        root_from_path(leaves[1], 1, 5, path[:-1])
    with pytest.raises(ValueError, match="too long"):
        root_from_path(leaves[1], 1, 5, [*path, path[0]])
