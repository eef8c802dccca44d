"""A service's OpenAPI document: what Litestar makes of the routes, with the one error model and examples of bodies."""

from collections.abc import Mapping
from typing import Any, Final, cast

from litestar import Litestar, Request
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from prizewire_chassis.problems import TITLES

__all__ = ["DocumentPlugin", "openapi_document"]

_METHODS: Final = frozenset({"get", "put", "post", "patch", "delete"})
_WRITES: Final = frozenset({"put", "post", "patch", "delete"})
_MEDIA_TYPE: Final = "application/problem+json"
_PROBLEM: Final[Mapping[str, Any]] = {
    "title": "Problem",
    "description": "Why a request was not done (RFC 9457). `code` is stable: programs go by it, people by `detail`.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "A URN that ends in the code."},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "code": {"type": "string", "description": "What is wrong, as a stable word."},
        "detail": {"type": "string", "description": "What is wrong, as a sentence."},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "errors": {
            "type": "array",
            "description": "The members of a body, or parameters, that are not as they must be.",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
    "additionalProperties": True,
}
_SAID: Final[Mapping[int, tuple[str, str, str]]] = {
    400: (
        "The request is malformed, or a rule forbids it.",
        "invalid_request",
        "amount: String should have at least 1 character",
    ),
    401: ("There is no token, or it was refused.", "unauthenticated", "this route needs a bearer token"),
    403: ("The caller's roles do not reach here.", "forbidden", "this route is for: admin"),
    404: ("There is no such thing, or none that the caller may see.", "not_found", "there is no such thing"),
    409: (
        "It contradicts what is there: another body under the same key, or a state that does not allow it.",
        "idempotency_conflict",
        "this Idempotency-Key was used with another request",
    ),
    413: (
        "The body is larger than the route takes; its description and `detail` say how large it may be.",
        "body_too_large",
        "the body is larger than the 1000000 bytes that this route takes",
    ),
    503: (
        "The service cannot do it just now; the same request may be sent again.",
        "unavailable",
        "the service cannot reach its database just now; the same request may be sent again",
    ),
}
"""What each status means, with a code and a detail as an example."""


class DocumentPlugin(JsonRenderPlugin):
    """Serves the document as ``openapi_document`` makes it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        del openapi_schema
        return self.render_json(request, openapi_document(request.app))


def openapi_document(app: Litestar) -> dict[str, Any]:
    """The application's OpenAPI document, made once."""
    found = app.state.get("openapi_document")
    if found is None:
        found = _made(app)
        app.state["openapi_document"] = found
    return cast("dict[str, Any]", found)


def _made(app: Litestar) -> dict[str, Any]:
    document = app.openapi_schema.to_schema()
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = dict(_PROBLEM)
    components["responses"] = {f"Problem{status}": _response(status) for status in _SAID}
    limits = _body_limits(app)
    for path, item in document["paths"].items():
        for method in _METHODS & item.keys():
            operation = item[method]
            responses = operation.setdefault("responses", {})
            responses.pop("400", None)
            body = operation.get("requestBody", {})
            for status in _possible(path, method, has_body=bool(body)):
                responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
            limit = limits.get((path, method))
            if body and limit is not None:
                said = f"At most {limit:,} bytes."
                body["description"] = f"{body['description']} {said}" if "description" in body else said
            for media in body.get("content", {}).values():
                example = _example(media.get("schema", {}), schemas)
                if example is not _NOTHING and "example" not in media and "examples" not in media:
                    media["example"] = example
    return document


def _response(status: int) -> dict[str, Any]:
    description, code, detail = _SAID[status]
    example = {
        "type": f"urn:prizewire:problem:{code}",
        "title": TITLES[status],
        "status": status,
        "code": code,
        "detail": detail,
        "instance": "/api/…",
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {_MEDIA_TYPE: {"schema": schema, "example": example}}}


def _body_limits(app: Litestar) -> dict[tuple[str, str], int | None]:
    """How many bytes a body may have, by path and method."""
    return {
        (route.path_format, method.lower()): handler.resolve_request_max_body_size()
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
    }


def _possible(path: str, method: str, *, has_body: bool) -> list[int]:
    """The statuses of problems that a route may answer with."""
    return sorted(
        {400, 401, 403, 503}
        | ({404} if "{" in path else set())
        | ({409} if method in _WRITES else set())
        | ({413} if has_body else set())
    )


_NOTHING: Final = object()


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example of what a schema describes, put together from those of its parts; ``_NOTHING`` where one is missing."""
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    for name in ("example", "const", "default"):
        if name in schema:
            return schema[name]
    if "enum" in schema:
        return schema["enum"][0]
    for alternatives in ("oneOf", "anyOf"):
        for one in schema.get(alternatives, ()):
            if one.get("type") != "null" and (found := _example(one, schemas)) is not _NOTHING:
                return found
    if schema.get("type") == "array":
        item = _example(schema.get("items", {}), schemas)
        return _NOTHING if item is _NOTHING else [item]
    if "properties" not in schema:
        return _NOTHING
    parts = {name: _example(part, schemas) for name, part in schema["properties"].items()}
    if any(parts.get(name, _NOTHING) is _NOTHING for name in schema.get("required", ())):
        return _NOTHING
    return {name: part for name, part in parts.items() if part is not _NOTHING}
