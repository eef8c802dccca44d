"""Headers of every answer, also of those to unknown paths."""

import re
from typing import Final
from uuid import uuid4

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

from prizewire_chassis.http.limits import limit_headers

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_STATE: Final = "request_id"


def request_id_of(scope: Scope) -> str:
    """The id that the caller gave the request, where it is 1 to 128 letters, digits and ``._:-``; else a new one."""
    state = scope["state"]
    if _STATE not in state:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        state[_STATE] = given.decode() if _REQUEST_ID.fullmatch(given) else uuid4().hex
    found: str = state[_STATE]
    return found


async def add_headers(message: Message, scope: Scope) -> None:
    """Litestar's ``before_send``: the answer is not cached, its media type is not guessed, and it has the request's id."""
    if message["type"] != "http.response.start":
        return
    message.setdefault("headers", [])
    headers = MutableScopeHeaders(message)
    headers["x-request-id"] = request_id_of(scope)
    headers["x-content-type-options"] = "nosniff"
    headers["cache-control"] = "no-store"
    for name, value in limit_headers(scope).items():
        if name not in headers:
            headers[name] = value
