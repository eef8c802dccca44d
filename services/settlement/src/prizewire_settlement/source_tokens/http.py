"""``/api/source-tokens``: API tokens with which game servers report over HTTP."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID, uuid4

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import Problem, encode_cursor, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_chassis.idempotency import Answer, idempotent
from prizewire_contracts.text import Ascii, Label
from prizewire_settlement.competitions.http.answers import SourceName
from prizewire_settlement.errors import TokenEnded, TokenMissing
from prizewire_settlement.http import IdempotencyKey, Words, place_of, writers
from prizewire_settlement.source_tokens.domain import PREFIX, SourceToken
from prizewire_settlement.source_tokens.handlers import make_token, revoke_token, rotate_token
from prizewire_settlement.source_tokens.ports import SourceTokens


class TokenAnswer(AnswerModel):
    """An API token of a source, without its text."""

    id: Id
    source: SourceName
    label: Annotated[str, Field(examples=["eu-west, blue"])]
    created_by: Annotated[str, Field(examples=["ada"])]
    created_at: Moment
    expires_at: Annotated[Moment, Field(examples=["2026-07-30T12:00:00Z"])]
    revoked_at: Annotated[Moment | None, Field(examples=[None])]


class NewTokenAnswer(TokenAnswer):
    """A token just made. Its text is shown only here, once."""

    token: Annotated[
        str | None,
        Field(
            description="The text to send as Bearer token. Keep it: it cannot be read again. Null where the request is "
            "repeated under its Idempotency-Key, since the text is not kept.",
            examples=["pws_…"],
        ),
    ]


class RotatedTokenAnswer(NewTokenAnswer):
    """The successor of a token, and the former with the time at which it ends."""

    former: TokenAnswer


def token_answer(token: SourceToken) -> TokenAnswer:
    """A token without its text."""
    return TokenAnswer(
        id=token.id,
        source=token.source,
        label=token.label,
        created_by=token.created_by,
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
    )


NO_TOKEN: Final = {404: ("token_unknown",)}


class _Body(BaseModel):
    """A body with an unknown field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenBody(_Body):
    """An API token for one source."""

    source: Ascii = Field(
        description="The CloudEvents source that may report with it.", examples=["/games/chess"]
    )
    label: Label = Field("", description="For people: where it is used.", examples=["eu-west, blue"])
    valid_days: Annotated[int, Field(strict=True, ge=1)] = Field(
        90, description="How long it counts.", examples=[90]
    )


class RotateBody(_Body):
    """A successor for a token, which counts for a while yet."""

    valid_days: Annotated[int, Field(strict=True, ge=1)] = Field(
        90, description="How long the successor counts.", examples=[90]
    )
    overlap_s: Annotated[int, Field(strict=True, ge=0, le=30 * 86_400)] = Field(
        3_600, description="How long the former still counts, in seconds.", examples=[3_600]
    )


_RANDOM_BYTES = 32
_Shown = TypeVar("_Shown", bound=NewTokenAnswer)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenContext:
    """What the routes of source tokens use. A token is valid for at most ``days_max`` days."""

    db: Database
    clock: Clock
    audit: Audit
    tokens: Callable[[AsyncConnection], SourceTokens]
    days_max: int


def source_token_controller(context: TokenContext) -> type[Controller]:  # noqa: C901 - a list of routes
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
            now, actor, secret = context.clock.now(), request.user.subject, _secret()
            validity = _validity(context, data.valid_days)

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
                    await make_token(token=token, secret=secret, store=context.tokens(tx))
                    await _audit(context, tx, "source_token.created", token, actor)
                    return 201, token_answer(token).model_dump(mode="json")

                return await _once(
                    tx, actor=actor, route="POST /api/source-tokens", key=key, data=data, now=now, make=make
                )

            return _shown_once(NewTokenAnswer, await context.db.run(attempt), secret)

        @get("/", summary="Tokens, without their text, newest first")
        async def many(
            self,
            source: Words = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[TokenAnswer]:
            size = page_limit(limit)
            async with context.db.transaction() as tx:
                found = await context.tokens(tx).page(source=source, before=place_of(cursor), limit=size)
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
            now, actor, secret = context.clock.now(), request.user.subject, _secret()
            validity = _validity(context, data.valid_days)

            async def attempt(tx: AsyncConnection) -> Answer:
                async def make(identifier: UUID) -> tuple[int, Any]:
                    former, successor = await rotate_token(
                        token_id=token_id,
                        successor_id=identifier,
                        secret=secret,
                        expires_at=now + validity,
                        overlap_until=now + timedelta(seconds=data.overlap_s),
                        actor=actor,
                        store=context.tokens(tx),
                        now=now,
                    )
                    await _audit(context, tx, "source_token.rotated", successor, actor, former=str(former.id))
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
                return _shown_once(RotatedTokenAnswer, await context.db.run(attempt), secret)
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
            now, actor = context.clock.now(), request.user.subject

            async def work(tx: AsyncConnection) -> SourceToken:
                revoked = await revoke_token(token_id=token_id, store=context.tokens(tx), now=now)
                await _audit(context, tx, "source_token.revoked", revoked, actor)
                return revoked

            try:
                return token_answer(await context.db.run(work))
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


def _validity(context: TokenContext, days: int) -> timedelta:
    if days > context.days_max:
        detail = f"a token counts for at most {context.days_max} days"
        raise Problem(status=422, code="validity_too_long", detail=detail)
    return timedelta(days=days)


async def _audit(
    context: TokenContext, tx: AsyncConnection, action: str, token: SourceToken, actor: str, **more: str
) -> None:
    detail = {"source": token.source, "label": token.label, "expires_at": token.expires_at.isoformat()}
    await context.audit.record(
        tx, actor=actor, action=action, target=str(token.id), detail={**detail, **more}
    )


def _missing(token_id: UUID) -> Problem:
    return Problem(status=404, code="token_unknown", detail=f"there is no token {token_id}")
