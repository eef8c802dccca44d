"""``/api/wallet/auto-withdraw``: winnings that are paid out by themselves, by the player's choice."""

from typing import Any

from litestar import Controller, Request, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_rewards.domain.commands import AskWithdrawal
from prizewire_rewards.domain.withdrawals import AutoWithdrawal, Schedule
from prizewire_rewards.entrypoints.http.examples import wallets as examples
from prizewire_rewards.entrypoints.http.front import Front, player_of
from prizewire_rewards.entrypoints.http.money_bodies import WithdrawalBody
from prizewire_rewards.handlers.withdrawals import ask_withdrawal, drop_withdrawal

__all__ = ["WithdrawalController"]


class WithdrawalController(Controller):
    """A player's wishes, one for each asset."""

    path = "/api/wallet/auto-withdraw"
    tags = ["wallet"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require()], summary="Automatic withdrawals by asset", responses=examples.WITHDRAWALS)
    async def listing(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        player: FromQuery[str | None] = None,
    ) -> dict[str, Any]:
        """When each is due next, and why the last one was not made; operators and admins name a player."""
        owner = player_of(request.user, player)
        found = await front.read(lambda queries: queries.withdrawals(owner))
        return {"items": [_wish(front, wish) for wish in found]}

    @put(
        "/{asset:str}",
        guards=[require(Role.PLAYER)],
        summary="Withdraw at a threshold or on a schedule",
        responses=examples.WITHDRAWAL,
    )
    async def choose(
        self,
        *,
        front: NamedDependency[Front],
        asset: FromPath[str],
        data: JSONBody[WithdrawalBody],
        request: Request[Principal, Any, Any],
    ) -> dict[str, Any]:
        """In place of what was chosen before for this asset. What is due passes the checks of every payout request."""
        known = front.asset(asset, status=404)
        command = AskWithdrawal(
            player=request.user.player,
            asset=known.code,
            threshold=None if data.threshold is None else front.minor(known, data.threshold),
            schedule=None if data.schedule is None else Schedule(data.schedule),
            hour_utc=data.hour_utc,
            minimum=0 if data.minimum is None else front.minor(known, data.minimum),
            method_id=data.method_id,
        )

        async def ask(tx: AsyncConnection) -> dict[str, Any]:
            wish = await ask_withdrawal(
                command, work=front.works.of(tx), tools=front.tools, now=front.clock.now()
            )
            return _wish(front, wish)

        return await front.attempt(ask)

    @delete(
        "/{asset:str}", guards=[require(Role.PLAYER)], status_code=204, summary="Withdraw by hand from now on"
    )
    async def drop(
        self,
        *,
        front: NamedDependency[Front],
        asset: FromPath[str],
        request: Request[Principal, Any, Any],
    ) -> None:
        """Forget what was chosen for this asset; payouts that were asked for go on."""
        await front.attempt(
            lambda tx: drop_withdrawal(player=request.user.player, asset=asset, work=front.works.of(tx))
        )


def _wish(front: Front, wish: AutoWithdrawal) -> dict[str, Any]:
    by_threshold = wish.threshold is not None
    return {
        "asset": wish.asset,
        "threshold": None if wish.threshold is None else front.wire(wish.asset, wish.threshold),
        "schedule": wish.schedule,
        "hour_utc": None if by_threshold else wish.hour_utc,
        "minimum": None if by_threshold else front.wire(wish.asset, wish.minimum),
        "method_id": str(wish.method_id) if wish.method_id else None,
        "next_at": wish.next_at.isoformat(),
        "last_payout_id": str(wish.last_payout) if wish.last_payout else None,
        "note": wish.note,
        "noted_at": wish.noted_at.isoformat() if wish.noted_at else None,
    }
