"""`/api/admin/payouts`: what approvers and operators see and decide. Every decision is audited."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import Provide
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http.answers import Items, PageOf
from prizewire_chassis.http.refusals import Refusals
from prizewire_contracts import text
from prizewire_contracts.parties import PartyRole
from prizewire_payouts.approval.handlers.approval import (
    Decision,
    approve_payout,
    cancel_payout,
    reject_payout,
)
from prizewire_payouts.approval.handlers.pauses import pause, resume
from prizewire_payouts.http.parts import HttpParts, Key, RequiredKey, act
from prizewire_payouts.payouts.domain.model import Pause, PauseScope
from prizewire_payouts.payouts.http.answers import (
    DecisionAnswer,
    PauseAnswer,
    PayoutAnswer,
    decision_answer,
    pause_answer,
)
from prizewire_payouts.payouts.http.listing import (
    LISTING_REFUSALS,
    PAGE_MAX,
    ListingQuery,
    filters_of,
    page_of,
)
from prizewire_payouts.payouts.ports import Store

_NO_PAYOUT: Refusals = {404: ("payout_not_found",)}
_PARTIES = tuple(f"approver_is_{role}" for role in PartyRole)


class Approval(BaseModel):
    """An approval; the note is for whoever reads the record."""

    model_config = ConfigDict(extra="forbid")

    note: text.Reason | None = Field(None, examples=["checked with the organizer"])


class Reason(BaseModel):
    """Why somebody says no."""

    model_config = ConfigDict(extra="forbid")

    reason: text.Reason = Field(examples=["the organizer takes the result back"])


class NewPause(BaseModel):
    """What shall not be paid for now: a rail, an asset or a campaign, by name or id."""

    model_config = ConfigDict(extra="forbid")

    scope: PauseScope = Field(examples=["campaign"])
    value: text.Name = Field(
        description="The rail's name, the asset's code, or the campaign's id, which is a UUID. An unknown rail or asset "
        "is refused. Which campaigns there are is known to rewards only, so that any UUID is taken: look it up with "
        "`GET /api/campaigns/{id}` first.",
        examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"],
    )
    reason: text.Reason = Field(examples=["the organizer asks to wait"])


def admin_controller(parts: HttpParts) -> type[Controller]:
    """The controller over these parts."""

    class AdminController(Controller):
        path = "/api/admin/payouts"
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            summary="Payouts, newest first; of one player, or of everybody",
            dependencies={"wanted": Provide(filters_of(parts), sync_to_thread=False)},
            refusals={400: (*LISTING_REFUSALS[400], "page_invalid")},
        )
        async def list_payouts(
            self,
            wanted: ListingQuery,
            player: Annotated[
                str | None,
                QueryParameter(description="Whose payouts.", min_length=1, max_length=text.NAME_LENGTH_MAX),
            ] = None,
            page: Annotated[
                int | None,
                QueryParameter(
                    description="As earlier systems count, from 1. A cursor goes before it.",
                    schema_extra={"type": "integer", "minimum": 1, "maximum": PAGE_MAX},
                ),
            ] = None,
        ) -> PageOf[PayoutAnswer]:
            return await page_of(parts, wanted, player=player, page=page)

        @put(
            "/{payout_id:uuid}/approve",
            status_code=202,
            guards=[require(Role.APPROVER, Role.ADMIN)],
            summary="Approve a payout that is held",
            refusals={
                **_NO_PAYOUT,
                403: _PARTIES,
                409: ("not_held", "already_approved", "intent_expired"),
            },
        )
        async def approve(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Approval],
            request: Request[Principal, Any, Any],
            key: Key = None,
        ) -> Response[DecisionAnswer]:
            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, DecisionAnswer]:
                decision = await approve_payout(
                    store,
                    payout_id=payout_id,
                    approver=request.user.subject,
                    note=data.note,
                    policy=parts.policy,
                    rails=parts.rails,
                    now=parts.clock.now(),
                )
                await _noted(tx, request.user, "payout.approved", decision, data.note)
                return 202, decision_answer(decision.payout, approvers=decision.approvers)

            return await act(
                parts,
                DecisionAnswer,
                actor=request.user,
                route=f"PUT /api/admin/payouts/{payout_id}/approve",
                key=key,
                body=data.model_dump(),
                key_required=False,
                work=work,
            )

        @put(
            "/{payout_id:uuid}/reject",
            status_code=202,
            guards=[require(Role.APPROVER, Role.ADMIN)],
            summary="Reject a payout that is held",
            refusals={**_NO_PAYOUT, 403: _PARTIES, 409: ("not_held",)},
        )
        async def reject(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Reason],
            request: Request[Principal, Any, Any],
            key: Key = None,
        ) -> Response[DecisionAnswer]:
            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, DecisionAnswer]:
                decision = await reject_payout(
                    store,
                    payout_id=payout_id,
                    approver=request.user.subject,
                    reason=data.reason,
                    now=parts.clock.now(),
                )
                await _noted(tx, request.user, "payout.rejected", decision, data.reason)
                return 202, decision_answer(decision.payout, approvers=decision.approvers)

            return await act(
                parts,
                DecisionAnswer,
                actor=request.user,
                route=f"PUT /api/admin/payouts/{payout_id}/reject",
                key=key,
                body=data.model_dump(),
                key_required=False,
                work=work,
            )

        @post(
            "/{payout_id:uuid}/cancel",
            status_code=202,
            summary="Ask for a payout to be cancelled",
            refusals={**_NO_PAYOUT, 409: ("not_cancellable",)},
        )
        async def cancel(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Reason],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[DecisionAnswer]:
            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, DecisionAnswer]:
                decision = await cancel_payout(
                    store,
                    payout_id=payout_id,
                    by=request.user.subject,
                    reason=data.reason,
                    now=parts.clock.now(),
                )
                await _noted(tx, request.user, "payout.cancel_asked", decision, data.reason)
                return 202, decision_answer(decision.payout, approvers=decision.approvers)

            return await act(
                parts,
                DecisionAnswer,
                actor=request.user,
                route=f"POST /api/admin/payouts/{payout_id}/cancel",
                key=key,
                body=data.model_dump(),
                key_required=True,
                work=work,
            )

    async def _noted(
        tx: AsyncConnection, actor: Principal, action: str, decision: Decision, reason: str | None
    ) -> None:
        payout = decision.payout
        await parts.audit.record(
            tx,
            actor=actor.subject,
            action=action,
            target=str(payout.payout_id),
            reason=reason,
            detail={
                "state": str(payout.state),
                "amount": payout.amount.to_wire(),
                "asset": payout.amount.asset.code,
            },
            correlation_id=payout.correlation_id,
        )

    return AdminController


def pauses_controller(parts: HttpParts) -> type[Controller]:
    """Switches that keep new payments from starting."""

    class PausesController(Controller):
        path = "/api/admin/payouts/pauses"
        guards = [require(Role.OPERATOR, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Pauses in force, newest first")
        async def list_pauses(self) -> Items[PauseAnswer]:
            async with parts.db.transaction() as tx:
                found = await parts.store(tx).pauses()
            return Items(items=[pause_answer(one) for one in found])

        @post(
            "/",
            summary="Start no new payment of a rail, an asset or a campaign",
            refusals={422: ("pause_value_unknown",)},
        )
        async def create(
            self, data: JSONBody[NewPause], request: Request[Principal, Any, Any], key: RequiredKey = None
        ) -> Response[PauseAnswer]:
            async def work(
                tx: AsyncConnection, store: Store, identifier: UUID | None
            ) -> tuple[int, PauseAnswer]:
                assert identifier is not None
                made = await pause(
                    store,
                    pause_id=identifier,
                    scope=data.scope,
                    value=data.value,
                    reason=data.reason,
                    by=request.user.subject,
                    known={
                        PauseScope.RAIL: {rail.name for rail in parts.rails},
                        PauseScope.ASSET: set(parts.assets),
                    },
                    now=parts.clock.now(),
                )
                await _noted(tx, request.user, "payouts.paused", made, data.reason)
                return 201, pause_answer(made)

            return await act(
                parts,
                PauseAnswer,
                actor=request.user,
                route="POST /api/admin/payouts/pauses",
                key=key,
                body=data.model_dump(mode="json"),
                key_required=True,
                work=work,
            )

        @delete("/{pause_id:uuid}", status_code=200, summary="Resume", refusals={404: ("pause_not_found",)})
        async def lift(
            self, pause_id: FromPath[UUID], request: Request[Principal, Any, Any]
        ) -> Response[PauseAnswer]:
            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, PauseAnswer]:
                lifted = await resume(
                    store, pause_id=pause_id, by=request.user.subject, now=parts.clock.now()
                )
                await _noted(tx, request.user, "payouts.resumed", lifted, None)
                return 200, pause_answer(lifted)

            return await act(
                parts,
                PauseAnswer,
                actor=request.user,
                route=f"DELETE /api/admin/payouts/pauses/{pause_id}",
                key=None,
                body={},
                key_required=False,
                work=work,
            )

    async def _noted(
        tx: AsyncConnection, actor: Principal, action: str, made: Pause, reason: str | None
    ) -> None:
        await parts.audit.record(
            tx,
            actor=actor.subject,
            action=action,
            target=str(made.pause_id),
            reason=reason,
            detail={"scope": made.scope, "value": made.value},
        )

    return PausesController
