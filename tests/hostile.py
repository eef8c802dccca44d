"""Hostile requests to every route of a service's OpenAPI document: each gets a refusal with a stable code, none a 500.

What is sent follows from the document: each route's path parameters, query parameters, headers and body are replaced, one
at a time, by what an attacker would send. A test passes a function that sends a raw request as an admin, and one for a token with any
subject.
"""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote
from uuid import UUID

import httpx

from prizewire_chassis.http.paging import encode_cursor

METHODS: Final = ("get", "post", "put", "patch", "delete")
NOBODY: Final = str(UUID(int=4, version=4))
TEXTS: Final = (
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "e%cc%81",
    "%e2%80%ae",
    "%0d%0a",
    "x" * 3_000,
    "..%2f..",
    "'; --",
)
MOMENTS: Final = (
    "9999-12-31",
    "0001-01-01",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00%2B14:00",
    "NaN",
    "",
)
NUMBERS: Final = ("0", "-1", "9" * 30, "1e9", "NaN", "9223372036854775807", "2147483648", "1.5")
CURSORS: Final = (
    *tuple(
        quote(encode_cursor(values))
        for values in (
            ["0001-01-01T00:00:00+14:00", NOBODY],
            ["9999-12-31T23:59:59-14:00", NOBODY],
            ["2026-01-01T00:00:00", NOBODY],
            ["0001-01-01T00:00:00+14:00", 1],
            ["2026-01-01T00:00:00+00:00", 2**63],
            [None, None],
            [2**63],
            [-1],
            [True],
            ["\x00"],
            ["\x00", NOBODY],
            [{}, []],
            ["e-1", "x" * 5000],
        )
    ),
    "!",
    "AAAA",
    quote(base64.urlsafe_b64encode(b"[" * 2000).decode()),
)
BODIES: Final = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"null",
    b"[]",
    b'"x"',
    b"0",
    b"{",
    b"{}",
    b'{"reason": "\xed\xa0\x80"}',
    b'{"reason": "\\ud800"}',
    b'{"reason": "a", "reason": "b"}',
    b'{"amount": NaN}',
    b'{"amount": 1e999}',
    b'{"amount": ' + b"9" * 5_000 + b"}",
    b"[" * 1_100 + b"]" * 1_100,
    b'{"a":' * 1_100 + b"1" + b"}" * 1_100,
)
MEMBERS: Final = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "a\x00b",
    "\ud800",
    "e\u0301",
    "\u202e",
    "x" * 20_000,
    "",
    " ",
    10**30,
    -1,
    2**63,
    0.5,
    True,
    None,
    [],
    {},
)
HEADERS: Final[tuple[list[tuple[str, str]], ...]] = (
    [("idempotency-key", "a"), ("idempotency-key", "b")],
    [("idempotency-key", "x" * 5_000)],
    [("idempotency-key", "a b")],
    [("content-type", "text/plain")],
    [("content-type", "application/xml; charset=\x7f")],
    [("content-type", "application/json; charset=utf-16")],
    [("content-type", "multipart/form-data")],
    [("content-length", "-1")],
    [("x-request-id", "x" * 5_000)],
    [("accept", "application/xml")],
)
SUBJECTS: Final = ("", " ", "a b", "x" * 129, "a\x00b", "e\u0301", "\u202e")
_CODE: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileRequest:
    """One request; ``query`` is raw, ``headers`` are sent beside the token's."""

    method: str
    path: str
    query: str = ""
    content: bytes | None = None
    headers: Sequence[tuple[str, str]] = ()

    def __str__(self) -> str:
        sent = "" if self.content is None else f" with {self.content[:60]!r}"
        named = f" and {[(name, value[:40]) for name, value in self.headers]}" if self.headers else ""
        return f"{self.method} {self.path[:120]}?{self.query[:120]}{sent}{named}"


class Answer(Protocol):
    """What of an HTTP response is looked at."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def content(self) -> bytes:
        """The body."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        ...


Send = Callable[[HostileRequest, str], Awaitable[Answer]]
"""(request, subject of an admin's token) → the answer."""


def hostile_requests(document: Mapping[str, Any]) -> Iterator[HostileRequest]:
    """Everything hostile for every route."""
    schemas = document.get("components", {}).get("schemas", {})
    for template, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield from _of_route(template, method.upper(), item[method], schemas)


def _of_route(
    template: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[HostileRequest]:
    parameters = operation.get("parameters", ())
    plain = {one["name"]: _plain(one) for one in parameters if one["in"] == "path"}
    path = template.format(**plain)
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = content.get("example")
    body = None if not content else json.dumps(example if example is not None else {}).encode()
    key = [] if method == "GET" else [("idempotency-key", "hostile")]
    for name in plain:
        for value in (*TEXTS, *NUMBERS):
            yield HostileRequest(
                method=method, path=template.format(**{**plain, name: value}), content=body, headers=key
            )
    for one in parameters:
        if one["in"] == "query":
            values = CURSORS if one["name"] == "cursor" else (*TEXTS, *NUMBERS, *MOMENTS)
            for value in values:
                query = f"{quote(one['name'])}={value}"
                yield HostileRequest(method=method, path=path, query=query, content=body, headers=key)
            twice = f"{quote(one['name'])}=1&{quote(one['name'])}=2"
            yield HostileRequest(method=method, path=path, query=twice, content=body, headers=key)
    for query in ("nobody_knows=1", "%00", "%00=%00", "=", "&&&", "a=" + "x" * 5_000):
        yield HostileRequest(method=method, path=path, query=query, content=body, headers=key)
    for headers in HEADERS:
        yield HostileRequest(method=method, path=path, content=body, headers=headers)
    if content:
        for sent in BODIES:
            yield HostileRequest(method=method, path=path, content=sent, headers=key)
        for spoiled in _spoiled(example):
            yield HostileRequest(method=method, path=path, content=spoiled, headers=key)


def _plain(parameter: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    if schema.get("format") == "uuid":
        return NOBODY
    return "1" if schema.get("type") == "integer" else "nobody"


def _spoiled(example: Any) -> Iterator[bytes]:
    """The example with each member replaced by a hostile value, one at a time, nested ones too."""
    for place in _places(example):
        for value in MEMBERS:
            spoiled = deepcopy(example)
            inner = spoiled
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = value
            yield json.dumps(spoiled).encode()


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for step, inner in steps:
        yield (*before, step)
        yield from _places(inner, (*before, step))


def send_with(client: httpx.AsyncClient, token: Callable[[str], Mapping[str, str]]) -> Send:
    """Send over ``client``; ``token`` answers the headers of an admin's token with a subject."""

    async def send(request: HostileRequest, subject: str) -> Answer:
        json_body = {} if request.content is None else {"content-type": "application/json"}
        own = {name for name, _ in request.headers}
        headers = [
            *request.headers,
            *((name, value) for name, value in {**json_body, **token(subject)}.items() if name not in own),
        ]
        url = f"{request.path}?{request.query}" if request.query else request.path
        return await client.request(
            request.method, url, content=request.content, headers=[(n, v.encode()) for n, v in headers]
        )

    return send


async def try_everything(*, document: Mapping[str, Any], send: Send) -> list[str]:
    """Send everything; returns the requests that failed in the service or were refused without a stable code."""
    wrong: list[str] = []
    sent = 0
    for request in hostile_requests(document):
        sent += 1
        _judge(str(request), await send(request, "hostile-admin"), wrong)
    guarded = [
        HostileRequest(method=method.upper(), path=template.format(**plain), content=b"{}")
        for template, item in document["paths"].items()
        for method in METHODS
        if method in item and item[method].get("security") != []
        for plain in [
            {one["name"]: _plain(one) for one in item[method].get("parameters", ()) if one["in"] == "path"}
        ]
    ]
    for request in guarded:
        for subject in SUBJECTS:
            answer = await send(request, subject)
            if answer.status_code != 401:
                wrong.append(f"{request} as {subject[:20]!r} answers {answer.status_code}, not 401")
            _judge(f"{request} as {subject[:20]!r}", answer, wrong)
    assert sent > 50, "the document names hardly any route"
    return wrong


def _judge(said: str, answer: Answer, wrong: list[str]) -> None:
    if answer.status_code < 400:
        return
    shown = answer.content[:200].decode(errors="replace")
    if answer.status_code >= 500:
        wrong.append(f"{said} answers {answer.status_code}: {shown}")
        return
    if answer.headers.get("content-type") != "application/problem+json":
        wrong.append(f"{said} answers {answer.status_code} without problem details: {shown}")
        return
    code = json.loads(answer.content).get("code")
    if not isinstance(code, str) or not _CODE.fullmatch(code) or code == "http_error":
        wrong.append(f"{said} answers {answer.status_code} with the code {code!r}: {shown}")
