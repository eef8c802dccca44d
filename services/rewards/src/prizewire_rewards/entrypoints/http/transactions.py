"""``/api/transactions`` and ``/api/rewards``."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Page, Problem, decode_cursor, page_limit
from prizewire_rewards.domain.views import Entry, RewardView
from prizewire_rewards.entrypoints.http.examples import prizes, wallets
from prizewire_rewards.entrypoints.http.front import OVERSEERS, Front, pages_of
from prizewire_rewards.entrypoints.http.listing import HistoryQuery, entry_of, list_entries

__all__ = ["RewardController", "TransactionController"]


class TransactionController(Controller):
    """Transfers: one's own, and for admins all."""

    path = "/api/transactions"
    tags = ["transactions"]  # noqa: RUF012 - Litestar reads a plain list

    @get("/my", guards=[require()], summary="My history, newest first", responses=wallets.HISTORY)
    async def mine(
        self, *, front: NamedDependency[Front], request: Request[Principal, Any, Any], history: HistoryQuery
    ) -> Page:
        """The caller's wallets, all buckets and assets."""
        return await list_entries(front, history, player=request.user.player)

    @get(
        ["/all", "/admin/all"],
        guards=[require(Role.ADMIN)],
        summary="Every transfer, newest first; or one player's",
        responses=wallets.TRANSFERS,
    )
    async def everything(
        self, *, front: NamedDependency[Front], history: HistoryQuery, player: FromQuery[str | None] = None
    ) -> Page:
        """Both accounts of each transfer are named."""
        return await list_entries(front, history, player=player)

    @get("/{transfer_id:uuid}", guards=[require()], summary="One transfer", responses=wallets.TRANSFER)
    async def one(
        self,
        *,
        front: NamedDependency[Front],
        transfer_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
    ) -> dict[str, Any]:
        """A transfer that touches the caller's wallets; operators and admins see any."""
        entry = await front.read(lambda queries: queries.entry(transfer_id))
        overseer = request.user.has(*OVERSEERS)
        if entry is None or not (overseer or _concerns(entry, request.user.player)):
            detail = f"there is no transfer {transfer_id}"
            raise Problem(status=404, code="transfer_unknown", detail=detail)
        return entry_of(front, entry, player=None if overseer else request.user.player)


class RewardController(Controller):
    """Prizes: one's own, and for operators and admins all."""

    path = "/api/rewards"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require()], summary="Prizes by round and line", responses=prizes.REWARDS)
    async def rewards(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        round_id: FromQuery[UUID | None] = None,
        correlation_id: FromQuery[str | None] = None,
        player: FromQuery[str | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> Page:
        """The caller's prizes; operators and admins see everybody's."""
        size = page_limit(limit)
        owner = player if request.user.has(*OVERSEERS) else request.user.player
        found = await front.read(
            lambda queries: queries.rewards(
                player=owner,
                round_id=round_id,
                correlation_id=correlation_id,
                limit=size,
                after=_after(cursor),
            )
        )
        last = [str(found[-1].round_id), found[-1].line] if found else None
        return pages_of([_reward(front, view) for view in found], limit=size, cursor=last)


def _after(cursor: str | None) -> tuple[UUID, int] | None:
    values = decode_cursor(cursor, length=2)
    if values is None:
        return None
    try:
        return UUID(values[0]), int(values[1])
    except (TypeError, ValueError, AttributeError):
        detail = "the cursor is not one that this route gave"
        raise Problem(status=400, code="cursor_invalid", detail=detail) from None


def _concerns(entry: Entry, player: str) -> bool:
    """Whether one of the two legs is a wallet of the player."""
    return any(
        owner == player and kind.startswith("wallet:")
        for kind, owner in (
            (entry.debit_kind, entry.debit_owner),
            (entry.credit_kind, entry.credit_owner),
        )
    )


def _reward(front: Front, view: RewardView) -> dict[str, Any]:
    return {
        "reward_id": str(view.id),
        "round_id": str(view.round_id),
        "line": view.line if view.line > 0 else None,
        "player": view.player,
        "place": view.place,
        "amount": front.wire(view.asset, view.amount),
        "credited": front.wire(view.asset, view.credited),
        "waiting": front.wire(view.asset, view.waiting),
        "short": front.wire(view.asset, view.short),
        "owed": front.wire(view.asset, view.owed),
        "asset": view.asset,
        "state": view.state,
        "note": view.note,
        "payout_id": str(view.payout_id) if view.payout_id else None,
        "transfer_id": str(view.transfer_id) if view.transfer_id else None,
        "correlation_id": view.correlation_id,
    }
