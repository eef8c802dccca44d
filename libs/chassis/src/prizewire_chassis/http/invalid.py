"""Errors of Litestar and pydantic about a request, in the terms of its sender."""

import re
from ast import literal_eval
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal, get_args, get_origin

from litestar import Request
from litestar.exceptions import ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from pydantic import ValidationError

from prizewire_chassis.problems import Problem
from prizewire_contracts.canonical import is_out_of_range
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.plain_errors import plain_error, plain_form

_BODY: Final = "body"
_MISSING: Final = re.compile(r"Missing required (\w+) parameter '([^']+)'")
_NO_MEMBER_OF: Final = "Invalid enum value "
_WRONG_FORM: Final = "Expected `str` matching regex "
_PARAMETERS: Final = (
    (re.compile(r"Expected `str` of length <= (\d+)"), r"it must have at most \1 characters"),
    (re.compile(r"Expected `str` of length >= 1"), "it must not be empty"),
    (re.compile(r"Expected `int` >= (-?\d+)"), r"it must be \1 or more"),
    (re.compile(r"Expected `int` <= (-?\d+)"), r"it must be \1 or less"),
    (re.compile(r"Expected `int.*"), "it must be a whole number"),
    (re.compile(r"Expected `bool.*"), "it must be true or false"),
    (re.compile(r"Invalid UUID.*"), "it must be a UUID such as 22222222-2222-4222-8222-222222222222"),
)
"""Messages of msgspec about parameters, in plain words."""


def invalid_request(request: Request[Any, Any, Any], error: ValidationException) -> Problem:
    """The problem: 400 ``invalid_request``, or ``number_out_of_range``, with each member or parameter that is wrong."""
    found = error.extra if isinstance(error.extra, list) else []
    handler = request.route_handler
    handler = handler if isinstance(handler, HTTPRouteHandler) else None
    members = _refused_members(error)
    errors = [_said(item, handler) for item in _in_plain_words(found, members)]
    if not errors and (missing := _MISSING.search(error.detail)) is not None:
        errors = [{"field": missing[2], "message": f"this {missing[1]} parameter is required"}]
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors) or "the request is not valid"
    too_large = any(is_out_of_range(member["input"]) for member in members)
    code = RefusalCode.NUMBER_OUT_OF_RANGE if too_large else "invalid_request"
    return Problem(status=400, code=code, detail=detail, errors=errors)


def _said(item: dict[str, Any], handler: HTTPRouteHandler | None) -> dict[str, str]:
    key, message = str(item.get("key", "")), str(item.get("message", ""))
    if (key, message) == ("data", "'data'"):
        return {"field": _BODY, "message": "it is missing: this route takes a JSON object"}
    parameter = None if handler is None else handler.parsed_fn_signature.parameters.get(key)
    if parameter is None or "source" not in item:
        return {"field": key or _BODY, "message": message}
    if message.startswith(_NO_MEMBER_OF):
        kinds = (parameter.annotation, *(inner.annotation for inner in parameter.inner_types))
        values = [value for kind in kinds for value in _values_of(kind)]
        value = message.removeprefix(_NO_MEMBER_OF)
        message = f"{value} is none of its values, which are: {', '.join(values)}" if values else message
    elif message.startswith(_WRONG_FORM):
        message = plain_form(literal_eval(message.removeprefix(_WRONG_FORM)))
    for written, plain in _PARAMETERS:
        message = written.sub(plain, message)
    definition = parameter.kwarg_definition
    named = definition.name if isinstance(definition, ParameterKwarg) else None
    return {"field": named or key, "message": message}


def _values_of(kind: Any) -> list[str]:
    """The values of an enumeration or of a `Literal`; none of any other type."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(one.value) for one in kind]
    return [str(one) for one in get_args(kind)] if get_origin(kind) is Literal else []


def _in_plain_words(items: list[Any], members: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries of Litestar, which stand in the order of pydantic's errors, with plain messages."""
    found = [item for item in items if isinstance(item, dict)]
    if len(found) != len(members):
        return found
    return [{**item, "message": plain_error(one)} for item, one in zip(found, members, strict=True)]


def _refused_members(error: ValidationException) -> Sequence[Mapping[str, Any]]:
    """What a model refused of a body; empty where a parameter is wrong."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ValidationError):
        cause = cause.__cause__
    return [] if cause is None else cause.errors(include_url=False)
