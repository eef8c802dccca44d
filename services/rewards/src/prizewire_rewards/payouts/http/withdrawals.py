"""``/api/wallet/auto-withdraw``: winnings that are paid out by themselves, by the player's choice."""

from typing import Any

from litestar import Controller, Request, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http.answers import Items
from prizewire_rewards.http.amounts import Amounts
from prizewire_rewards.http.codes import AMOUNT_CODES, STATUSES
from prizewire_rewards.http.context import Context, RewardsAction, player_of
from prizewire_rewards.http.parameters import AssetInPath, PlayerFilter
from prizewire_rewards.payouts.domain.commands import SetWithdrawal
from prizewire_rewards.payouts.domain.withdrawals import AutoWithdrawal, Schedule
from prizewire_rewards.payouts.handlers.withdrawals import remove_withdrawal, set_withdrawal
from prizewire_rewards.payouts.http.answers import WithdrawalAnswer
from prizewire_rewards.payouts.http.bodies import WithdrawalBody
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools
from prizewire_rewards.payouts.storage.views import list_withdrawals

_Context = Context[PayoutPorts, PayoutTools]
_Action = RewardsAction[PayoutPorts]


class WithdrawalController(Controller):
    """A player's wishes, one for each asset."""

    path = "/api/wallet/auto-withdraw"
    tags = ["wallet"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require()], summary="Automatic withdrawals, one for each asset, newest first")
    async def listing(
        self,
        *,
        context: NamedDependency[_Context],
        request: Request[Principal, Any, Any],
        player: PlayerFilter = None,
    ) -> Items[WithdrawalAnswer]:
        """When each is due next, and why the last one was not made; operators and admins name a player."""
        owner = player_of(request.user, player)
        found = await context.read(lambda tx: list_withdrawals(tx, owner))
        return Items(items=[_wish(context.amounts, wish) for wish in found])

    @put(
        "/{asset:str}",
        guards=[require(Role.PLAYER)],
        summary="Withdraw at a threshold or on a schedule",
        refusals={
            **STATUSES.refusals(
                *AMOUNT_CODES, "asset_not_redeemable", "amount_not_positive", "method_unknown"
            ),
            404: ("asset_unknown",),
        },
    )
    async def choose(
        self,
        *,
        context: NamedDependency[_Context],
        asset: AssetInPath,
        data: JSONBody[WithdrawalBody],
        request: Request[Principal, Any, Any],
    ) -> WithdrawalAnswer:
        """In place of what was chosen before for this asset. What is due passes the checks of every payout request."""
        known = context.amounts.asset(asset, status=404)
        command = SetWithdrawal(
            player=request.user.player,
            asset=known.code,
            threshold=None if data.threshold is None else context.amounts.minor(known, data.threshold),
            schedule=None if data.schedule is None else Schedule(data.schedule),
            hour_utc=data.hour_utc,
            minimum=0 if data.minimum is None else context.amounts.minor(known, data.minimum),
            method_id=data.method_id,
        )

        async def ask(action: _Action) -> WithdrawalAnswer:
            wish = await set_withdrawal(
                command, ports=action.unit_of_work, tools=context.tools, now=action.now
            )
            return _wish(context.amounts, wish)

        return await context.change(ask, actor=request.user)

    @delete(
        "/{asset:str}",
        guards=[require(Role.PLAYER)],
        status_code=204,
        summary="Withdraw by hand from now on",
        refusals=STATUSES.refusals("withdrawal_unknown"),
    )
    async def drop(
        self,
        *,
        context: NamedDependency[_Context],
        asset: AssetInPath,
        request: Request[Principal, Any, Any],
    ) -> None:
        """Forget what was chosen for this asset; payouts that were asked for go on."""
        await context.change(
            lambda action: remove_withdrawal(
                player=request.user.player, asset=asset, ports=action.unit_of_work
            ),
            actor=request.user,
        )


def _wish(amounts: Amounts, wish: AutoWithdrawal) -> WithdrawalAnswer:
    by_threshold = wish.threshold is not None
    return WithdrawalAnswer(
        asset=wish.asset,
        threshold=None if wish.threshold is None else amounts.text(wish.asset, wish.threshold),
        schedule=wish.schedule,
        hour_utc=None if by_threshold else wish.hour_utc,
        minimum=None if by_threshold else amounts.text(wish.asset, wish.minimum),
        method_id=wish.method_id,
        next_at=wish.next_at,
        last_payout_id=wish.last_payout,
        note=wish.note,
        noted_at=wish.noted_at,
    )
