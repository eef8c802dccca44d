"""Every text that comes in over HTTP or Kafka has a type that refuses control characters and bounds its length."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from prizewire_contracts.topics import TOPICS

PACKAGES = (
    "prizewire_chassis",
    *(f"prizewire_{name}" for name in ("payouts", "rewards", "settlement", "webhooks")),
)
HOSTILE = ("a\x00b", "a\nb", "a\x7fb", "a\x85b", "a\u2028b", "a\u202eb")
ELSEWHERE = {"Intent", "Approval", "AllowedWay", "QuoteReference", "PayoutQuote", "OpeningRow"}
"""Models whose texts are looked at where their schema cannot say so: those of signed structures by ``printable_members``,
rows of an import by ``read_rows``, which refuses each wrong row by itself."""


def events() -> Iterator[tuple[str, type[BaseModel]]]:
    for topic in TOPICS:
        yield from topic.models.items()


def bodies() -> Iterator[tuple[str, type[BaseModel]]]:
    """The model of every body that a route takes."""
    for package in PACKAGES:
        root = importlib.import_module(package)
        for found in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
            if found.ispkg or not {"entrypoints", "http"} & set(found.name.split(".")):
                continue
            module = importlib.import_module(found.name)
            for name in re.findall(r"JSONBody\[(\w+)\]", Path(str(module.__file__)).read_text()):
                yield f"{found.name}.{name}", getattr(module, name)


def texts(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every text of a JSON Schema, names of members of open objects included."""
    if isinstance(node, list):
        for number, one in enumerate(node):
            yield from texts(one, f"{path}[{number}]")
    elif isinstance(node, dict):
        if node.get("type") == "string":
            yield path, node
        extra = node.get("additionalProperties")
        if isinstance(extra, dict) and extra.get("type") == "string" and "propertyNames" not in node:
            yield f"{path}.*name", {"type": "string"}
        for name, one in node.items():
            if name in ("examples", "default", "example"):
                continue
            if path.endswith(".$defs") and name in ELSEWHERE:
                continue
            yield from texts(one, f"{path}.{name}")


def is_safe(schema: dict[str, Any]) -> bool:
    if "enum" in schema or "const" in schema or "format" in schema:
        return True
    pattern = schema.get("pattern")
    return pattern is not None and not any(re.search(pattern, text) for text in HOSTILE)


def test_every_body_refuses_members_that_it_does_not_know():
    """A misspelt member is refused, not ignored."""
    assert {name for name, model in bodies() if model.model_config.get("extra") != "forbid"} == set()


@pytest.mark.parametrize("models", [events, bodies])
def test_every_text_that_comes_in_has_a_type_that_refuses_control_characters(models):
    """A plain ``str`` in an event or a body is found by its path: give it a type of ``prizewire_contracts.text``."""
    found = dict(models())
    assert found
    plain = [
        f"{name}: {path}"
        for name, model in found.items()
        for path, schema in texts(model.model_json_schema(), "")
        if not is_safe(schema)
    ]
    assert plain == []


@pytest.mark.parametrize("models", [events, bodies])
def test_every_text_that_comes_in_has_a_length(models):
    """A text without an upper bound is kept and shown however long it is."""
    unbounded = [
        f"{name}: {path}"
        for name, model in models()
        for path, schema in texts(model.model_json_schema(), "")
        if "maxLength" not in schema
        and not {"enum", "const", "format"} & schema.keys()
        and re.search(r"(?<!\\)[*+]", re.sub(r"\[[^\]]*\]", "", schema.get("pattern", "*")))
    ]
    assert unbounded == []
