"""Which problems a route can answer with.

The general ones follow from what the route takes: parameters, a body, a token. A route declares its own as
``refusals={404: ("thing_not_found",), 409: ("thing_ended",)}`` beside its path.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar.handlers import HTTPRouteHandler

from prizewire_chassis.auth import Machines, People

Refusals = Mapping[int, Sequence[str]]
"""Stable codes by HTTP status."""
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"

MEANINGS: Final[Mapping[int, str]] = {
    400: "The request is malformed: its syntax, a member of its body, or a parameter.",
    401: "There is no token, or it was refused.",
    403: "The caller's roles do not allow it.",
    404: "There is no such thing, or the caller may not see it.",
    408: "The body took too long.",
    409: "The request contradicts the present state, or its Idempotency-Key was used with another body.",
    413: "The body is larger than the route takes. `detail` says how large it may be.",
    415: "The body is not of the media type that the route takes.",
    422: "The request is well formed, but a rule forbids it.",
    429: "Too many requests. `Retry-After` says how many seconds to wait.",
    500: "The service failed. The failure is logged.",
    503: "The service cannot do it now. The same request may be sent again; with the code `unavailable`, `Retry-After` says "
    "after how many seconds.",
}
"""What each status means, in all services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _General:
    """A problem that many routes share. ``when`` names what a route must take for it."""

    status: int
    code: str
    when: str
    detail: str


_GENERAL: Final = (
    _General(
        status=400,
        code="invalid_request",
        when="always",
        detail="amount: it must not be empty",
    ),
    _General(
        status=400,
        code="character_refused",
        when="always",
        detail="the path holds a character that is not taken",
    ),
    _General(
        status=400,
        code="header_repeated",
        when="always",
        detail="the header idempotency-key is given more than once",
    ),
    _General(
        status=400,
        code="parameter_unknown",
        when="always",
        detail="this route has no query parameter 'staus'; it has: cursor, limit, status",
    ),
    _General(
        status=400,
        code="parameter_repeated",
        when="query",
        detail="the query parameter limit is given more than once",
    ),
    _General(
        status=400,
        code="body_not_utf8",
        when="body",
        detail="the body is not UTF-8: byte 17 cannot be read",
    ),
    _General(
        status=400,
        code="body_not_json",
        when="body",
        detail="the body is not JSON: Expecting value: line 1 column 1 (char 0)",
    ),
    _General(
        status=400,
        code="json_too_deep",
        when="body",
        detail="the body nests deeper than 64 arrays and objects",
    ),
    _General(
        status=400,
        code="member_repeated",
        when="body",
        detail="an object names the member 'amount' twice",
    ),
    _General(status=400, code="number_out_of_range", when="body", detail="amount: the number is too large"),
    _General(
        status=400,
        code="idempotency_key_required",
        when="key required",
        detail="this request moves money: send an Idempotency-Key header",
    ),
    _General(
        status=400,
        code="idempotency_key_invalid",
        when="key",
        detail="an Idempotency-Key has 1 to 255 letters, digits, colons, underscores or hyphens",
    ),
    _General(
        status=400,
        code="cursor_invalid",
        when="cursor",
        detail="the cursor is not one that this route gave",
    ),
    _General(status=400, code="limit_invalid", when="limit", detail="limit is between 1 and 200"),
    _General(status=401, code="unauthenticated", when="guards", detail="this route needs a bearer token"),
    _General(status=401, code="token_invalid", when="guards", detail="the token was refused: it has expired"),
    _General(status=403, code="forbidden", when="guards", detail="this route is for: admin"),
    _General(status=404, code="not_found", when="path", detail="there is no such thing"),
    _General(
        status=408,
        code="body_timeout",
        when="body",
        detail="the body did not arrive within 30 seconds",
    ),
    _General(
        status=409,
        code="idempotency_conflict",
        when="key",
        detail="this Idempotency-Key was used with another request",
    ),
    _General(
        status=413,
        code="body_too_large",
        when="body",
        detail="the body is larger than the 1000000 bytes that this route takes",
    ),
    _General(
        status=415,
        code="media_type_unsupported",
        when="body",
        detail="this route takes application/json, not 'text/plain'",
    ),
    _General(
        status=429,
        code="rate_limited",
        when="always",
        detail="more than 6000 requests in a minute: wait 17 seconds",
    ),
    _General(
        status=429,
        code="too_many_bad_tokens",
        when="guards",
        detail="30 tokens from this address were refused: wait 17 seconds",
    ),
    _General(
        status=503,
        code="unavailable",
        when="always",
        detail="the service cannot reach its database now; send the same request again",
    ),
    _General(
        status=503,
        code="storage_full",
        when="always",
        detail="the disk of the service's database is full; send the request again once there is room",
    ),
    _General(
        status=503,
        code="audit_chain_broken",
        when="always",
        detail="audit record 17 is missing from the database, although it was published: restore it",
    ),
)
_DETAILS: Final = {one.code: one.detail for one in _GENERAL}


def possible_refusals(
    handler: HTTPRouteHandler, operation: Mapping[str, Any]
) -> dict[int, list[tuple[str, str]]]:
    """Every problem that the route may answer with, by status: (code, a detail as an example). The route's own come first.

    Raises:
        ValueError: the route declares a code twice, or a status that has no meaning here.
    """
    takes = _takes(handler, operation)
    found: dict[int, list[tuple[str, str]]] = {}
    for status, codes in dict(handler.opt.get("refusals", {})).items():
        if status not in MEANINGS or len(set(codes)) != len(codes):
            msg = f"{handler}: refusals of status {status} are not usable: {codes}"
            raise ValueError(msg)
        found[status] = [(code, _DETAILS.get(code, code.replace("_", " "))) for code in codes]
    details = {"forbidden": _guard_of(handler)}
    for one in _GENERAL:
        if one.when in takes:
            same = found.setdefault(one.status, [])
            if one.code not in dict(same):
                same.append((one.code, details.get(one.code) or one.detail))
    return dict(sorted(found.items()))


def guards_of(handler: HTTPRouteHandler) -> list[People | Machines]:
    """The guards of a route, the outermost first."""
    return [one for one in handler.resolve_guards() if isinstance(one, People | Machines)]


def _guard_of(handler: HTTPRouteHandler) -> str | None:
    """The callers that the innermost guard of a route admits, as a sentence."""
    guards = guards_of(handler)
    return guards[-1].sentence if guards else None


def _takes(handler: HTTPRouteHandler, operation: Mapping[str, Any]) -> set[str]:
    takes = {"always"}
    if handler.resolve_guards():
        takes.add("guards")
    if "requestBody" in operation:
        takes.add("body")
    for parameter in operation.get("parameters", ()):
        takes.add(parameter["in"])
        if parameter["in"] == "query":
            takes.add(parameter["name"])
        if parameter["in"] == "header" and parameter["name"].lower() == IDEMPOTENCY_HEADER.lower():
            takes.add("key")
            if parameter.get("required"):
                takes.add("key required")
    return takes
