"""`/api/payout-methods/{id}/verify`: a player proves that a payout method is theirs."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import Action, Problem
from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_contracts.text import PRINTABLE_OR_EMPTY
from prizewire_payouts.http import Context
from prizewire_payouts.methods.ports import Vault
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.metrics import METHODS, VERIFICATIONS
from prizewire_payouts.unit_of_work import UnitOfWork
from prizewire_payouts.verification.domain import Kind
from prizewire_payouts.verification.handlers import Answered, Begun, begin, confirm
from prizewire_payouts.verification.ports import CodeMail, CodeNotSent, Owners
from prizewire_payouts.verification.storage import VerificationStorage

_UNCHANGED = ("method_removed", "method_already_verified", "method_unreadable")


class BegunAnswer(AnswerModel):
    """A verification that takes an answer."""

    id: Id
    method_id: Id
    kind: Annotated[Kind, Field(description="What proves the owner.", examples=["signature"])]
    challenge: Annotated[
        str | None,
        Field(
            description="The text to sign by the account's key (SEP-53). Null where a code was sent.",
            examples=["I am ana, and this account is my payout method …"],
        ),
    ]
    expires_at: Moment


class Proof(BaseModel):
    """The answer to a verification."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    answer: str = Field(
        min_length=1,
        max_length=256,
        pattern=PRINTABLE_OR_EMPTY,
        repr=False,
        description="The code that was sent, or the signature of the challenge in base64.",
        examples=["12345678"],
    )


class VerifiedAnswer(AnswerModel):
    """A verified payout method."""

    method_id: Id
    version: Annotated[int, Field(description="Counts the changes of its standing, from 1.", examples=[2])]
    verified: Annotated[bool, Field(examples=[True])]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationContext(Context):
    """The context of the controller of verifications. ``mail`` is None where no code can be sent."""

    vault: Vault
    owners: Owners
    mail: CodeMail | None


def verification_controller(context: VerificationContext) -> type[Controller]:
    """The controller over this context."""

    class VerificationController(Controller):
        path = "/api/payout-methods/{method_id:uuid}/verify"
        guards = [require(Role.PLAYER)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payout methods"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/",
            summary="Begin to verify a method: a code is sent, or a challenge is answered",
            refusals={
                404: ("method_not_found",),
                409: (
                    *_UNCHANGED,
                    "verification_not_possible",
                    "verification_not_offered",
                    "too_many_verifications",
                ),
                503: ("code_not_sent",),
            },
        )
        async def begin(
            self, method_id: FromPath[UUID], request: Request[Principal, Any, Any]
        ) -> BegunAnswer:
            async def change(action: Action[UnitOfWork, UnitOfWork]) -> Begun:
                begun = await begin(
                    VerificationStorage(action.unit_of_work),
                    MethodStorage(action.unit_of_work),
                    verification_id=action.id,
                    method_id=method_id,
                    player=request.user.player,
                    owners=context.owners,
                    vault=context.vault,
                    can_send=context.mail is not None,
                    now=action.now,
                )
                after_commit(action.tx, VERIFICATIONS.labels("begun").inc)
                return begun

            begun = await context.change(change, actor=request.user)
            await _send(context.mail, begun)
            found = begun.verification
            return BegunAnswer(
                id=found.verification_id,
                method_id=found.method_id,
                kind=found.kind,
                challenge=found.challenge,
                expires_at=found.expires_at,
            )

        @post(
            "/confirm",
            status_code=200,
            summary="Verify a method by the code or by the signature",
            refusals={
                404: ("method_not_found",),
                409: (
                    *_UNCHANGED,
                    "verification_not_begun",
                    "verification_expired",
                    "verification_failed",
                ),
                422: ("verification_wrong",),
            },
        )
        async def confirm(
            self, method_id: FromPath[UUID], data: JSONBody[Proof], request: Request[Principal, Any, Any]
        ) -> VerifiedAnswer:
            async def change(action: Action[UnitOfWork, UnitOfWork]) -> Answered:
                answered = await confirm(
                    VerificationStorage(action.unit_of_work),
                    MethodStorage(action.unit_of_work),
                    method_id=method_id,
                    player=request.user.player,
                    answer=data.answer,
                    owners=context.owners,
                    vault=context.vault,
                    now=action.now,
                )
                outcome = "wrong" if answered.method is None else "confirmed"
                after_commit(action.tx, VERIFICATIONS.labels(outcome).inc)
                if answered.method is not None:
                    after_commit(action.tx, METHODS.labels("verified").inc)
                    await action.record(
                        "payout_method.verified",
                        target=str(method_id),
                        detail={"player": answered.method.player, "type": answered.method.type},
                    )
                return answered

            answered = await context.change(change, actor=request.user)
            if answered.method is None:
                raise Problem(
                    status=422,
                    code="verification_wrong",
                    detail=f"the answer is wrong: {answered.answers_left} more are accepted",
                )
            return VerifiedAnswer(
                method_id=answered.method.method_id, version=answered.method.version, verified=True
            )

    return VerificationController


async def _send(mail: CodeMail | None, begun: Begun) -> None:
    """Send the code of a verification that is committed.

    Raises:
        Problem: 503 ``code_not_sent``.
    """
    if begun.code is None or mail is None:
        return
    if begun.recipient is None:
        raise Problem(status=503, code="code_not_sent", detail="the method names no address for a code")
    try:
        await mail.send_code(recipient=begun.recipient, code=begun.code)
    except CodeNotSent:
        VERIFICATIONS.labels("not_sent").inc()
        raise Problem(
            status=503, code="code_not_sent", detail="the mail server did not take the code: try again later"
        ) from None
