"""How many requests one caller or one address may send in a minute, and how often a token may be refused.

Each process counts for itself in fixed windows of a minute. With n replicas the limits are up to n times as high, and in
two windows together up to twice. The number of counted names is bounded. All further names share one count, so that a
caller with many addresses cannot fill the memory.
"""

import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.middleware import AuthenticationResult
from litestar.types import ASGIApp, Scope

from prizewire_chassis.auth import ApiTokens, Authentication, TokenReader
from prizewire_chassis.metrics import HTTP_REFUSED
from prizewire_chassis.problems import Problem
from prizewire_contracts.text import is_name

WINDOW_S: Final = 60
NAMES_MAX: Final = 100_000
_OTHERS: Final = "\x00others"
_STATE: Final = "rate_limit"


class Window:
    """Counts by name in the current minute. ``name`` is the policy's name in headers, ``most`` its limit."""

    def __init__(self, *, name: str, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.most = most
        self._now = now
        self._minute = -1
        self._counts: dict[str, int] = {}

    def hit(self, who: str) -> int:
        """Count one more, and return the count."""
        self._turn()
        key = who if who in self._counts or len(self._counts) < NAMES_MAX else _OTHERS
        self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts[key]

    def count(self, who: str) -> int:
        """The count of a name in the current minute."""
        self._turn()
        full = len(self._counts) >= NAMES_MAX
        return self._counts.get(who, self._counts.get(_OTHERS, 0) if full else 0)

    def left_s(self) -> int:
        """Whole seconds until the next minute, at least 1."""
        return max(1, int(WINDOW_S - self._now() % WINDOW_S) + 1)

    def headers(self, who: str) -> dict[str, str]:
        """The limit as a client may read it (draft-ietf-httpapi-ratelimit-headers-10)."""
        rest = max(0, self.most - self.count(who))
        return {
            "ratelimit-policy": f'"{self.name}";q={self.most};w={WINDOW_S}',
            "ratelimit": f'"{self.name}";r={rest};t={self.left_s()}',
        }

    def _turn(self) -> None:
        minute = int(self._now() // WINDOW_S)
        if minute != self._minute:
            self._minute = minute
            self._counts = {}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a service: requests of one caller, requests without a token from one address, and refused tokens
    from one address.
    """

    callers: Window
    anonymous: Window
    bad_tokens: Window

    @classmethod
    def per_minute(cls, *, callers: int, anonymous: int, bad_tokens: int) -> "Limits":
        """Limits of so many in a minute."""
        return cls(
            callers=Window(name="caller", most=callers),
            anonymous=Window(name="address", most=anonymous),
            bad_tokens=Window(name="bad-tokens", most=bad_tokens),
        )

    def take(self, window: Window, who: str, scope: Scope) -> None:
        """Count a request, and add the remaining number to the headers of its answer.

        Raises:
            Problem: 429 ``rate_limited``.
        """
        if window.hit(who) > window.most:
            detail = f"more than {window.most} requests in a minute: wait {window.left_s()} seconds"
            raise _refused(window, who, code="rate_limited", detail=detail)
        scope["state"][_STATE] = window.headers(who)

    def check_refused_tokens(self, address: str) -> None:
        """Refuse an address with too many refused tokens, before its next token is read.

        Raises:
            Problem: 429 ``too_many_bad_tokens``.
        """
        window = self.bad_tokens
        if window.count(address) >= window.most:
            detail = f"{window.most} tokens from this address were refused: wait {window.left_s()} seconds"
            raise _refused(window, address, code="too_many_bad_tokens", detail=detail)


def limit_headers(scope: Scope) -> Mapping[str, str]:
    """The headers about the limit that the request was counted under."""
    found: Mapping[str, str] = scope.get("state", {}).get(_STATE, {})
    return found


def _refused(window: Window, who: str, *, code: str, detail: str) -> Problem:
    HTTP_REFUSED.labels(code).inc()
    headers = {**window.headers(who), "retry-after": str(window.left_s())}
    return Problem(status=429, code=code, detail=detail, headers=headers)


class LimitedAuthentication(Authentication):
    """Reads the bearer token within the limits. The token's subject must be usable as a name in events."""

    def __init__(
        self,
        app: ASGIApp,
        reader: TokenReader,
        api_tokens: ApiTokens | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(app, reader, api_tokens)
        self._limits = limits

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """The caller; None without a token.

        Raises:
            Problem: 401 for a token that is refused, 429 beyond a limit.
        """
        limits = self._limits
        address = connection.client.host if connection.client is not None else "unknown"
        bears = connection.headers.get("authorization") is not None
        if limits is not None and bears:
            limits.check_refused_tokens(address)
        try:
            found = _named(await super().authenticate_request(connection))
        except Problem as problem:
            if limits is not None and problem.status == 401:
                limits.bad_tokens.hit(address)
            raise
        if limits is not None:
            if found.user is not None:
                limits.take(limits.callers, found.user.subject, connection.scope)
            else:
                limits.take(limits.anonymous, address, connection.scope)
        return found


def _visible(name: str) -> bool:
    """Whether each character can be seen: two persons must not look like one in a queue or an audit record."""
    return name.isascii() or not any(unicodedata.category(one) == "Cf" for one in name)


def _named(found: AuthenticationResult) -> AuthenticationResult:
    """The caller. The subject of a person is used as a name in events; the subject of a machine is a source.

    Raises:
        Problem: 401 ``token_invalid``.
    """
    user = found.user
    if user is not None and not user.machine and not (is_name(user.subject) and _visible(user.subject)):
        detail = "the token's subject is no name: 1 to 128 visible characters in normalization form C"
        raise Problem(status=401, code="token_invalid", detail=detail)
    return found
