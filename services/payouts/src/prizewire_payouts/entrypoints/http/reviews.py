"""`/api/admin/payouts/reviews`: transactions whose outcome two persons must decide. Every step is audited."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, HeaderParameter, JSONBody
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Page, Problem
from prizewire_contracts.text import Reason
from prizewire_payouts.domain.errors import ReviewNotFound
from prizewire_payouts.domain.stellar.review import (
    Evidence,
    LedgerWord,
    Review,
    ReviewOutcome,
    Settlement,
)
from prizewire_payouts.domain.stellar.states import AttemptState
from prizewire_payouts.entrypoints.http.parts import HttpParts, act, problem
from prizewire_payouts.handlers.stellar.ports import ChainRpc, Reviews, RpcUnavailable
from prizewire_payouts.handlers.stellar.reviewing import (
    EVIDENCE_GRACE_S,
    ask_ledger,
    confirm_evidence,
    file_evidence,
    refuse_evidence,
)
from prizewire_payouts.ports import Store

__all__ = ["ReviewParts", "reviews_controller"]

_Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key")]
_Hash = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        examples=["3389e9f0f1a65f19736cacf544c2e825313e8447f569233bb8db39aa607c8889"],
    ),
]
_PATH = "/api/admin/payouts/reviews"


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
    tx_hash: _Hash | None = Field(
        None, description="The transaction that consumed the slot; needed where the payments were made."
    )
    ledger: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(
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

    @model_validator(mode="after")
    def _complete(self) -> "NewEvidence":
        if self.outcome is ReviewOutcome.SUCCEEDED and (self.tx_hash is None or self.ledger is None):
            raise ValueError("payments that were made have a tx_hash and a ledger")
        return self


class Confirmation(BaseModel):
    """The second person's word, which repeats what is confirmed."""

    model_config = ConfigDict(extra="forbid")

    outcome: ReviewOutcome = Field(description="As in the evidence.", examples=["succeeded"])
    tx_hash: _Hash | None = Field(None, description="As in the evidence.")
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

        @get("/", summary="Stellar transactions that wait for two persons' decision, oldest first")
        async def list_reviews(self) -> Page:
            async with parts.db.transaction() as tx:
                found = await desk.reviews(tx).open()
            return {"items": [_shown(one) for one in found], "next_cursor": None}

        @get("/{review_id:int}", summary="A transaction that is or was in review, with all evidence")
        async def one(self, review_id: FromPath[int]) -> dict[str, Any]:
            return _shown(await desk.find(review_id))

        @post("/{review_id:int}/evidence", summary="File evidence, as the first of two persons")
        async def file(
            self,
            review_id: FromPath[int],
            data: JSONBody[NewEvidence],
            request: Request[Principal, Any, Any],
            key: _Key = None,
        ) -> Response[Any]:
            word = await desk.ask(review_id, data.tx_hash)

            async def work(tx: AsyncConnection, _: Store, identifier: UUID | None) -> tuple[int, Any]:
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
                return 201, _shown(review)

            return await act(
                parts,
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
        )
        async def confirm(
            self,
            review_id: FromPath[int],
            evidence_id: FromPath[UUID],
            data: JSONBody[Confirmation],
            request: Request[Principal, Any, Any],
            key: _Key = None,
        ) -> Response[Any]:
            word = await desk.ask(review_id, data.tx_hash)

            async def work(tx: AsyncConnection, _: Store, __: UUID | None) -> tuple[int, Any]:
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
                detail = {"evidence_id": str(evidence_id), **_settled(settlement)}
                await desk.note(
                    tx,
                    request.user,
                    "stellar.evidence_confirmed",
                    review=review,
                    reason=data.note,
                    detail=detail,
                )
                return 200, {**_shown(review), "settlement": _settled(settlement)}

            return await act(
                parts,
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
        )
        async def refuse(
            self,
            review_id: FromPath[int],
            evidence_id: FromPath[UUID],
            data: JSONBody[Doubt],
            request: Request[Principal, Any, Any],
            key: _Key = None,
        ) -> Response[Any]:
            async def work(tx: AsyncConnection, _: Store, __: UUID | None) -> tuple[int, Any]:
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
                return 200, _shown(review)

            return await act(
                parts,
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


def _settled(settlement: Settlement) -> dict[str, Any]:
    return {
        **_said(settlement.outcome, settlement.tx_hash, settlement.ledger),
        "slot_closed_as": settlement.result,
        "seen_on_ledger": settlement.seen,
        "paid": len(settlement.paid),
        # payments, by provider key, of that transaction which had ended before: somebody must look at these
        "unsettled": [str(one) for one in settlement.unsettled],
    }


def _shown(review: Review) -> dict[str, Any]:
    return {
        "review_id": review.attempt_id,
        "state": str(review.state),
        "kind": str(review.kind),
        "channel": review.account,
        "sequence": str(review.sequence),
        "slot_id": str(review.slot_id),
        "tx_hash": review.tx_hash,
        "in_review_since": review.since.isoformat(),
        "why": review.why,
        "transactions": [
            {
                "tx_hash": one.tx_hash,
                "kind": str(one.kind),
                "state": str(one.state),
                "max_time": one.max_time,
                "payments": len(one.operations),
            }
            for one in review.digests
        ],
        "payouts": [
            {
                "payout_id": str(one.payout_id),
                "player": one.player,
                "asset": one.asset,
                "amount": one.amount,
                "destination": one.facts.destination,
                "memo": one.memo or None,
            }
            for one in review.held
        ],
        "evidence": [_shown_evidence(one) for one in review.evidence],
    }


def _shown_evidence(one: Evidence) -> dict[str, Any]:
    return {
        "evidence_id": str(one.evidence_id),
        "state": str(one.state),
        **_said(one.outcome, one.tx_hash, one.ledger),
        "evidence": one.found,
        "reason": one.reason,
        "filed_by": one.filed_by,
        "filed_at": one.filed_at.isoformat(),
        "decided_by": one.decided_by,
        "decided_at": None if one.decided_at is None else one.decided_at.isoformat(),
        "note": one.note,
    }
