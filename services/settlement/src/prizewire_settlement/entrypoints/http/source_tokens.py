"""``/api/source-tokens``: API tokens with which game servers report over HTTP."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import Page, Problem, decode_cursor, encode_cursor, page_limit
from prizewire_chassis.idempotency import Answer, idempotent
from prizewire_settlement.entrypoints.http import examples
from prizewire_settlement.entrypoints.http.match_bodies import RotateBody, TokenBody
from prizewire_settlement.entrypoints.http.parts import HttpParts, IdempotencyKey, Words, bad_cursor, writers
from prizewire_settlement.handlers.source_tokens import (
    PREFIX,
    TokenEnded,
    TokenMissing,
    make_token,
    revoke_token,
    rotate_token,
)
from prizewire_settlement.ports import SourceToken

__all__ = ["source_token_controller"]

_RANDOM_BYTES = 32


def source_token_controller(parts: HttpParts) -> type[Controller]:  # noqa: C901 - a list of routes
    """``/api/source-tokens``, for admins; everything is audited. A token is shown once, in the answer that made it."""

    class SourceTokenController(Controller):
        path = "/api/source-tokens"
        guards = [writers]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["source tokens"]  # noqa: RUF012 - Litestar reads a plain list

        @post("/", summary="Make a token for one source", responses=examples.TOKEN_CREATED)
        async def create(
            self,
            data: JSONBody[TokenBody],
            request: Request[Any, Any, Any],
            key: IdempotencyKey = None,
        ) -> Response[dict[str, Any]]:
            """With an Idempotency-Key a repeated request makes no second token, and is answered with ``token: null``,
            since its text is not kept.
            """
            now, actor, secret = parts.clock.now(), request.user.subject, _secret()
            validity = _validity(parts, data.valid_days)

            async def attempt(tx: AsyncConnection) -> Answer:
                async def make(identifier: UUID) -> tuple[int, Any]:
                    token = SourceToken(
                        id=identifier,
                        source=data.source,
                        label=data.label,
                        created_by=actor,
                        created_at=now,
                        expires_at=now + validity,
                    )
                    await make_token(token=token, secret=secret, store=parts.tokens(tx))
                    await _audit(parts, tx, "source_token.created", token, actor)
                    return 201, _token_json(token)

                return await _once(
                    tx, actor=actor, route="POST /api/source-tokens", key=key, data=data, now=now, make=make
                )

            return _shown_once(await parts.db.run(attempt), secret)

        @get("/", summary="Tokens, without their text", responses=examples.TOKENS)
        async def many(
            self,
            source: Words = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> Page:
            size = page_limit(limit)
            async with parts.db.transaction() as tx:
                found = await parts.tokens(tx).page(source=source, after=_after(cursor), limit=size)
            return {
                "items": [_token_json(token) for token in found],
                "next_cursor": encode_cursor([str(found[-1].id)]) if len(found) == size else None,
            }

        @post(
            "/{token_id:uuid}/rotate",
            summary="Make a token's successor; both count for a while",
            responses=examples.TOKEN_ROTATED,
        )
        async def rotate(
            self,
            token_id: FromPath[UUID],
            data: JSONBody[RotateBody],
            request: Request[Any, Any, Any],
            key: IdempotencyKey = None,
        ) -> Response[dict[str, Any]]:
            """As for making one: under one Idempotency-Key there is one successor, whose text is shown once."""
            now, actor, secret = parts.clock.now(), request.user.subject, _secret()
            validity = _validity(parts, data.valid_days)

            async def attempt(tx: AsyncConnection) -> Answer:
                async def make(identifier: UUID) -> tuple[int, Any]:
                    former, successor = await rotate_token(
                        token_id=token_id,
                        successor_id=identifier,
                        secret=secret,
                        expires_at=now + validity,
                        overlap_until=now + timedelta(seconds=data.overlap_s),
                        actor=actor,
                        store=parts.tokens(tx),
                        now=now,
                    )
                    await _audit(parts, tx, "source_token.rotated", successor, actor, former=str(former.id))
                    return 201, {**_token_json(successor), "former": _token_json(former)}

                return await _once(
                    tx,
                    actor=actor,
                    route=f"POST /api/source-tokens/{token_id}/rotate",
                    key=key,
                    data=data,
                    now=now,
                    make=make,
                )

            try:
                return _shown_once(await parts.db.run(attempt), secret)
            except TokenMissing:
                raise _missing(token_id) from None
            except TokenEnded:
                detail = f"the token {token_id} has ended; make a new one"
                raise Problem(status=409, code="token_ended", detail=detail) from None

        @delete(
            "/{token_id:uuid}",
            status_code=200,
            summary="Revoke a token at once",
            responses=examples.TOKEN_REVOKED,
        )
        async def revoke(self, token_id: FromPath[UUID], request: Request[Any, Any, Any]) -> dict[str, Any]:
            now, actor = parts.clock.now(), request.user.subject

            async def work(tx: AsyncConnection) -> SourceToken:
                revoked = await revoke_token(token_id=token_id, store=parts.tokens(tx), now=now)
                await _audit(parts, tx, "source_token.revoked", revoked, actor)
                return revoked

            try:
                return _token_json(await parts.db.run(work))
            except TokenMissing:
                raise _missing(token_id) from None

    return SourceTokenController


async def _once(
    tx: AsyncConnection,
    *,
    actor: str,
    route: str,
    key: str | None,
    data: BaseModel,
    now: datetime,
    make: Callable[[UUID], Awaitable[tuple[int, Any]]],
) -> Answer:
    """Make a token once under its key, or at each call without one. What is stored holds no token."""
    if key is None:
        status, made = await make(uuid4())
        return Answer(status, made, replayed=False)
    body = data.model_dump(mode="json")
    return await idempotent(tx, actor=actor, route=route, key=key, body=body, now=now, work=make)


def _shown_once(answer: Answer, secret: str) -> Response[dict[str, Any]]:
    headers = {"idempotency-replayed": "true"} if answer.replayed else {}
    token = None if answer.replayed else secret
    return Response({**answer.body, "token": token}, status_code=answer.status, headers=headers)


def _secret() -> str:
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def _validity(parts: HttpParts, days: int) -> timedelta:
    if days > parts.token_days_max:
        detail = f"a token counts for at most {parts.token_days_max} days"
        raise Problem(status=422, code="validity_too_long", detail=detail)
    return timedelta(days=days)


async def _audit(
    parts: HttpParts, tx: AsyncConnection, action: str, token: SourceToken, actor: str, **more: str
) -> None:
    detail = {"source": token.source, "label": token.label, "expires_at": token.expires_at.isoformat()}
    await parts.audit.record(tx, actor=actor, action=action, target=str(token.id), detail={**detail, **more})


def _token_json(token: SourceToken) -> dict[str, Any]:
    return {
        "id": str(token.id),
        "source": token.source,
        "label": token.label,
        "created_by": token.created_by,
        "created_at": token.created_at.isoformat(),
        "expires_at": token.expires_at.isoformat(),
        "revoked_at": None if token.revoked_at is None else token.revoked_at.isoformat(),
    }


def _after(cursor: str | None) -> UUID | None:
    values = decode_cursor(cursor, length=1)
    if values is None:
        return None
    try:
        return UUID(values[0])
    except (TypeError, ValueError, AttributeError):
        raise bad_cursor() from None


def _missing(token_id: UUID) -> Problem:
    return Problem(status=404, code="token_unknown", detail=f"there is no token {token_id}")
