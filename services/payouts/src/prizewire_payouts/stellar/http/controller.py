"""`/api/admin/payouts/reviews/transactions`: transactions whose outcome two persons decide. Every decision is audited."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, Problem, RequiredKey
from prizewire_chassis.http.answers import Items
from prizewire_chassis.http.refusals import Refusals
from prizewire_contracts.text import Reason
from prizewire_payouts.http import Context, TxHash
from prizewire_payouts.stellar.domain.review import LedgerReport, Review, ReviewOutcome
from prizewire_payouts.stellar.domain.states import ReviewNotFound, TransactionState
from prizewire_payouts.stellar.handlers.reviewing import (
    EVIDENCE_GRACE_S,
    ask_ledger,
    confirm_evidence,
    file_evidence,
    refuse_evidence,
)
from prizewire_payouts.stellar.http.answers import (
    ReviewAnswer,
    SettledAnswer,
    review_answer,
    settled_answer,
    settlement_answer,
)
from prizewire_payouts.stellar.ports import ChainRpc, Reviews, RpcUnavailable
from prizewire_payouts.unit_of_work import UnitOfWork

_PATH = "/api/admin/payouts/reviews/transactions"
_NO_REVIEW: Refusals = {404: ("review_not_found",)}
_WEIGHED = (
    "slot_not_consumed",
    "ledger_contradicts",
    "evidence_not_of_slot",
    "facts_mismatch",
)
"""Codes of evidence that the ledger, as all nodes show it, contradicts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewContext(Context):
    """The context of the controller: the nodes that are asked, and the stored reviews."""

    rpcs: Sequence[ChainRpc]
    reviews: Callable[[AsyncConnection], Reviews]
    grace_s: int = EVIDENCE_GRACE_S

    async def find(self, review_id: int) -> Review:
        """A transaction that is or was in review.

        Raises:
            Problem: 404 ``review_not_found``.
        """

        async def read(unit_of_work: UnitOfWork) -> Review:
            found = await self.reviews(unit_of_work.tx).find(review_id)
            if found is None:
                raise ReviewNotFound(f"transaction {review_id} is not, and never was, in review")
            return found

        return await self.read(read)

    async def ask(self, review_id: int, tx_hash: str | None) -> LedgerReport | None:
        """What the ledger shows, asked outside any transaction; None for a review that is decided.

        Raises:
            Problem: 503 ``chain_unavailable``.
        """
        review = await self.find(review_id)
        if review.state is not TransactionState.REVIEW:
            return None
        try:
            return await ask_ledger(rpcs=self.rpcs, review=review, tx_hash=tx_hash)
        except RpcUnavailable as error:
            detail = "a node of the chain does not answer: nothing is decided without it; try again later"
            raise Problem(status=503, code="chain_unavailable", detail=detail) from error


class NewEvidence(BaseModel):
    """What one person found of a transaction in review."""

    model_config = ConfigDict(extra="forbid")

    outcome: ReviewOutcome = Field(
        description="succeeded: the payments were made; failed: none of them was.", examples=["succeeded"]
    )
    tx_hash: TxHash | None = Field(
        None, description="The transaction that consumed the slot; needed where the payments were made."
    )
    ledger: Annotated[int, Field(ge=1, lt=2**31, strict=True)] | None = Field(
        None,
        description="The ledger it stands in; needed where the payments were made.",
        examples=[52_417_301],
    )
    evidence: Reason = Field(
        description="What was found, and where others can see it.",
        examples=["History archive, checkpoint 52417343: transaction and its three payments"],
    )
    reason: Reason = Field(
        description="Why a person had to look.",
        examples=["The nodes' memory does not reach back to the send"],
    )


class Confirmation(BaseModel):
    """The second person's confirmation, which repeats the confirmed outcome."""

    model_config = ConfigDict(extra="forbid")

    outcome: ReviewOutcome = Field(description="As in the evidence.", examples=["succeeded"])
    tx_hash: TxHash | None = Field(None, description="As in the evidence.")
    note: Reason | None = Field(None, examples=["Seen in a second archive"])


class Doubt(BaseModel):
    """The reason for withdrawing or refusing evidence."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(examples=["The hash is of another channel"])


def reviews_controller(context: ReviewContext) -> type[Controller]:
    """The controller over this context."""

    class ReviewsController(Controller):
        path = _PATH
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Stellar transactions that wait for two persons' decision, newest first")
        async def list_reviews(self) -> Items[ReviewAnswer]:
            found = await context.read(lambda unit_of_work: context.reviews(unit_of_work.tx).open())
            return Items(items=[review_answer(one) for one in found])

        @get(
            "/{review_id:int}",
            summary="A transaction that is or was in review, with all evidence",
            refusals=_NO_REVIEW,
        )
        async def one(self, review_id: FromPath[int]) -> ReviewAnswer:
            return review_answer(await context.find(review_id))

        @post(
            "/{review_id:int}/evidence",
            summary="File evidence, as the first of two persons",
            refusals={
                **_NO_REVIEW,
                403: ("decider_is_party",),
                409: ("not_in_review", "evidence_open", *_WEIGHED),
                422: ("evidence_incomplete",),
                503: ("chain_unavailable",),
            },
        )
        async def file(
            self,
            review_id: FromPath[int],
            data: JSONBody[NewEvidence],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[ReviewAnswer]:
            report = await context.ask(review_id, data.tx_hash)

            async def file(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, ReviewAnswer]:
                review = await file_evidence(
                    context.reviews(action.tx),
                    attempt_id=review_id,
                    evidence_id=action.id,
                    outcome=data.outcome,
                    tx_hash=data.tx_hash,
                    ledger=data.ledger,
                    found=data.evidence,
                    reason=data.reason,
                    by=action.actor.subject,
                    report=report,
                    now=action.now,
                )
                detail = {
                    "evidence_id": str(action.id),
                    "outcome": str(data.outcome),
                    "tx_hash": data.tx_hash,
                    "ledger": data.ledger,
                }
                await _record(action, "stellar.evidence_filed", review, reason=data.reason, detail=detail)
                return 201, review_answer(review)

            return await context.once(
                file,
                answers=ReviewAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{review_id}/evidence",
                key=key,
                body=data.model_dump(mode="json"),
            )

        @post(
            "/{review_id:int}/evidence/{evidence_id:uuid}/confirm",
            status_code=200,
            guards=[require(Role.APPROVER, Role.ADMIN)],
            summary="Confirm evidence, as the second of two persons: it is settled at once",
            refusals={
                404: ("review_not_found", "evidence_not_found"),
                403: ("decider_is_party", "same_person"),
                409: (
                    "not_in_review",
                    "evidence_not_open",
                    "evidence_contradicted",
                    "review_too_early",
                    *_WEIGHED,
                ),
                503: ("chain_unavailable",),
            },
        )
        async def confirm(
            self,
            review_id: FromPath[int],
            evidence_id: FromPath[UUID],
            data: JSONBody[Confirmation],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[SettledAnswer]:
            report = await context.ask(review_id, data.tx_hash)

            async def confirm(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, SettledAnswer]:
                review, settlement = await confirm_evidence(
                    context.reviews(action.tx),
                    attempt_id=review_id,
                    evidence_id=evidence_id,
                    outcome=data.outcome,
                    tx_hash=data.tx_hash,
                    note=data.note,
                    by=action.actor.subject,
                    report=report,
                    grace_s=context.grace_s,
                    now=action.now,
                )
                detail = {
                    "evidence_id": str(evidence_id),
                    **settlement_answer(settlement).model_dump(mode="json"),
                }
                await _record(action, "stellar.evidence_confirmed", review, reason=data.note, detail=detail)
                return 200, settled_answer(review, settlement)

            return await context.once(
                confirm,
                answers=SettledAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{review_id}/evidence/{evidence_id}/confirm",
                key=key,
                body=data.model_dump(mode="json"),
            )

        @post(
            "/{review_id:int}/evidence/{evidence_id:uuid}/refuse",
            status_code=200,
            summary="Withdraw or refuse evidence",
            refusals={404: ("review_not_found", "evidence_not_found"), 409: ("evidence_not_open",)},
        )
        async def refuse(
            self,
            review_id: FromPath[int],
            evidence_id: FromPath[UUID],
            data: JSONBody[Doubt],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[ReviewAnswer]:
            async def refuse(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, ReviewAnswer]:
                review = await refuse_evidence(
                    context.reviews(action.tx),
                    attempt_id=review_id,
                    evidence_id=evidence_id,
                    note=data.reason,
                    by=action.actor.subject,
                    now=action.now,
                )
                detail = {"evidence_id": str(evidence_id)}
                await _record(action, "stellar.evidence_refused", review, reason=data.reason, detail=detail)
                return 200, review_answer(review)

            return await context.once(
                refuse,
                answers=ReviewAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{review_id}/evidence/{evidence_id}/refuse",
                key=key,
                body=data.model_dump(mode="json"),
            )

    return ReviewsController


async def _record(
    action: Action[UnitOfWork, UnitOfWork],
    name: str,
    review: Review,
    *,
    reason: str | None,
    detail: dict[str, Any],
) -> None:
    await action.record(
        name,
        target=f"{review.account}/{review.sequence}",
        reason=reason,
        detail={"transaction": review.attempt_id, "state": str(review.state), **detail},
        correlation_id=str(review.slot_id),
    )
