"""``/api/wallet/auto-withdraw``: automatic withdrawals of winnings."""

from typing import Any

from litestar import Controller, Request, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http.answers import Items
from prizewire_rewards.http.bodies import AssetInPath, PlayerFilter
from prizewire_rewards.http.codes import AMOUNT_CODES, STATUSES
from prizewire_rewards.http.context import Amounts, Context, RewardsAction, player_of
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
    """A player's automatic withdrawals, one for each asset."""

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
        """Each withdrawal with its next due time and its last failure; operators and admins name a player."""
        owner = player_of(request.user, player)
        found = await context.read(lambda tx: list_withdrawals(tx, owner))
        return Items(items=[_shown(context.amounts, withdrawal) for withdrawal in found])

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
        """Replaces the earlier settings for this asset. A due withdrawal passes the checks of every payout request."""
        known = context.amounts.asset(asset, status=404)

        def minor(text: str | None, *, field: str) -> int | None:
            return None if text is None else context.amounts.minor(known, text, field=field)

        command = SetWithdrawal(
            player=request.user.player,
            asset=known.code,
            threshold=minor(data.threshold, field="threshold"),
            schedule=None if data.schedule is None else Schedule(data.schedule),
            hour_utc=data.hour_utc,
            minimum=minor(data.minimum, field="minimum") or 0,
            method_id=data.method_id,
        )

        async def change(action: _Action) -> WithdrawalAnswer:
            withdrawal = await set_withdrawal(
                command, ports=action.unit_of_work, tools=context.tools, now=action.now
            )
            return _shown(context.amounts, withdrawal)

        return await context.change(change, actor=request.user)

    @delete(
        "/{asset:str}",
        guards=[require(Role.PLAYER)],
        status_code=204,
        summary="Remove the automatic withdrawal",
        refusals=STATUSES.refusals("withdrawal_unknown"),
    )
    async def drop(
        self,
        *,
        context: NamedDependency[_Context],
        asset: AssetInPath,
        request: Request[Principal, Any, Any],
    ) -> None:
        """Remove the settings for this asset; requested payouts continue."""
        await context.change(
            lambda action: remove_withdrawal(
                player=request.user.player, asset=asset, ports=action.unit_of_work
            ),
            actor=request.user,
        )


def _shown(amounts: Amounts, withdrawal: AutoWithdrawal) -> WithdrawalAnswer:
    by_threshold = withdrawal.threshold is not None
    return WithdrawalAnswer(
        asset=withdrawal.asset,
        threshold=None
        if withdrawal.threshold is None
        else amounts.text(withdrawal.asset, withdrawal.threshold),
        schedule=withdrawal.schedule,
        hour_utc=None if by_threshold else withdrawal.hour_utc,
        minimum=None if by_threshold else amounts.text(withdrawal.asset, withdrawal.minimum),
        method_id=withdrawal.method_id,
        next_at=withdrawal.next_at,
        last_payout_id=withdrawal.last_payout,
        note=withdrawal.note,
        noted_at=withdrawal.noted_at,
    )
