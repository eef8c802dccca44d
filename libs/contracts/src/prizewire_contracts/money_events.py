"""Events that move money, or that money waits for. If one of these is lost, a player stays unpaid or money stays held."""

from typing import Final

MONEY_EVENTS: Final = frozenset(
    f"prizewire.{name}.v1"
    for name in (
        # a match's result is what prizes follow from; an entry costs a fee
        "match.entered",
        "match.completed",
        "match.corrected",
        "match.voided",
        # rewards reserves, books, credits and gives back by these
        "round.entered",
        "round.settled",
        "round.corrected",
        "round.finalized",
        "round.voided",
        "round.refused",
        # without it a disowned round stays final in settlement, and its players unpaid
        "round.disowned",
        # payouts pays by these; without a renewed intent a payout waits
        "payout.requested",
        "payout.intent_renewed",
        # rewards books these against what it holds for a payout or a top-up
        "payout.paid",
        "payout.failed",
        "payout.rejected",
        "payout.cancelled",
        "payout.returned",
        "topup.completed",
        "topup.refunded",
        "topup.disputed",
        "topup.dispute_won",
        # a payment waits for these; without signing.closed money is not given back
        "signing.requested",
        "signing.slot_closed",
        "signing.close_requested",
        "signing.completed",
        "signing.refused",
        "signing.closed",
        "signing.close_refused",
    )
)
OTHER_EVENTS: Final = frozenset(
    f"prizewire.{name}.v1"
    for name in (
        "match.opened",
        "match.closed",
        "round.opened",
        "round.closed",
        "campaign.created",
        "campaign.state_changed",
        "campaign.funded",
        "campaign.withdrawn",
        "pool.low",
        "pool.exhausted",
        "reward.allocated",
        "reward.released",
        "reward.held",
        "reward.expired",
        "reward.reversed",
        "claim.opened",
        "claim.held",
        "claim.approved",
        "claim.rejected",
        "claim.expired",
        "wallet.receivable_opened",
        "wallet.receivable_recovered",
        "wallet.receivable_restored",
        "wallet.receivable_written_off",
        "wallet.topup_credited",
        "wallet.topup_reversed",
        "entry.paid",
        "entry.refused",
        "entry.refunded",
        "entry.earned",
        "entry.closed",
        "payout.cancel_requested",
        "payout.retry_requested",
        "payout.retry_refused",
        "payout.approved",
        "payout.held",
        "payout.submitted",
        "payout.pending",
        "payout.unknown",
        "method.registered",
        "method.verified",
        "method.defaulted",
        "method.removed",
        "method.routed",
        "topup.expired",
        "topup.failed",
        "player.updated",
        "provider.event_received",
        "signing.messages_refused",
        "audit.recorded",
    )
)
"""Events that report completed movements of money, or that concern no money."""


def holds_money(event_type: str | None) -> bool:
    """Whether money may wait for an event of this type. An unknown type counts as one that holds money."""
    return event_type not in OTHER_EVENTS
