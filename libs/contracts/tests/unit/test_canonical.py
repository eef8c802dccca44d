"""Canonical bytes equal RFC 8785, and what has no canonical form is refused."""

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from prizewire_contracts.canonical import NotCanonical, canonical_bytes

KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_equals_the_reference_library(value):
    """Sorted orjson output is RFC 8785 within the subset that is allowed."""
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"a": [1.0]}, "float_refused"),
        ({"a": float("nan")}, "float_refused"),
        ([2**53], "number_out_of_range"),
        ([-(2**53)], "number_out_of_range"),
        ({"a": 1e30}, "number_out_of_range"),
        ({"a": float("-inf")}, "number_out_of_range"),
        ({"é": 1}, "key_not_ascii"),
        ({1: 1}, "key_not_ascii"),
        ({"a": b"x"}, "type_refused"),
    ],
)
def test_refuses_ambiguous_texts(value, code):
    """Floats, numbers past 2^53, foreign keys and types are refused with a stable code."""
    with pytest.raises(NotCanonical) as refused:
        canonical_bytes(value)
    assert refused.value.code == code


def test_refuses_bottomless_nesting():
    """Depth is bounded, so that a hostile message cannot exhaust the stack."""
    value: list[object] = []
    for _ in range(500):
        value = [value]
    with pytest.raises(NotCanonical, match="too_deep"):
        canonical_bytes(value)
