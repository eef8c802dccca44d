"""Compare every answer in a test with the service's OpenAPI document.

``Documented(app)`` is the application with a check behind it: an answer whose status, media type, members or problem
code the document does not name for its route fails the test in which it was given.
"""

import json
from collections.abc import Hashable, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator
from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.types import Message, Receive, Scope, Send

from prizewire_chassis.http.document import openapi_document

_UNDOCUMENTED: Final = ("/health/", "/metrics", "/schema")


class _Contract:
    """The document of an application, and the validators of its answers."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.paths: Mapping[str, Any] = document["paths"]
        self._strict = {
            "components": {
                "schemas": {
                    name: _closed(schema) if name != "Problem" else schema
                    for name, schema in document["components"]["schemas"].items()
                }
            }
        }
        self._validators: dict[tuple[str, str, str], Draft202012Validator | None] = {}

    def validator(
        self, path: str, method: str, status: str, schema: Mapping[str, Any] | None
    ) -> Draft202012Validator | None:
        key = (path, method, status)
        if key not in self._validators:
            self._validators[key] = (
                None if schema is None else Draft202012Validator({**schema, **self._strict})
            )
        return self._validators[key]


_contracts: dict[Hashable, _Contract] = {}


def _contract_of(app: Litestar) -> _Contract:
    """The contract of an application, made once for all applications of one process that have the same routes.

    To make a document takes up to a second of processor time, and most tests build a new service.
    """
    routes = frozenset(
        (route.path_format, method, handler.fn.__code__, handler.resolve_request_max_body_size())
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
    )
    title = None if app.openapi_config is None else app.openapi_config.title
    if (title, routes) not in _contracts:
        _contracts[title, routes] = _Contract(openapi_document(app))
    return _contracts[title, routes]


class Documented:
    """An ASGI application that raises AssertionError for an answer that is not as documented."""

    def __init__(self, app: Litestar) -> None:
        self._app = app
        self._contract = _contract_of(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started: Message | None = None
        body = b""
        """Of JSON the whole, of anything else the beginning: it may be long."""

        async def keep(message: Message) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start":
                started = message
            elif message["type"] == "http.response.body" and (not body or _is_json(started)):
                body += message.get("body", b"")
            await send(message)

        method = str(scope.get("method", "")).lower()
        await self._app(scope, receive, keep)
        if started is not None and started["type"] == "http.response.start":
            headers = {name.decode().lower(): value.decode() for name, value in started["headers"]}
            fault = self._fault(
                method=method,
                path=str(scope.get("path_template") or ""),
                status=started["status"],
                headers=headers,
                body=body,
            )
            assert fault is None, f"{method.upper()} {scope['path']}: {fault}"

    def _fault(
        self, *, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> str | None:
        """What is not as documented, as a sentence."""
        if path.startswith(_UNDOCUMENTED) or path.endswith("/schema"):
            return None
        media_type = headers.get("content-type", "").partition(";")[0].strip()
        operation = self._contract.paths.get(path, {}).get("get" if method == "head" else method)
        if operation is None:
            problem = media_type == "application/problem+json" or method in {"head", "options"}
            return None if problem else f"no such route, but {status} is answered as {media_type}"
        said = operation["responses"].get(str(status))
        if said is None:
            return f"{status} is not documented: {body[:300]!r}"
        content = said.get("content", {})
        if not body:
            return None if method == "head" or not content else f"{status} has no body"
        if media_type not in content:
            return f"{status} is answered as {media_type}, documented are {sorted(content)}"
        if not media_type.endswith("json"):
            return None
        validator = self._contract.validator(path, method, str(status), content[media_type].get("schema"))
        errors = [] if validator is None else list(validator.iter_errors(json.loads(body)))
        return f"{status}: {errors[0].json_path}: {errors[0].message}" if errors else None


def _is_json(started: Message | None) -> bool:
    headers = () if started is None else started.get("headers", ())
    return any(name.lower() == b"content-type" and b"json" in value for name, value in headers)


def _closed(schema: Any) -> Any:
    """The schema with no member allowed that it does not name: clients must accept new ones, tests must not."""
    if isinstance(schema, dict):
        closed = {name: _closed(part) for name, part in schema.items()}
        if "properties" in schema and schema.get("type") == "object":
            closed.setdefault("additionalProperties", False)
        return closed
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    return schema
