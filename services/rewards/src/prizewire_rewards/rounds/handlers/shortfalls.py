"""Amounts of prizes or fees that could not be taken back: cancellations of payouts are requested, and debts are opened."""

from collections.abc import Iterable
from dataclasses import replace

from prizewire_rewards.ledger.domain.records import step
from prizewire_rewards.ledger.handlers import Debt
from prizewire_rewards.payouts.domain.model import PAYOUT_EDGES, PayoutCancelRequested, PayoutState
from prizewire_rewards.prizes.domain.model import Settlement
from prizewire_rewards.rounds.domain.corrections import Shortfall
from prizewire_rewards.rounds.handlers.player_funds import PlayerFunds
from prizewire_rewards.rounds.handlers.round_changes import RoundChanges


def request_cancels(
    changes: RoundChanges,
    settlement: Settlement,
    shortfalls: Iterable[Shortfall],
    *,
    funds: PlayerFunds,
    by: str,
    what: str,
    cause: str,
) -> None:
    """Request the cancellation of payouts that hold the money. ``by`` requests it, with the reason that the round ``what``.
    A payout whose cancellation was requested before keeps its first request.
    """
    round_id = settlement.round_id
    missing: dict[str, int] = {}
    for shortfall in shortfalls:
        missing[shortfall.player] = missing.get(shortfall.player, 0) + shortfall.amount
    for player, amount in missing.items():
        for payout in funds.to_cancel(player, amount=amount, round_id=round_id):
            state = step(edges=PAYOUT_EDGES, was=payout.state, to=PayoutState.CANCEL_REQUESTED)
            asked = replace(payout, state=state, version=payout.version + 1)
            changes.change_payout(payout, asked, cause=cause)
            changes.events.append(
                PayoutCancelRequested(
                    payout=asked,
                    by=by,
                    code="winnings_taken_back",
                    reason=f"round {round_id} {what}",
                    cause=cause,
                )
            )


def owe_shortfalls(
    changes: RoundChanges,
    settlement: Settlement,
    shortfalls: Iterable[Shortfall],
    *,
    source: str,
    reference: str,
) -> None:
    """Open a debt of each player to the campaign. The id of the debt follows from ``source`` and player."""
    for shortfall in shortfalls:
        changes.debts.append(
            Debt(
                player=shortfall.player,
                asset=settlement.asset,
                amount=shortfall.amount,
                campaign=settlement.campaign,
                cause=source,
                reference=reference,
                correlation_id=settlement.correlation_id,
            )
        )
