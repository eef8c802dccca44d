"""Manifests against the schemas of deploy/schemas: unknown fields, wrong types and unknown kinds are refused."""

import json
from functools import cache
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from tests.deploy.rendering import DEPLOY, Manifest


def schema_name(manifest: Manifest) -> str:
    """The name of the schema file of a manifest."""
    return f"{manifest.get('kind')}-{str(manifest.get('apiVersion')).replace('/', '-')}.json"


def name_of(manifest: Manifest) -> str:
    """Kind, namespace and name, as a person looks for them."""
    metadata: dict[str, Any] = manifest.get("metadata", {})
    where = [str(one) for one in (metadata.get("namespace"), metadata.get("name")) if one]
    return f"{manifest.get('kind')} {'/'.join(where)}"


def findings(manifest: Manifest) -> list[str]:
    """What is wrong with the form of a manifest; nothing where the cluster would accept it."""
    validator = _validator(schema_name(manifest))
    if validator is None:
        return [f"{name_of(manifest)}: deploy/schemas has no {schema_name(manifest)}"]
    return [
        f"{name_of(manifest)}: {'.'.join(map(str, deepest.absolute_path))}: {deepest.message[:200]}"
        for error in validator.iter_errors(manifest)
        if (deepest := best_match([error])) is not None
    ]


@cache
def _validator(name: str) -> Draft7Validator | None:
    path = DEPLOY / "schemas" / name
    if not path.is_file():
        return None
    schema = json.loads(path.read_text())
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)
