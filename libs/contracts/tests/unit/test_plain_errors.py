"""Errors of models are plain sentences: no regular expression, no word of pydantic, no personal value."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from prizewire_contracts.envelope import AssetCode, Score
from prizewire_contracts.events.matches import MatchCompleted
from prizewire_contracts.plain_errors import plain_error, plain_form
from prizewire_contracts.text import Line, Name

SCHEMAS = Path(__file__).parents[2] / "schemas"


def patterns(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        for one in part.values():
            yield from patterns(one)
    elif isinstance(part, list):
        for one in part:
            yield from patterns(one)


def test_every_pattern_of_a_contract_has_plain_words() -> None:
    """A sender of an event never has to read a regular expression."""
    found = {one for file in SCHEMAS.glob("*.json") for one in patterns(json.loads(file.read_text()))}
    assert found
    assert not [one for one in sorted(found) if "regular expression" in plain_form(one, value="x")]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (AssetCode, "usdc", "'usdc' is no asset code: 1 to 12 upper-case letters and digits"),
        (AssetCode, "u\u202e" * 40, "'u\ufffdu"),
        (Score, "1e3", "'1e3' is no score"),
        (Name, "ada lovelace", "it must have printable characters only, without white space"),
        (Line, "", "it must not be empty"),
        (Line, "a" * 201, "it must have at most 200 characters"),
    ],
)
def test_a_refused_text_is_explained(kind: Any, value: str, words: str) -> None:
    """The sentence shows a code, and no other text."""
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(kind).validate_python(value)
    said = plain_error(refusal.value.errors()[0])
    assert said.startswith(words)
    assert ("lovelace" in said, "\u202e" in said) == (False, False)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([], "it must not be empty"),
        ([{"player": "ada", "place": 1}] * 2_001, "it must have at most 2000 entries, not 2001"),
        ([{"player": "ada", "place": 0}], "it must be 1 or more"),
        ([{"player": "ada", "place": "1"}], "it must be a whole number, without quotes"),
        ([{"player": "ada"}], "a result needs a place or a score"),
        ("all", "it must be a JSON list"),
        (["ada"], "it must be a JSON object"),
    ],
)
def test_a_refused_result_is_explained(results: Any, words: str) -> None:
    """Lists, numbers and rules of the contract."""
    with pytest.raises(ValidationError) as refusal:
        MatchCompleted.model_validate({"match_id": "m", "competition": "c", "results": results})
    assert plain_error(refusal.value.errors()[0]) == words
