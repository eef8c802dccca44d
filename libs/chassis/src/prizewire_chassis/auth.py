"""Who is calling: bearer tokens, roles, and guards for routes. Identity itself is managed elsewhere."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from prizewire_chassis.problems import Problem

__all__ = ["ApiTokens", "Authentication", "Principal", "Role", "TokenReader", "machines", "require"]

_LEEWAY_S = 30


class Role(StrEnum):
    """What a caller may be. A player sees only what is theirs; the others see by their work."""

    PLAYER = "player"
    ORGANIZER = "organizer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. A ``machine`` came with an API token of the service itself; it has no roles, and passes
    no guard but ``machines``.
    """

    subject: str
    roles: frozenset[Role]
    machine: bool = False

    @property
    def player(self) -> str:
        """The player this caller is, when acting as one."""
        return self.subject

    def has(self, *roles: Role) -> bool:
        """Whether the caller has any of ``roles``."""
        return bool(self.roles.intersection(roles))


class TokenReader:
    """Checks HS256 tokens: signature, issuer, audience, expiry, not-before. Other algorithms are refused."""

    def __init__(self, *, secret: str | None, issuer: str, audience: str) -> None:
        self._secret = secret
        self._issuer = issuer
        self._audience = audience

    def read(self, token: str) -> Principal:
        """The caller that a token names.

        Raises:
            Problem: 401 ``token_invalid``.
        """
        if self._secret is None:
            raise Problem(
                status=401, code="token_invalid", detail="this service has no token secret configured"
            )
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "sub", "iss", "aud"]},
            )
            roles = frozenset(Role(name) for name in claims.get("roles", []))
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise Problem(
                status=401, code="token_invalid", detail=f"the token was refused: {error}"
            ) from None
        return Principal(claims["sub"], roles)


@dataclass(frozen=True, slots=True)
class ApiTokens:
    """Opaque bearer tokens that a service gave out itself, to other systems: ``prefix`` tells them from people's, and
    ``read`` says whom one stands for, None where it counts no more or never did.
    """

    prefix: str
    read: Callable[[str], Awaitable[str | None]]


class Authentication(AbstractAuthenticationMiddleware):
    """Reads the bearer token where there is one; guards decide whether one is needed."""

    def __init__(self, app: ASGIApp, reader: TokenReader, api_tokens: ApiTokens | None = None) -> None:
        super().__init__(app, exclude=["^/health", "^/metrics", "^/schema"])
        self._reader = reader
        self._api_tokens = api_tokens

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """The caller, or nobody."""
        header = connection.headers.get("authorization")
        if header is None:
            return AuthenticationResult(user=None, auth=None)
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Problem(
                status=401, code="token_invalid", detail="the header is `Authorization: Bearer <token>`"
            )
        return AuthenticationResult(user=await self._principal(token.strip()), auth=None)

    async def _principal(self, token: str) -> Principal:
        given = self._api_tokens
        if given is None or not token.startswith(given.prefix):
            return self._reader.read(token)
        subject = await given.read(token)
        if subject is None:
            detail = "the API token is unknown, expired or revoked"
            raise Problem(status=401, code="token_invalid", detail=detail)
        return Principal(subject, frozenset(), machine=True)


def require(*roles: Role) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]:
    """A guard that lets callers with any of ``roles`` pass; without roles, any authenticated caller."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        user: Principal | None = connection.scope.get("user")
        if user is None:
            raise Problem(status=401, code="unauthenticated", detail="this route needs a bearer token")
        if user.machine or (roles and not user.has(*roles)):
            wanted = ", ".join(sorted(roles)) or "people"
            raise Problem(status=403, code="forbidden", detail=f"this route is for: {wanted}")

    return guard


def machines(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard that lets callers with an API token of this service pass, and no people."""
    user: Principal | None = connection.scope.get("user")
    if user is None:
        raise Problem(status=401, code="unauthenticated", detail="this route needs an API token")
    if not user.machine:
        raise Problem(status=403, code="forbidden", detail="this route is for systems with an API token")
