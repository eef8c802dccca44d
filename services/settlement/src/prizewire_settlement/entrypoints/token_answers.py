"""What settlement's routes answer about tokens of sources."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_settlement.entrypoints.rule_answers import SourceName
from prizewire_settlement.ports import SourceToken


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
