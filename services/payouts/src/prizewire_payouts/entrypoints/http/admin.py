"""`/api/admin/payouts`: what approvers and operators see and decide. Every decision is audited."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Page
from prizewire_contracts import text
from prizewire_payouts.domain.model import Pause
from prizewire_payouts.entrypoints.http.listing import page_of
from prizewire_payouts.entrypoints.http.parts import HttpParts, act, shown_parties, shown_payout
from prizewire_payouts.handlers.approval import Decision, approve_payout, cancel_payout, reject_payout
from prizewire_payouts.handlers.pauses import pause, resume
from prizewire_payouts.ports import Store

__all__ = ["admin_controller", "pauses_controller"]

_Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key")]


class Approval(BaseModel):
    """An approval; the note is for whoever reads the record."""

    model_config = ConfigDict(extra="forbid")

    note: text.Reason | None = None


class Reason(BaseModel):
    """Why somebody says no."""

    model_config = ConfigDict(extra="forbid")

    reason: text.Reason


class NewPause(BaseModel):
    """What shall not be paid for now: a rail, an asset or a campaign, by name or id."""

    model_config = ConfigDict(extra="forbid")

    scope: text.Word
    value: text.Name
    reason: text.Reason


def admin_controller(parts: HttpParts) -> type[Controller]:
    """The controller over these parts."""

    class AdminController(Controller):
        path = "/api/admin/payouts"
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Payouts, oldest first, by state, player, rail, asset or correlation id")
        async def list_payouts(  # noqa: PLR0917 - Litestar calls it by keyword, one argument a query parameter
            self,
            states: Annotated[str | None, QueryParameter(name="state")] = None,
            player: FromQuery[str | None] = None,
            correlation_id: FromQuery[str | None] = None,
            rail: FromQuery[str | None] = None,
            asset: FromQuery[str | None] = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
            page: FromQuery[int | None] = None,
        ) -> Page:
            return await page_of(
                parts,
                cursor=cursor,
                limit=limit,
                page=page,
                states=states,
                player=player,
                correlation_id=correlation_id,
                rail=rail,
                asset=asset,
            )

        @put(
            "/{payout_id:uuid}/approve",
            status_code=202,
            guards=[require(Role.APPROVER, Role.ADMIN)],
            summary="Approve a payout that is held",
        )
        async def approve(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Approval],
            request: Request[Principal, Any, Any],
            key: _Key = None,
        ) -> Response[Any]:
            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, Any]:
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
                return 202, _shown(decision)

            return await act(
                parts,
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
        )
        async def reject(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Reason],
            request: Request[Principal, Any, Any],
            key: _Key = None,
        ) -> Response[Any]:
            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, Any]:
                decision = await reject_payout(
                    store,
                    payout_id=payout_id,
                    approver=request.user.subject,
                    reason=data.reason,
                    now=parts.clock.now(),
                )
                await _noted(tx, request.user, "payout.rejected", decision, data.reason)
                return 202, _shown(decision)

            return await act(
                parts,
                actor=request.user,
                route=f"PUT /api/admin/payouts/{payout_id}/reject",
                key=key,
                body=data.model_dump(),
                key_required=False,
                work=work,
            )

        @post("/{payout_id:uuid}/cancel", status_code=202, summary="Ask for a payout to be cancelled")
        async def cancel(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Reason],
            request: Request[Principal, Any, Any],
            key: _Key = None,
        ) -> Response[Any]:
            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, Any]:
                decision = await cancel_payout(
                    store,
                    payout_id=payout_id,
                    by=request.user.subject,
                    reason=data.reason,
                    now=parts.clock.now(),
                )
                await _noted(tx, request.user, "payout.cancel_asked", decision, data.reason)
                return 202, _shown(decision)

            return await act(
                parts,
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

        @get("/", summary="Pauses in force")
        async def list_pauses(self) -> Page:
            async with parts.db.transaction() as tx:
                found = await parts.store(tx).pauses()
            return {"items": [_shown_pause(one) for one in found], "next_cursor": None}

        @post("/", summary="Start no new payment of a rail, an asset or a campaign")
        async def create(
            self, data: JSONBody[NewPause], request: Request[Principal, Any, Any], key: _Key = None
        ) -> Response[Any]:
            async def work(tx: AsyncConnection, store: Store, identifier: UUID | None) -> tuple[int, Any]:
                assert identifier is not None
                made = await pause(
                    store,
                    pause_id=identifier,
                    scope=data.scope,
                    value=data.value,
                    reason=data.reason,
                    by=request.user.subject,
                    known={
                        "rail": {rail.name for rail in parts.rails},
                        "asset": set(parts.assets),
                    },
                    now=parts.clock.now(),
                )
                await _noted(tx, request.user, "payouts.paused", made, data.reason)
                return 201, _shown_pause(made)

            return await act(
                parts,
                actor=request.user,
                route="POST /api/admin/payouts/pauses",
                key=key,
                body=data.model_dump(),
                key_required=True,
                work=work,
            )

        @delete("/{pause_id:uuid}", status_code=200, summary="Resume")
        async def lift(
            self, pause_id: FromPath[UUID], request: Request[Principal, Any, Any]
        ) -> Response[Any]:
            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, Any]:
                lifted = await resume(
                    store, pause_id=pause_id, by=request.user.subject, now=parts.clock.now()
                )
                await _noted(tx, request.user, "payouts.resumed", lifted, None)
                return 200, _shown_pause(lifted)

            return await act(
                parts,
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


def _shown(decision: Decision) -> dict[str, Any]:
    payout = decision.payout
    return {**shown_payout(payout), **shown_parties(payout), "approvers": list(decision.approvers)}


def _shown_pause(made: Pause) -> dict[str, Any]:
    return {
        "id": str(made.pause_id),
        "scope": made.scope,
        "value": made.value,
        "reason": made.reason,
        "paused_by": made.paused_by,
        "paused_at": made.paused_at.isoformat(),
        "resumed_by": made.resumed_by,
        "resumed_at": None if made.resumed_at is None else made.resumed_at.isoformat(),
    }
