"""Errors of Litestar and pydantic about a request, in the terms of its sender."""

import re
from enum import Enum
from typing import Any, Final

from litestar import Request
from litestar.exceptions import ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from pydantic import ValidationError

from prizewire_chassis.problems import Problem
from prizewire_contracts.canonical import is_out_of_range
from prizewire_contracts.codes import RefusalCode

_BODY: Final = "body"
_MISSING: Final = re.compile(r"Missing required (\w+) parameter '([^']+)'")
_NO_OBJECT: Final = "Input should be a valid dictionary or instance of "
_NO_MEMBER_OF: Final = "Invalid enum value "
_PLAIN: Final = {
    "Extra inputs are not permitted": "there is no member of this name; the API document lists those that exist",
    "Field required": "it is missing",
    "Input should be a valid string": 'it must be a JSON string, in quotes, as "4000.00"',
    "Input should be a valid list": "it must be a JSON list",
    "Input should be a valid boolean": "it must be true or false",
    "Input should be a valid integer": "it must be a whole number, without quotes",
}
"""Messages of pydantic (``pydantic_core.list_all_errors``) for a sender who may not know Python."""


def invalid_request(request: Request[Any, Any, Any], error: ValidationException) -> Problem:
    """The problem: 400 ``invalid_request``, or ``number_out_of_range``, with each member or parameter that is wrong."""
    found = error.extra if isinstance(error.extra, list) else []
    handler = request.route_handler
    handler = handler if isinstance(handler, HTTPRouteHandler) else None
    errors = [_said(item, handler) for item in found if isinstance(item, dict)]
    if not errors and (missing := _MISSING.search(error.detail)) is not None:
        errors = [{"field": missing[2], "message": f"this {missing[1]} parameter is required"}]
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors) or "the request is not valid"
    code = RefusalCode.NUMBER_OUT_OF_RANGE if _names_too_large_number(error) else "invalid_request"
    return Problem(status=400, code=code, detail=detail, errors=errors)


def _said(item: dict[str, Any], handler: HTTPRouteHandler | None) -> dict[str, str]:
    key, message = str(item.get("key", "")), str(item.get("message", "")).removeprefix("Value error, ")
    if (key, message) == ("data", "'data'"):
        return {"field": _BODY, "message": "it is missing: this route takes a JSON object"}
    if message.startswith(_NO_OBJECT):
        message = "it must be a JSON object"
    message = _PLAIN.get(message, message)
    parameter = None if handler is None else handler.parsed_fn_signature.parameters.get(key)
    if parameter is None or "source" not in item:
        return {"field": key or _BODY, "message": message}
    if message.startswith(_NO_MEMBER_OF):
        values = [
            str(one.value)
            for kind in (parameter.annotation, *(inner.annotation for inner in parameter.inner_types))
            if isinstance(kind, type) and issubclass(kind, Enum)
            for one in kind
        ]
        value = message.removeprefix(_NO_MEMBER_OF)
        message = f"{value} is none of its values, which are: {', '.join(values)}" if values else message
    definition = parameter.kwarg_definition
    named = definition.name if isinstance(definition, ParameterKwarg) else None
    return {"field": named or key, "message": message}


def _names_too_large_number(error: ValidationException) -> bool:
    """Whether what the models refused is a number that no JSON here may hold."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ValidationError):
        cause = cause.__cause__
    return cause is not None and any(is_out_of_range(one["input"]) for one in cause.errors())
