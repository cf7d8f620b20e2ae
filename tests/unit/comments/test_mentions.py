"""Who a text names: the same cases as the Lab's own tests."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.comments import mentioned, pieces

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "texts" / "mentions.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["text"][:20])
def test_who_is_named_and_how_it_is_cut(case: dict[str, Any]) -> None:
    assert mentioned(case["text"], GOLDEN["people"]) == case["named"]
    assert [each.text for each in pieces(case["text"], GOLDEN["people"])] == case["shown"]


@given(st.text(alphabet="@ab.-_ <é\n", max_size=60))
def test_nothing_is_lost_and_nobody_unknown_is_named(text: str) -> None:
    found = pieces(text, {"a", "ab", "b."})
    assert "".join(each.text for each in found) == text
    assert {each.person for each in found} <= {None, "a", "ab", "b."}
