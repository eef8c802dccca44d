"""Callers: bearer tokens, roles, and guards for routes. Identity itself is managed elsewhere."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import jwt
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from prizewire_chassis.jwks import KeySource, TokenKeysUnavailable
from prizewire_chassis.problems import Problem

OWN_PROOF: Final[Mapping[str, Any]] = {"exclude_from_auth": True}
"""``opt`` of a route that authenticates its callers itself: its ``Authorization`` header is ignored here."""
_LEEWAY_S = 30
_HS256 = "HS256"
_KID_CHARS_MAX = 200
_TOKEN_ERRORS: Final[Mapping[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.InvalidSignatureError: "its signature is not that of its key",
    jwt.InvalidAudienceError: "its audience (aud) is not this service's",
    jwt.InvalidIssuerError: "its issuer (iss) is not this service's",
    jwt.exceptions.InvalidSubjectError: "its subject (sub) is no text",
    jwt.DecodeError: "it cannot be read as a JWT, which has three Base64url parts with dots between ({error})",
}
"""Sentences for the errors of PyJWT; a subclass stands before its class."""


class Role(StrEnum):
    """The roles of callers. A player sees only their own data."""

    PLAYER = "player"
    ORGANIZER = "organizer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. A ``machine`` has an API token of the service, which the person ``issued_by`` made. It has no
    roles, and only the guard ``machines`` lets it pass.
    """

    subject: str
    roles: frozenset[Role]
    machine: bool = False
    issued_by: str | None = None

    @property
    def player(self) -> str:
        """The caller's player id."""
        return self.subject

    def has(self, *roles: Role) -> bool:
        """Whether the caller has any of ``roles``."""
        return bool(self.roles.intersection(roles))


class TokenReader:
    """Checks access tokens: signature, issuer, audience, expiry, not-before.

    A token names its key (``kid``), and the key decides the algorithm. HS256 is accepted only where ``hs256_secret`` is
    given, which is for development: everybody who can check such a token can make one.
    """

    def __init__(
        self, *, keys: KeySource | None, issuer: str, audience: str, hs256_secret: str | None = None
    ) -> None:
        self._keys = keys
        self._hs256_secret = hs256_secret
        self._issuer = issuer
        self._audience = audience

    async def read(self, token: str) -> Principal:
        """The caller that a token names.

        Raises:
            Problem: 401 ``token_invalid``, 503 ``token_keys_unavailable``.
        """
        try:
            key, algorithm = await self._key_of(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "sub", "iss", "aud"]},
            )
            roles = _roles(claims.get("roles", []))
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Problem(
                status=401, code="token_invalid", detail=f"the token was refused: {_plain(error)}"
            ) from None
        except TokenKeysUnavailable:
            detail = "the public keys of access tokens cannot be fetched now; try again later"
            raise Problem(status=503, code="token_keys_unavailable", detail=detail) from None
        return Principal(claims["sub"], roles)

    async def _key_of(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        """The key and the algorithm that a token must be signed with."""
        if header.get("alg") == _HS256 and self._hs256_secret is not None:
            return self._hs256_secret, _HS256
        kid = header.get("kid")
        if not isinstance(kid, str) or not 1 <= len(kid) <= _KID_CHARS_MAX:
            raise ValueError("it does not name its key (kid)")
        found = None if self._keys is None else await self._keys.find(kid)
        if found is None:
            raise ValueError("its key (kid) is unknown to this service")
        if header.get("alg") != found.algorithm:
            raise ValueError("its algorithm (alg) is not the one of its key")
        if not found.is_valid_at(time.time()):
            raise ValueError("its key is not valid at this time")
        return found.key, found.algorithm


def _plain(error: Exception) -> str:
    """What is wrong with a token, as a sentence about it."""
    for kind, sentence in _TOKEN_ERRORS.items():
        if isinstance(error, kind):
            return sentence.format(error=error)
    return str(error)


def _roles(claim: Any) -> frozenset[Role]:
    if not isinstance(claim, list):
        raise TypeError("its roles are not a list")
    return frozenset(Role(name) for name in claim)


@dataclass(frozen=True, slots=True)
class ApiTokens:
    """Opaque bearer tokens that a service issued to other systems. They begin with ``prefix``. ``read`` returns the system
    and the person who issued the token, or None where the token is unknown, expired or revoked.
    """

    prefix: str
    read: Callable[[str], Awaitable[tuple[str, str] | None]]


class Authentication(AbstractAuthenticationMiddleware):
    """Reads the bearer token, where a request has one. Guards decide whether a token is required."""

    def __init__(self, app: ASGIApp, reader: TokenReader, api_tokens: ApiTokens | None = None) -> None:
        super().__init__(app, exclude=["^/health", "^/metrics", "^/schema"])
        self._reader = reader
        self._api_tokens = api_tokens

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """The caller; None without a token."""
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
            return await self._reader.read(token)
        found = await given.read(token)
        if found is None:
            detail = "the API token is unknown, expired or revoked"
            raise Problem(status=401, code="token_invalid", detail=detail)
        subject, issued_by = found
        return Principal(subject, frozenset(), machine=True, issued_by=issued_by)


@dataclass(frozen=True, slots=True)
class People:
    """A guard that lets callers with any of ``roles`` pass; without roles, any person with a token."""

    roles: frozenset[Role]

    @property
    def sentence(self) -> str:
        """The roles that may call the route."""
        return f"this route is for: {', '.join(sorted(self.roles)) or 'people'}"

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        """Refuse others.

        Raises:
            Problem: 401 ``unauthenticated``, 403 ``forbidden``.
        """
        user: Principal | None = connection.scope.get("user")
        if user is None:
            raise Problem(status=401, code="unauthenticated", detail="this route needs a bearer token")
        if user.machine or (self.roles and not user.has(*self.roles)):
            raise Problem(status=403, code="forbidden", detail=self.sentence)


@dataclass(frozen=True, slots=True)
class Machines:
    """A guard that lets callers with an API token of this service pass, and no people."""

    sentence: str = "this route is for systems with an API token"

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        """Refuse others.

        Raises:
            Problem: 401 ``unauthenticated``, 403 ``forbidden``.
        """
        user: Principal | None = connection.scope.get("user")
        if user is None:
            raise Problem(status=401, code="unauthenticated", detail="this route needs an API token")
        if not user.machine:
            raise Problem(status=403, code="forbidden", detail=self.sentence)


def require(*roles: Role) -> People:
    """The guard of a route for people with any of ``roles``; without roles, for any of them."""
    return People(frozenset(roles))


machines = Machines()
"""The guard of a route for systems."""
