"""``/api/source-tokens``: API tokens with which game servers report over HTTP."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.http import BY_TIME_AND_ID, Action, HttpContext, OptionalKey, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_contracts.text import Ascii, Label
from prizewire_settlement.competitions.http.answers import SourceName
from prizewire_settlement.http import STATUSES, Filter, admins
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
        90, description="How long it is valid, in days.", examples=[90]
    )


class RotateBody(_Body):
    """A successor for a token; the former token stays valid for a while."""

    valid_days: Annotated[int, Field(strict=True, ge=1)] = Field(
        90, description="How long the successor is valid, in days.", examples=[90]
    )
    overlap_s: Annotated[int, Field(strict=True, ge=0, le=30 * 86_400)] = Field(
        3_600, description="How long the former token stays valid, in seconds.", examples=[3_600]
    )


_RANDOM_BYTES = 32
_Action = Action[SourceTokens, SourceTokens]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenContext(HttpContext[SourceTokens, SourceTokens]):
    """What the routes of source tokens share. A token is valid for at most ``days_max`` days."""

    days_max: int

    def validity(self, days: int) -> timedelta:
        """How long a token is valid.

        Raises:
            Problem: 422 ``validity_too_long``.
        """
        if days > self.days_max:
            raise STATUSES.refuse(
                "validity_too_long",
                f"{days} days exceed the longest validity of a token: ask for at most {self.days_max} days",
            )
        return timedelta(days=days)


def source_token_controller(context: TokenContext) -> type[Controller]:
    """``/api/source-tokens``, for admins; everything is audited. A token is shown once, in the answer that made it."""

    class SourceTokenController(Controller):
        path = "/api/source-tokens"
        guards = [admins]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["source tokens"]  # noqa: RUF012 - Litestar reads a plain list

        @post("/", summary="Make a token for one source", refusals={422: ("validity_too_long",)})
        async def create(
            self,
            data: JSONBody[TokenBody],
            request: Request[Any, Any, Any],
            key: OptionalKey = None,
        ) -> Response[NewTokenAnswer]:
            """With an Idempotency-Key a repeated request makes no second token, and is answered with ``token: null``,
            since the text of a token is not stored.
            """
            secret, validity = _secret(), context.validity(data.valid_days)

            async def make(action: _Action) -> tuple[int, NewTokenAnswer]:
                token = SourceToken(
                    id=action.id,
                    source=data.source,
                    label=data.label,
                    created_by=action.actor.subject,
                    created_at=action.now,
                    expires_at=action.now + validity,
                )
                await make_token(token=token, secret=secret, store=action.unit_of_work)
                await action.record("source_token.created", target=str(token.id), detail=_audited(token))
                return 201, NewTokenAnswer(**dict(token_answer(token)), token=None)

            return await context.once(
                make,
                answers=NewTokenAnswer,
                actor=request.user,
                route="POST /api/source-tokens",
                key=key,
                body=data.model_dump(mode="json"),
                key_required=False,
                shown_once={"token": secret},
            )

        @get("/", summary="Tokens, without their text, newest first")
        async def many(
            self,
            source: Filter = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[TokenAnswer]:
            size, before = page_limit(limit), BY_TIME_AND_ID.read(cursor)
            found = await context.read(lambda tokens: tokens.page(source=source, before=before, limit=size))
            return BY_TIME_AND_ID.page(
                found, limit=size, key=lambda token: (token.created_at, token.id), show=token_answer
            )

        @post(
            "/{token_id:uuid}/rotate",
            summary="Make a token's successor; both are valid for a while",
            refusals={**NO_TOKEN, 409: ("token_ended",), 422: ("validity_too_long",)},
        )
        async def rotate(
            self,
            token_id: FromPath[UUID],
            data: JSONBody[RotateBody],
            request: Request[Any, Any, Any],
            key: OptionalKey = None,
        ) -> Response[RotatedTokenAnswer]:
            """One Idempotency-Key makes one successor. Its text is shown once: a repeated request is answered with ``token: null``."""
            secret, validity = _secret(), context.validity(data.valid_days)

            async def rotate(action: _Action) -> tuple[int, RotatedTokenAnswer]:
                former, successor = await rotate_token(
                    token_id=token_id,
                    successor_id=action.id,
                    secret=secret,
                    expires_at=action.now + validity,
                    overlap_until=action.now + timedelta(seconds=data.overlap_s),
                    actor=action.actor.subject,
                    store=action.unit_of_work,
                    now=action.now,
                )
                detail = {**_audited(successor), "former": str(former.id)}
                await action.record("source_token.rotated", target=str(successor.id), detail=detail)
                answer = RotatedTokenAnswer(
                    **dict(token_answer(successor)), token=None, former=token_answer(former)
                )
                return 201, answer

            return await context.once(
                rotate,
                answers=RotatedTokenAnswer,
                actor=request.user,
                route=f"POST /api/source-tokens/{token_id}/rotate",
                key=key,
                body=data.model_dump(mode="json"),
                key_required=False,
                shown_once={"token": secret},
            )

        @delete(
            "/{token_id:uuid}",
            status_code=200,
            summary="Revoke a token at once",
            refusals=NO_TOKEN,
        )
        async def revoke(self, token_id: FromPath[UUID], request: Request[Any, Any, Any]) -> TokenAnswer:
            async def revoke(action: _Action) -> SourceToken:
                revoked = await revoke_token(token_id=token_id, store=action.unit_of_work, now=action.now)
                await action.record("source_token.revoked", target=str(revoked.id), detail=_audited(revoked))
                return revoked

            return token_answer(await context.change(revoke, actor=request.user))

    return SourceTokenController


def _secret() -> str:
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def _audited(token: SourceToken) -> dict[str, str]:
    return {"source": token.source, "label": token.label, "expires_at": token.expires_at.isoformat()}
