"""JSON-RPC 2.0 as the real RPC speaks it: single calls and batches, its error codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602

Params: TypeAlias = Mapping[str, Any]
Method: TypeAlias = Callable[[Params], dict[str, Any]]


class RpcError(Exception):
    """A call that cannot be answered, with its JSON-RPC code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def answer(body: bytes, methods: Mapping[str, Method]) -> bytes | None:
    """Answer a request body; None when it holds only notifications."""
    try:
        request = json.loads(body)
    except ValueError:
        return _encode(_failure(None, RpcError(PARSE_ERROR, "Parse error")))
    if isinstance(request, list) and request:
        answers = [one for one in (_call(item, methods) for item in request) if one is not None]
        return _encode(answers) if answers else None
    single = _call(request, methods)
    return None if single is None else _encode(single)


def _call(request: object, methods: Mapping[str, Method]) -> dict[str, Any] | None:
    if (
        not isinstance(request, dict)
        or request.get("jsonrpc") != "2.0"
        or not isinstance(request.get("method"), str)
    ):
        return _failure(None, RpcError(INVALID_REQUEST, "Invalid Request"))
    id_ = request.get("id")
    try:
        result = _run(request["method"], request.get("params"), methods)
    except RpcError as error:
        return None if "id" not in request else _failure(id_, error)
    return None if "id" not in request else {"jsonrpc": "2.0", "id": id_, "result": result}


def _run(name: str, params: object, methods: Mapping[str, Method]) -> dict[str, Any]:
    method = methods.get(name)
    if method is None:
        raise RpcError(METHOD_NOT_FOUND, f"method not found: {name}")
    if not isinstance(params, dict | None):
        raise RpcError(INVALID_PARAMS, "invalid parameters: an object is expected")
    return method(params or {})


def _failure(id_: object, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": error.code, "message": error.message}}


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
