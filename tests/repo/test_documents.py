"""The generated pages of docs are current, and the API collection has every route."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scripts.documents import states
from scripts.documents.__main__ import stale
from scripts.documents.collection import SCHEMA, collection
from scripts.documents.configuration import configuration
from scripts.documents.decisions import decisions
from scripts.documents.http import reference
from scripts.documents.openapi import documents
from scripts.documents.operations import operations_of
from scripts.documents.pictures import pictures
from scripts.documents.states import pages

TEXT = {"type": "string"}
NAMED = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["key", "value"],
        "properties": {
            "key": {"type": "string", "minLength": 1},
            "value": TEXT,
            "description": TEXT,
            "disabled": {"type": "boolean"},
        },
        "additionalProperties": False,
    },
}
REQUEST = {
    "type": "object",
    "required": ["method", "url", "header"],
    "properties": {
        "method": {"enum": ["GET", "PUT", "POST", "PATCH", "DELETE"]},
        "description": TEXT,
        "header": NAMED,
        "auth": {"const": {"type": "noauth"}},
        "body": {
            "type": "object",
            "required": ["mode", "raw"],
            "properties": {
                "mode": {"const": "raw"},
                "raw": TEXT,
                "options": {
                    "type": "object",
                    "properties": {"raw": {"properties": {"language": {"enum": ["json", "text"]}}}},
                },
            },
            "additionalProperties": False,
        },
        "url": {
            "type": "object",
            "required": ["raw", "host", "path"],
            "properties": {
                "raw": {"type": "string", "pattern": r"^\{\{base_url\}\}/"},
                "host": {"const": ["{{base_url}}"]},
                "path": {"type": "array", "items": {"type": "string", "minLength": 1}},
                "query": NAMED,
                "variable": NAMED,
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
RESPONSE = {
    "type": "object",
    "required": ["name", "code", "header", "body"],
    "properties": {"name": TEXT, "code": {"type": "integer"}, "header": NAMED, "body": TEXT},
    "additionalProperties": False,
}
FORMAT = {
    "type": "object",
    "required": ["info", "item"],
    "properties": {
        "info": {
            "type": "object",
            "required": ["name", "schema"],
            "properties": {"name": TEXT, "description": TEXT, "schema": {"const": SCHEMA}},
            "additionalProperties": False,
        },
        "auth": {"type": "object", "required": ["type"]},
        "variable": {"type": "array"},
        "item": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "item"],
                "properties": {
                    "name": TEXT,
                    "item": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["name", "request", "response"],
                            "properties": {
                                "name": TEXT,
                                "request": REQUEST,
                                "response": {"type": "array", "items": RESPONSE},
                            },
                            "additionalProperties": False,
                        },
                    },
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
"""The part of Postman Collection 2.1.0 that the collection uses, and nothing else."""


@pytest.fixture(scope="module")
def served() -> dict[str, dict[str, Any]]:
    """The OpenAPI document of each service."""
    return documents()


@pytest.fixture(scope="module")
def made(served: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The API collection."""
    found: dict[str, Any] = json.loads(collection(served))
    return found


@pytest.mark.long
def test_the_pages_of_settings_states_and_decisions_are_current() -> None:
    """Run `make schemas` after a change of a setting, a state, a topic or a decision record."""
    wanted = {
        "configuration.md": configuration(),
        "decisions/README.md": decisions(),
        **pages(),
        **pictures(),
    }
    assert list(stale(wanted)) == []


@pytest.mark.long
def test_the_http_reference_and_the_collection_are_current(served: Mapping[str, Mapping[str, Any]]) -> None:
    """Run `make schemas` after a change of a route, a body, an answer or a problem."""
    wanted = {f"http/{name}": text for name, text in reference(served).items()}
    wanted["http/prizewire.postman_collection.json"] = collection(served)
    assert list(stale(wanted)) == []


def test_a_page_that_differs_or_is_missing_is_named(tmp_path: Path) -> None:
    """The comparison finds both."""
    (tmp_path / "same.md").write_text("text\n")
    (tmp_path / "other.md").write_text("another text\n")
    wanted = dict.fromkeys(("same.md", "other.md", "missing.md"), "text\n")
    assert list(stale(wanted, docs=tmp_path)) == ["missing.md", "other.md"]


def test_a_state_without_a_place_in_the_picture_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new state of a round does not disappear from its picture."""
    monkeypatch.setattr(states, "_ROUND_PLACES", {states._R.NEW: (0, 0)})
    with pytest.raises((KeyError, ValueError)):
        pages()


def items(made: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for folder in made["item"]:
        yield from folder["item"]


def test_the_collection_has_the_format_that_clients_import(made: dict[str, Any]) -> None:
    """Each member is one of Postman Collection 2.1.0, and a spoilt collection is refused."""
    validator = Draft202012Validator(FORMAT)
    assert [error.message for error in validator.iter_errors(made)] == []
    del made["item"][0]["item"][0]["request"]["url"]["host"]
    assert not validator.is_valid(made)


def test_the_collection_has_every_route(served: Mapping[str, Mapping[str, Any]]) -> None:
    """Each route is one request. Its path variables have rows, and a body has the example of the document."""
    made = json.loads(collection(served))
    operations = [one for document in served.values() for one in operations_of(document)]
    requests = list(items(made))
    assert [one["name"] for one in requests] == [one.name for one in operations]
    for item, operation in zip(requests, operations, strict=True):
        url = item["request"]["url"]
        wanted = {part[1:] for part in url["path"] if part.startswith(":")}
        assert {row["key"] for row in url["variable"]} == wanted, operation.name
        assert ("body" in item["request"]) == (operation.body is not None), operation.name
        if item["request"].get("body", {}).get("options", {}).get("raw", {}).get("language") == "json":
            json.loads(item["request"]["body"]["raw"])


def test_each_request_that_needs_a_key_gets_a_new_one(made: dict[str, Any]) -> None:
    """A stored key would make the second request of a route an answer of the first one."""
    keys = [
        header["value"]
        for item in items(made)
        for header in item["request"]["header"]
        if header["key"] == "Idempotency-Key"
    ]
    assert keys
    assert set(keys) == {"{{$guid}}"}
