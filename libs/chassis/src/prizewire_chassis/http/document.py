"""A service's OpenAPI document: Litestar's, with an example on each body and answer, and with the problems of each route."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from prizewire_chassis.auth import Machines
from prizewire_chassis.http.models import describe_models
from prizewire_chassis.http.paging import LIMIT_DEFAULT, LIMIT_MAX
from prizewire_chassis.http.refusals import IDEMPOTENCY_HEADER, MEANINGS, guards_of, possible_refusals
from prizewire_chassis.idempotency import KEY_PATTERN
from prizewire_chassis.problems import TITLES

_METHODS: Final = frozenset({"get", "put", "post", "patch", "delete"})
_MEDIA_TYPE: Final = "application/problem+json"
_PARAMETERS: Final[Mapping[tuple[str, str], tuple[str, Mapping[str, Any]]]] = {
    ("header", IDEMPOTENCY_HEADER): (
        "Names this request. The same key with the same body has no second effect: it gets the stored answer.",
        {"type": "string", "pattern": KEY_PATTERN},
    ),
    ("query", "cursor"): ("`next_cursor` of the page before.", {"type": "string", "minLength": 1}),
    ("query", "limit"): (
        f"How many items a page has at most. {LIMIT_DEFAULT} without it.",
        {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX},
    ),
}
"""Description and schema of the parameters that all services share, by location and name."""
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


_DONE: Final[Mapping[str, str]] = {
    "200": "Done, or what was asked for.",
    "201": "It was made, and is shown as it is now.",
    "202": "The request is accepted; it is carried out in a moment.",
    "204": "Done. There is nothing to show.",
}
_API_TOKEN: Final[Mapping[str, Any]] = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token that this service gave out to a system.",
}


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
    document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = dict(_PROBLEM)
    handlers = _handlers(app)
    describe_models(document, handlers)
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for method in _METHODS & item.keys():
            operation = item[method]
            handler = handlers[path, method]
            _describe_parameters(operation)
            _describe_body(operation, schemas, limit=handler.resolve_request_max_body_size())
            responses = operation.setdefault("responses", {})
            responses.pop("400", None)
            for status, response in responses.items():
                if response["description"] == HTTPStatus(int(status)).description:
                    response["description"] = _DONE.get(status, response["description"])
                if "content" in response:
                    response["content"] = _described(response["content"])
                    _add_examples(response["content"], schemas)
            for status, codes in possible_refusals(handler, operation).items():
                responses[str(status)] = _problem_response(status, codes, path=path)
            _describe_callers(operation, document, handler)
    return document


def _describe_callers(operation: dict[str, Any], document: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Say who may call a route, and with which kind of token."""
    guards = guards_of(handler)
    if not guards:
        operation["security"] = []
        return
    said = guards[-1].sentence
    said = f"{said[0].upper()}{said[1:]}."
    operation["description"] = f"{operation['description']}\n\n{said}" if "description" in operation else said
    if isinstance(guards[-1], Machines):
        document["components"].setdefault("securitySchemes", {})["apiToken"] = dict(_API_TOKEN)
        operation["security"] = [{"apiToken": []}]


def _handlers(app: Litestar) -> dict[tuple[str, str], HTTPRouteHandler]:
    return {
        (route.path_format, method.lower()): handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
    }


def _describe_parameters(operation: Mapping[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        known = _PARAMETERS.get((parameter["in"], parameter["name"]))
        if known is not None:
            parameter["description"], parameter["schema"] = known
        elif "schema" in parameter:
            parameter["schema"] = _without_null(parameter["schema"])


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a parameter: it is left out where it has no value, and is never null."""
    found = dict(schema)
    if isinstance(found.get("type"), list):
        kinds = [one for one in found["type"] if one != "null"]
        found["type"] = kinds[0] if len(kinds) == 1 else kinds
    if None in found.get("enum", ()):
        found["enum"] = [one for one in found["enum"] if one is not None]
    alternatives = [one for one in found.pop("oneOf", ()) if one.get("type") != "null"]
    if len(alternatives) == 1:
        return {**alternatives[0], **found}
    return {"oneOf": alternatives, **found} if alternatives else found


def _describe_body(operation: Mapping[str, Any], schemas: Mapping[str, Any], *, limit: int | None) -> None:
    body = operation.get("requestBody")
    if body is None:
        return
    if limit is not None:
        said = f"At most {limit:,} bytes."
        body["description"] = f"{body['description']} {said}" if "description" in body else said
    _add_examples(body.get("content", {}), schemas)


def _described(content: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer holds, by media type. A document names media types without their parameters, and what is not JSON is
    text, or bytes without a schema.
    """
    found: dict[str, Any] = {}
    for name, media in content.items():
        media_type = name.partition(";")[0].strip()
        if media_type.endswith("json"):
            found[media_type] = media
        else:
            found[media_type] = {"schema": {"type": "string"} if media_type.startswith("text/") else {}}
    return found


def _add_examples(content: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    for media in content.values():
        if "example" not in media and "examples" not in media:
            example = _example(media.get("schema", {}), schemas)
            if example is not _NOTHING:
                media["example"] = example


def _problem_response(status: int, codes: list[tuple[str, str]], *, path: str) -> dict[str, Any]:
    """A refusal of one route: the error model, narrowed to this status and the codes that the route can give."""
    code, detail = codes[0]
    example = {
        "type": f"urn:prizewire:problem:{code}",
        "title": TITLES[status],
        "status": status,
        "code": code,
        "detail": detail,
        "instance": path,
    }
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": [one for one, _ in codes]}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    return {
        "description": MEANINGS[status],
        "content": {_MEDIA_TYPE: {"schema": schema, "example": example}},
    }


_NOTHING: Final = object()


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example of what a schema describes, put together from those of its parts; ``_NOTHING`` where one is missing."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    for name in ("example", "const", "default"):
        if schema.get(name) is not None:
            return schema[name]
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        item = _example(schema.get("items", {}), schemas)
        return _NOTHING if item is _NOTHING else [item]
    if "properties" not in schema:
        return _example_of_one(schema, schemas)
    parts = {name: _example(part, schemas) for name, part in schema["properties"].items()}
    if any(parts.get(name, _NOTHING) is _NOTHING for name in schema.get("required", ())):
        return _NOTHING
    return {name: part for name, part in parts.items() if part is not _NOTHING}


def _example_of_one(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example of the first alternative that has one and is not null."""
    for alternatives in ("oneOf", "anyOf"):
        for one in schema.get(alternatives, ()):
            if one.get("type") != "null" and (found := _example(one, schemas)) is not _NOTHING:
                return found
    return _NOTHING
