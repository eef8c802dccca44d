"""Refuse malformed paths, queries, headers and bodies before a route gets the request.

Each refusal is a 400 with a stable code: ``character_refused``, ``parameter_unknown``, ``parameter_repeated``,
``header_repeated``, ``body_not_utf8``, ``body_not_json``, ``json_too_deep``, ``member_repeated`` and
``number_out_of_range``. A body that takes too long is a 408 ``body_timeout``, and one that says that it is no JSON where
a route takes JSON is a 415 ``media_type_unsupported``.
"""

import asyncio
import json
import math
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

import orjson
from litestar import Litestar, Request
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.types.asgi_types import ReceiveMessage
from litestar.typing import FieldDefinition

from prizewire_chassis.metrics import HTTP_REFUSED
from prizewire_chassis.problems import Problem
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.text import is_normal, is_printable, printable

JSON_DEPTH_MAX: Final = 64
"""The deepest body of any route has eight levels. Parsers raise errors of their own at about a thousand."""
_SINGLE_HEADERS: Final = (b"idempotency-key", b"authorization", b"content-type", b"x-request-id")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_QUERY_NAME_LENGTH_MAX: Final = 64


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON is read by ``strict_json``."""

    async def json(self) -> Any:
        """The body's JSON; None where there is no body.

        Raises:
            Problem: see ``strict_json``.
        """
        if not hasattr(self, "_strict"):
            body = await self.body()
            self._strict = strict_json(body) if body else None
        return self._strict


def strict_json(body: bytes) -> Any:
    """The value of a JSON text (RFC 8259) in UTF-8 in which no object names a member twice.

    Raises:
        Problem: 400 with a code that says what is wrong.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        detail = f"the body is not UTF-8: byte {error.start} cannot be read"
        raise Problem(status=400, code="body_not_utf8", detail=detail) from None
    too_deep = Problem(
        status=400,
        code="json_too_deep",
        detail=f"the body nests deeper than {JSON_DEPTH_MAX} arrays and objects",
    )
    try:
        value = json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_no_number,
            parse_int=_integer,
            parse_float=_fraction,
        )
        if _SURROGATE.search(body) is not None:
            orjson.loads(body)
    except RecursionError:
        raise too_deep from None
    except ValueError as error:
        detail = f"the body is not JSON: {printable(str(error), length_max=200)}"
        raise Problem(status=400, code="body_not_json", detail=detail) from None
    if _deeper_than(value, JSON_DEPTH_MAX):
        raise too_deep
    return value


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for one in level
            for child in (one.values() if type(one) is dict else one if type(one) is list else ())
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        detail = f"an object names the member {printable(twice, length_max=64)!r} twice"
        raise Problem(status=400, code="member_repeated", detail=detail)
    return found


def _no_number(word: str) -> NoReturn:
    msg = f"{word} is not a JSON number"
    raise ValueError(msg)


def _integer(digits: str) -> int:
    if len(digits) > 400:
        detail = f"a number of {len(digits)} digits is out of range"
        raise Problem(status=400, code=RefusalCode.NUMBER_OUT_OF_RANGE, detail=detail)
    return int(digits)


def _fraction(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        detail = f"the number {digits[:40]} is out of range"
        raise Problem(status=400, code=RefusalCode.NUMBER_OUT_OF_RANGE, detail=detail)
    return value


class Intake:
    """The middleware that checks path, query and headers, and limits the time of a body.

    ``body_s``: seconds from the first read of the body until all of it must have arrived; None for no limit.
    """

    def __init__(self, app: ASGIApp, *, body_s: float | None = None) -> None:
        self._app = app
        self._body_s = body_s
        self._known: Mapping[tuple[str, str], Mapping[str, bool]] | None = None
        self._takes_json: frozenset[tuple[str, str]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it to the application."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        try:
            self._look(scope)
        except Problem as problem:
            HTTP_REFUSED.labels(problem.code).inc()
            raise
        bounded = receive if self._body_s is None else _bounded(receive, self._body_s)
        await self._app(scope, bounded, send)

    def _look(self, scope: Scope) -> None:
        names = [name for name, _ in scope["headers"]]
        for name in _SINGLE_HEADERS:
            if names.count(name) > 1:
                detail = f"the header {name.decode()} is given more than once"
                raise Problem(status=400, code="header_repeated", detail=detail)
        if not _is_plain(scope["path"]):
            raise _character("path")
        self._look_at_media_type(scope)
        query = scope["query_string"]
        if query:
            self._look_at_query(scope, query)

    def _look_at_media_type(self, scope: Scope) -> None:
        """Refuse a body of another media type. A body without one counts as JSON."""
        given = dict(scope["headers"]).get(b"content-type")
        if given is None:
            return
        if self._takes_json is None:
            self._takes_json = _json_routes(scope["litestar_app"])
        if (str(scope.get("path_template")), str(scope.get("method"))) not in self._takes_json:
            return
        media_type = given.decode("latin-1").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            detail = f"this route takes application/json, not {printable(media_type, length_max=64)!r}"
            raise Problem(status=415, code="media_type_unsupported", detail=detail)

    def _look_at_query(self, scope: Scope, query: bytes) -> None:
        try:
            pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
        except (UnicodeDecodeError, ValueError):
            raise _character("query") from None
        if self._known is None:
            self._known = _query_names(scope["litestar_app"])
        known = self._known.get((str(scope.get("path_template")), str(scope.get("method"))), {})
        seen: set[str] = set()
        for name, value in pairs:
            if not _is_plain(name) or not _is_plain(value):
                raise _character("query")
            if name not in known:
                listed = ", ".join(sorted(known)) or "none"
                shown = printable(name, length_max=_QUERY_NAME_LENGTH_MAX)
                detail = f"this route has no query parameter {shown!r}; it has: {listed}"
                raise Problem(status=400, code="parameter_unknown", detail=detail)
            if name in seen:
                detail = f"the query parameter {name} is given more than once"
                raise Problem(status=400, code="parameter_repeated", detail=detail)
            if value.lower() == "null" and not known[name]:
                detail = f"{name}: {value!r} is not a value; leave the parameter out"
                raise Problem(status=400, code="invalid_request", detail=detail)
            seen.add(name)


def _is_plain(text: str) -> bool:
    return is_printable(text) and is_normal(text) and "\ufffd" not in text


def _character(where: str) -> Problem:
    detail = (
        f"the {where} holds a character that is not taken: send UTF-8 in normalization form C without control "
        "characters"
    )
    return Problem(status=400, code="character_refused", detail=detail)


def _query_names(app: Litestar) -> dict[tuple[str, str], dict[str, bool]]:
    """The query parameters of each route, by path template and method, and whether each may be any text. Of the others
    Litestar takes ``null`` for no value.
    """
    return {
        (route.path_format, str(method)): {
            one.field_alias: _takes_text(_parameter(handler, one.field_name))
            for one in model.expected_query_params
        }
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, model) in route.route_handler_map.items()
    }


def _parameter(handler: BaseRouteHandler, name: str) -> FieldDefinition | None:
    """A parameter of the route, or of one of its dependencies."""
    provided = [one.parsed_fn_signature for one in handler.resolve_dependencies().values()]
    signatures = (handler.parsed_fn_signature, *provided)
    return next((one.parameters[name] for one in signatures if name in one.parameters), None)


def _takes_text(field: FieldDefinition | None) -> bool:
    """Whether a parameter may be any text; one that is found nowhere may. A value of an enumeration is not any text."""
    if field is None:
        return True
    kinds = [field.annotation, *(one.annotation for one in field.inner_types)]
    return any(isinstance(one, type) and issubclass(one, str) and not issubclass(one, Enum) for one in kinds)


def _json_routes(app: Litestar) -> frozenset[tuple[str, str]]:
    """The routes that take a JSON body, by path template and method."""
    return frozenset(
        (route.path_format, str(method))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if "data" in handler.parsed_fn_signature.parameters
    )


def _bounded(receive: Receive, body_s: float) -> Receive:
    """``receive`` with one deadline for the whole body; what comes after it has none."""
    loop = asyncio.get_running_loop()
    deadline: float | None = None
    complete = False

    async def bounded() -> ReceiveMessage:
        nonlocal deadline, complete
        if complete:
            return await receive()
        if deadline is None:
            deadline = loop.time() + body_s
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            HTTP_REFUSED.labels("body_timeout").inc()
            detail = f"the body did not arrive within {body_s:g} seconds"
            raise Problem(status=408, code="body_timeout", detail=detail) from None
        complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return bounded
