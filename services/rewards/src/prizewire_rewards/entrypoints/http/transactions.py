"""``/api/transactions`` and ``/api/rewards``."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Problem, decode_cursor, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_rewards.domain.views import Entry, PrizePosition, RewardView
from prizewire_rewards.entrypoints.answers.transactions import (
    LedgerTransferAnswer,
    PlayerTransferAnswer,
    RewardAnswer,
)
from prizewire_rewards.entrypoints.http.codes import refusing
from prizewire_rewards.entrypoints.http.front import OVERSEERS, Front, page_of
from prizewire_rewards.entrypoints.http.listing import (
    PAGE_REFUSALS,
    HistoryPage,
    HistoryQuery,
    ledger_page,
    ledger_transfer,
    player_page,
    player_transfer,
)


class TransactionController(Controller):
    """Transfers: one's own, and for admins all."""

    path = "/api/transactions"
    tags = ["transactions"]  # noqa: RUF012 - Litestar reads a plain list

    @get("/my", guards=[require()], summary="My history, newest first", refusals={400: PAGE_REFUSALS})
    async def mine(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        history: HistoryQuery,
        paging: HistoryPage,
    ) -> PageOf[PlayerTransferAnswer]:
        """The caller's wallets, all buckets and assets."""
        return await player_page(front, history, paging, player=request.user.player)

    @get(
        ["/all", "/admin/all"],
        guards=[require(Role.ADMIN)],
        summary="Every transfer, newest first; or one player's",
        refusals={400: PAGE_REFUSALS},
    )
    async def everything(
        self,
        *,
        front: NamedDependency[Front],
        history: HistoryQuery,
        paging: HistoryPage,
        player: FromQuery[str | None] = None,
    ) -> PageOf[LedgerTransferAnswer]:
        """Both accounts of each transfer are named; with `player` also the side of that player."""
        return await ledger_page(front, history, paging, player=player)

    @get(
        "/{transfer_id:uuid}",
        guards=[require()],
        summary="One transfer",
        refusals=refusing("transfer_unknown"),
    )
    async def one(
        self,
        *,
        front: NamedDependency[Front],
        transfer_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
    ) -> PlayerTransferAnswer | LedgerTransferAnswer:
        """A transfer that touches the caller's wallets, from their side; operators and admins see any, with both accounts."""
        entry = await front.read(lambda queries: queries.entry(transfer_id))
        overseer = request.user.has(*OVERSEERS)
        if entry is None or not (overseer or _concerns(entry, request.user.player)):
            detail = f"there is no transfer {transfer_id}"
            raise Problem(status=404, code="transfer_unknown", detail=detail)
        if overseer:
            return ledger_transfer(front, entry, player=None)
        return player_transfer(front, entry, player=request.user.player)


class RewardController(Controller):
    """Prizes: one's own, and for operators and admins all."""

    path = "/api/rewards"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require()], summary="Prizes, those of the round that was settled last first")
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
    ) -> PageOf[RewardAnswer]:
        """The caller's prizes; operators and admins see everybody's. Those of one round are in the order of their lines."""
        size = page_limit(limit)
        owner = player if request.user.has(*OVERSEERS) else request.user.player
        after = _after(cursor)
        found = await front.read(
            lambda queries: queries.rewards(
                player=owner,
                round_id=round_id,
                correlation_id=correlation_id,
                limit=size,
                after=after,
            )
        )
        last = [found[-1].settled_at.isoformat(), str(found[-1].round_id), found[-1].line] if found else None
        return page_of([_reward(front, view) for view in found], limit=size, cursor=last)


def _after(cursor: str | None) -> PrizePosition | None:
    values = decode_cursor(cursor, length=3)
    if values is None:
        return None
    try:
        position = PrizePosition(datetime.fromisoformat(values[0]), UUID(values[1]), values[2])
    except (TypeError, ValueError, AttributeError):
        position = None
    if (
        position is None
        or position.settled_at.tzinfo is None
        or type(position.line) is not int
        or abs(position.line) >= 2**31
    ):
        detail = "the cursor is not one that this route gave"
        raise Problem(status=400, code="cursor_invalid", detail=detail)
    return position


def _concerns(entry: Entry, player: str) -> bool:
    """Whether one of the two legs is a wallet of the player."""
    return any(
        owner == player and kind.startswith("wallet:")
        for kind, owner in (
            (entry.debit_kind, entry.debit_owner),
            (entry.credit_kind, entry.credit_owner),
        )
    )


def _reward(front: Front, view: RewardView) -> RewardAnswer:
    return RewardAnswer(
        reward_id=view.id,
        round_id=view.round_id,
        line=view.line if view.line > 0 else None,
        player=view.player,
        place=view.place,
        amount=front.wire(view.asset, view.amount),
        credited=front.wire(view.asset, view.credited),
        waiting=front.wire(view.asset, view.waiting),
        short=front.wire(view.asset, view.short),
        owed=front.wire(view.asset, view.owed),
        asset=view.asset,
        state=view.state,
        note=view.note,
        payout_id=view.payout_id,
        transfer_id=view.transfer_id,
        correlation_id=view.correlation_id,
        settled_at=view.settled_at,
    )
