"""The requirements on every OpenAPI document: valid, with an example of every body and the common error model."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from prizewire_contracts.plain_errors import plain_form

METHODS: Final = ("get", "put", "post", "patch", "delete")
STATUSES_AFTER: Final = "400"
_FOR_DEVELOPERS: Final = re.compile(r"^(Args|Raises|Returns|Yields):", re.MULTILINE)


def faults_of(document: Mapping[str, Any]) -> list[str]:
    """The faults of a document, as sentences."""
    faults = [
        f"not valid: {error.message}" for error in OpenAPIV31SpecValidator(dict(document)).iter_errors()
    ]
    faults += [
        f"a sender would read {pattern}: give its meaning in plain_errors of contracts"
        for pattern in sorted(set(_patterns(document)))
        if pattern in plain_form(pattern)
    ]
    for route, operation in _operations(document):
        if not operation.get("summary"):
            faults.append(f"{route} has no summary")
        if _FOR_DEVELOPERS.search(operation.get("description", "")):
            faults.append(f"{route} is described for developers of the service: {operation['description']}")
        faults += [f"{route}: {fault}" for fault in _body_faults(operation, document)]
        faults += [f"{route}: {fault}" for fault in _problem_faults(operation, document)]
    return faults


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def _patterns(part: Any) -> Iterator[str]:
    """The patterns of texts in a document."""
    if isinstance(part, Mapping):
        # moments are read by ``moment_of``, which refuses in words of its own
        if isinstance(part.get("pattern"), str) and "format" not in part:
            yield part["pattern"]
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _patterns(one)


def _body_faults(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    for media in operation.get("requestBody", {}).get("content", {}).values():
        if "example" not in media:
            yield "its body has no example"
            continue
        whole = {**media["schema"], "components": document["components"]}
        for error in Draft202012Validator(whole).iter_errors(media["example"]):
            yield f"the example of its body does not fit its schema: {error.message}"


def _problem_faults(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    failing = {status: one for status, one in operation["responses"].items() if status >= STATUSES_AFTER}
    if not {"400", "503"} <= failing.keys():
        yield "it documents no problem"
    for status, response in failing.items():
        if list(response["content"]) != ["application/problem+json"]:
            yield f"{status} does not have the error model"
            continue
        media = response["content"]["application/problem+json"]
        whole = {**media["schema"], "components": document["components"]}
        for error in Draft202012Validator(whole).iter_errors(media["example"]):
            yield f"the example of {status} does not fit its schema: {error.message}"


def shown(document: Mapping[str, Any]) -> Iterator[tuple[str, str, list[Any]]]:
    """(route, status, examples) of every successful JSON answer of the service's own routes."""
    for path, item in document["paths"].items():
        if path.startswith("/api/services/"):
            continue
        for method, operation in item.items():
            for status, answer in operation["responses"].items():
                media = answer.get("content", {}).get("application/json") if status < "300" else None
                if media is not None:
                    examples = [one["value"] for one in media.get("examples", {}).values()]
                    examples += [media["example"]] if "example" in media else []
                    yield f"{method.upper()} {path}", status, examples
