"""The operations of an OpenAPI document, as the HTTP reference and the API collection show them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_METHODS: Final = ("get", "put", "post", "patch", "delete")
_CALLERS: Final = re.compile(r"\s*This route is for:? ([^.]+)\.\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route. ``codes`` are the problem codes of each status; ``callers`` the roles that may call it, None for everybody."""

    method: str
    path: str
    summary: str
    description: str
    callers: str | None
    parameters: tuple[Mapping[str, Any], ...]
    body: Mapping[str, Any] | None
    media_type: str | None
    answers: Mapping[str, Mapping[str, Any]]
    codes: Mapping[str, tuple[str, ...]]
    secured: bool

    @property
    def name(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


def operations_of(document: Mapping[str, Any]) -> Iterator[Operation]:
    """The operations of a document, by path and method."""
    for path, item in sorted(document["paths"].items()):
        for method in _METHODS:
            if method in item:
                yield _operation(method.upper(), path, item[method], common=document.get("security", []))


def _operation(method: str, path: str, said: Mapping[str, Any], *, common: list[Any]) -> Operation:
    description = said.get("description", "")
    callers = _CALLERS.search(description)
    content = said.get("requestBody", {}).get("content", {})
    media_type = next(iter(content), None)
    answers = said["responses"]
    return Operation(
        method=method,
        path=path,
        summary=said.get("summary", ""),
        description=_CALLERS.sub("", description).strip(),
        callers=None if callers is None else callers[1],
        parameters=tuple(said.get("parameters", ())),
        body=None if media_type is None else content[media_type],
        media_type=media_type,
        answers={status: one for status, one in sorted(answers.items()) if status < "400"},
        codes={status: _codes(one) for status, one in sorted(answers.items()) if status >= "400"},
        secured=bool(said.get("security", common)),
    )


def _codes(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """The codes that a refusal may have."""
    media = answer["content"]["application/problem+json"]
    for part in media["schema"].get("allOf", ()):
        code = part.get("properties", {}).get("code", {})
        if "enum" in code:
            return tuple(code["enum"])
        if "const" in code:
            return (code["const"],)
    return (media["example"]["code"],)


def example_of(media: Mapping[str, Any]) -> Any:
    """The first example of a body or an answer, None where it has none."""
    if "example" in media:
        return media["example"]
    return next((one["value"] for one in media.get("examples", {}).values()), None)


def kind_of(schema: Mapping[str, Any]) -> str:
    """A schema in a few words: its type, its values, its pattern's meaning left out."""
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(kind_of(one) for one in schema[several]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)
