"""`/api/admin/payouts/reviews`: transactions whose outcome two persons must decide. Every step is audited."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Problem
from prizewire_chassis.http.answers import Items
from prizewire_chassis.http.refusals import Refusals
from prizewire_contracts.text import Reason
from prizewire_payouts.errors import ReviewNotFound
from prizewire_payouts.http.members import TxHash
from prizewire_payouts.http.parts import HttpParts, RequiredKey, act, problem
from prizewire_payouts.payouts.ports import Store
from prizewire_payouts.stellar.domain.review import LedgerWord, Review, ReviewOutcome
from prizewire_payouts.stellar.domain.states import AttemptState
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

_PATH = "/api/admin/payouts/reviews"
_NO_REVIEW: Refusals = {404: ("review_not_found",)}
_WEIGHED = (
    "slot_not_consumed",
    "ledger_contradicts",
    "evidence_not_of_slot",
    "facts_mismatch",
)
"""What the ledger, as all nodes show it, has against evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewParts:
    """What the controller works with beside ``HttpParts``: the nodes that are asked, and the rows."""

    rpcs: Sequence[ChainRpc]
    reviews: Callable[[AsyncConnection], Reviews]
    grace_s: int = EVIDENCE_GRACE_S


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
    """The second person's word, which repeats what is confirmed."""

    model_config = ConfigDict(extra="forbid")

    outcome: ReviewOutcome = Field(description="As in the evidence.", examples=["succeeded"])
    tx_hash: TxHash | None = Field(None, description="As in the evidence.")
    note: Reason | None = Field(None, examples=["Seen in a second archive"])


class Doubt(BaseModel):
    """Why evidence is taken back or not believed."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(examples=["The hash is of another channel"])


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every route needs before and after its work."""

    parts: HttpParts
    review_parts: ReviewParts

    def reviews(self, tx: AsyncConnection) -> Reviews:
        return self.review_parts.reviews(tx)

    async def find(self, review_id: int) -> Review:
        async with self.parts.db.transaction() as tx:
            found = await self.reviews(tx).find(review_id)
        if found is None:
            raise problem(ReviewNotFound(f"transaction {review_id} is not, and never was, in review"))
        return found

    async def ask(self, review_id: int, tx_hash: str | None) -> LedgerWord | None:
        """What the ledger shows, asked outside any transaction; None for what is decided, which needs no asking."""
        review = await self.find(review_id)
        if review.state is not AttemptState.REVIEW:
            return None
        try:
            return await ask_ledger(rpcs=self.review_parts.rpcs, review=review, tx_hash=tx_hash)
        except RpcUnavailable as error:
            detail = "a node of the chain does not answer: nobody decides without it"
            raise Problem(status=503, code="chain_unavailable", detail=detail) from error

    async def note(
        self,
        tx: AsyncConnection,
        actor: Principal,
        action: str,
        *,
        review: Review,
        reason: str | None,
        detail: dict[str, Any],
    ) -> None:
        await self.parts.audit.record(
            tx,
            actor=actor.subject,
            action=action,
            target=f"{review.account}/{review.sequence}",
            reason=reason,
            detail={"transaction": review.attempt_id, "state": str(review.state), **detail},
            correlation_id=str(review.slot_id),
        )


def reviews_controller(parts: HttpParts, review_parts: ReviewParts) -> type[Controller]:
    """The controller over these parts."""
    desk = _Desk(parts, review_parts)

    class ReviewsController(Controller):
        path = _PATH
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Stellar transactions that wait for two persons' decision, newest first")
        async def list_reviews(self) -> Items[ReviewAnswer]:
            async with parts.db.transaction() as tx:
                found = await desk.reviews(tx).open()
            return Items(items=[review_answer(one) for one in found])

        @get(
            "/{review_id:int}",
            summary="A transaction that is or was in review, with all evidence",
            refusals=_NO_REVIEW,
        )
        async def one(self, review_id: FromPath[int]) -> ReviewAnswer:
            return review_answer(await desk.find(review_id))

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
            word = await desk.ask(review_id, data.tx_hash)

            async def work(
                tx: AsyncConnection, _: Store, identifier: UUID | None
            ) -> tuple[int, ReviewAnswer]:
                assert identifier is not None
                review = await file_evidence(
                    desk.reviews(tx),
                    attempt_id=review_id,
                    evidence_id=identifier,
                    outcome=data.outcome,
                    tx_hash=data.tx_hash,
                    ledger=data.ledger,
                    found=data.evidence,
                    reason=data.reason,
                    by=request.user.subject,
                    word=word,
                    now=parts.clock.now(),
                )
                detail = {"evidence_id": str(identifier), **_said(data.outcome, data.tx_hash, data.ledger)}
                await desk.note(
                    tx,
                    request.user,
                    "stellar.evidence_filed",
                    review=review,
                    reason=data.reason,
                    detail=detail,
                )
                return 201, review_answer(review)

            return await act(
                parts,
                ReviewAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{review_id}/evidence",
                key=key,
                body=data.model_dump(mode="json"),
                key_required=True,
                work=work,
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
            word = await desk.ask(review_id, data.tx_hash)

            async def work(tx: AsyncConnection, _: Store, __: UUID | None) -> tuple[int, SettledAnswer]:
                review, settlement = await confirm_evidence(
                    desk.reviews(tx),
                    attempt_id=review_id,
                    evidence_id=evidence_id,
                    outcome=data.outcome,
                    tx_hash=data.tx_hash,
                    note=data.note,
                    by=request.user.subject,
                    word=word,
                    grace_s=review_parts.grace_s,
                    now=parts.clock.now(),
                )
                detail = {
                    "evidence_id": str(evidence_id),
                    **settlement_answer(settlement).model_dump(mode="json"),
                }
                await desk.note(
                    tx,
                    request.user,
                    "stellar.evidence_confirmed",
                    review=review,
                    reason=data.note,
                    detail=detail,
                )
                return 200, settled_answer(review, settlement)

            return await act(
                parts,
                SettledAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{review_id}/evidence/{evidence_id}/confirm",
                key=key,
                body=data.model_dump(mode="json"),
                key_required=True,
                work=work,
            )

        @post(
            "/{review_id:int}/evidence/{evidence_id:uuid}/refuse",
            status_code=200,
            summary="Take evidence back, or say that it is not believed",
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
            async def work(tx: AsyncConnection, _: Store, __: UUID | None) -> tuple[int, ReviewAnswer]:
                review = await refuse_evidence(
                    desk.reviews(tx),
                    attempt_id=review_id,
                    evidence_id=evidence_id,
                    note=data.reason,
                    by=request.user.subject,
                    now=parts.clock.now(),
                )
                detail = {"evidence_id": str(evidence_id)}
                await desk.note(
                    tx,
                    request.user,
                    "stellar.evidence_refused",
                    review=review,
                    reason=data.reason,
                    detail=detail,
                )
                return 200, review_answer(review)

            return await act(
                parts,
                ReviewAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{review_id}/evidence/{evidence_id}/refuse",
                key=key,
                body=data.model_dump(mode="json"),
                key_required=True,
                work=work,
            )

    return ReviewsController


def _said(outcome: ReviewOutcome, tx_hash: str | None, ledger: int | None) -> dict[str, Any]:
    return {"outcome": str(outcome), "tx_hash": tx_hash, "ledger": ledger}
