"""``/api/source-tokens``: API tokens with which game servers report over HTTP."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import Problem, encode_cursor, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.idempotency import Answer, idempotent
from prizewire_settlement.entrypoints.http.codes import NO_TOKEN
from prizewire_settlement.entrypoints.http.match_bodies import RotateBody, TokenBody
from prizewire_settlement.entrypoints.http.parts import HttpParts, IdempotencyKey, Words, place_of, writers
from prizewire_settlement.entrypoints.token_answers import (
    NewTokenAnswer,
    RotatedTokenAnswer,
    TokenAnswer,
    token_answer,
)
from prizewire_settlement.handlers.source_tokens import (
    PREFIX,
    TokenEnded,
    TokenMissing,
    make_token,
    revoke_token,
    rotate_token,
)
from prizewire_settlement.ports import SourceToken

_RANDOM_BYTES = 32
_Shown = TypeVar("_Shown", bound=NewTokenAnswer)


def source_token_controller(parts: HttpParts) -> type[Controller]:  # noqa: C901 - a list of routes
    """``/api/source-tokens``, for admins; everything is audited. A token is shown once, in the answer that made it."""

    class SourceTokenController(Controller):
        path = "/api/source-tokens"
        guards = [writers]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["source tokens"]  # noqa: RUF012 - Litestar reads a plain list

        @post("/", summary="Make a token for one source", refusals={422: ("validity_too_long",)})
        async def create(
            self,
            data: JSONBody[TokenBody],
            request: Request[Any, Any, Any],
            key: IdempotencyKey = None,
        ) -> Response[NewTokenAnswer]:
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
                    return 201, token_answer(token).model_dump(mode="json")

                return await _once(
                    tx, actor=actor, route="POST /api/source-tokens", key=key, data=data, now=now, make=make
                )

            return _shown_once(NewTokenAnswer, await parts.db.run(attempt), secret)

        @get("/", summary="Tokens, without their text, newest first")
        async def many(
            self,
            source: Words = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[TokenAnswer]:
            size = page_limit(limit)
            async with parts.db.transaction() as tx:
                found = await parts.tokens(tx).page(source=source, before=place_of(cursor), limit=size)
            last = [found[-1].created_at.isoformat(), str(found[-1].id)] if len(found) == size else None
            return PageOf(
                items=[token_answer(token) for token in found],
                next_cursor=encode_cursor(last) if last else None,
            )

        @post(
            "/{token_id:uuid}/rotate",
            summary="Make a token's successor; both count for a while",
            refusals={**NO_TOKEN, 409: ("token_ended",), 422: ("validity_too_long",)},
        )
        async def rotate(
            self,
            token_id: FromPath[UUID],
            data: JSONBody[RotateBody],
            request: Request[Any, Any, Any],
            key: IdempotencyKey = None,
        ) -> Response[RotatedTokenAnswer]:
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
                    return 201, {
                        **token_answer(successor).model_dump(mode="json"),
                        "former": token_answer(former).model_dump(mode="json"),
                    }

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
                return _shown_once(RotatedTokenAnswer, await parts.db.run(attempt), secret)
            except TokenMissing:
                raise _missing(token_id) from None
            except TokenEnded:
                detail = f"the token {token_id} has ended; make a new one"
                raise Problem(status=409, code="token_ended", detail=detail) from None

        @delete(
            "/{token_id:uuid}",
            status_code=200,
            summary="Revoke a token at once",
            refusals=NO_TOKEN,
        )
        async def revoke(self, token_id: FromPath[UUID], request: Request[Any, Any, Any]) -> TokenAnswer:
            now, actor = parts.clock.now(), request.user.subject

            async def work(tx: AsyncConnection) -> SourceToken:
                revoked = await revoke_token(token_id=token_id, store=parts.tokens(tx), now=now)
                await _audit(parts, tx, "source_token.revoked", revoked, actor)
                return revoked

            try:
                return token_answer(await parts.db.run(work))
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


def _shown_once(kind: type[_Shown], answer: Answer, secret: str) -> Response[_Shown]:
    headers = {"idempotency-replayed": "true"} if answer.replayed else {}
    shown = kind.model_validate({**answer.body, "token": None if answer.replayed else secret})
    return Response(shown, status_code=answer.status, headers=headers)


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


def _missing(token_id: UUID) -> Problem:
    return Problem(status=404, code="token_unknown", detail=f"there is no token {token_id}")
