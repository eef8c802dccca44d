"""``/api/transactions`` and ``/api/rewards``."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from prizewire_chassis.auth import Principal, require
from prizewire_chassis.http import Problem, decode_cursor, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_rewards.http.context import OVERSEERS, Front, page_of
from prizewire_rewards.prizes.domain.views import PrizePosition, RewardView
from prizewire_rewards.prizes.http.answers import RewardAnswer
from prizewire_rewards.prizes.storage.views import list_prizes


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
            lambda tx: list_prizes(
                tx,
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
