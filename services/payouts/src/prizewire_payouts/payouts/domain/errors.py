"""Errors of the payout lifecycle. The tree of all errors stands in ``prizewire_payouts.errors``."""

from prizewire_payouts.errors import PayoutError


class IllegalTransition(PayoutError):
    """A state machine has no edge from ``old`` to ``new``."""

    code = "illegal_transition"

    def __init__(self, *, machine: str, old: str, new: str) -> None:
        super().__init__(f"{machine}: {old} -> {new} is not allowed")
        self.old = old
        self.new = new


NOT_ARRIVED_YET = (
    ": if it was requested a moment ago, its request has not arrived here yet; ask again in a few seconds"
)
"""Added to the answer about an unknown payout: rewards answers a request before payouts has consumed its event."""


class PayoutNotFound(PayoutError):
    """There is no such payout, or it belongs to another player."""

    code = "payout_not_found"


class CancelRefused(PayoutError):
    """The payout has ended and cannot be cancelled."""

    code = "not_cancellable"


class NotEnded(PayoutError):
    """The payout has not ended, so that its end cannot be announced."""

    code = "not_ended"
