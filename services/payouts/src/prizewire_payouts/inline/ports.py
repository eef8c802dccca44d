"""What the use cases of inline details need."""

from typing import Protocol

from prizewire_payouts.inline.domain import Opened, Sealed


class Boxes(Protocol):
    """Opens boxes that were sealed for payouts."""

    def open(self, sealed: Sealed) -> Opened | None:
        """What is in a box; None where it was sealed for an unknown key, was changed since, or holds no payout details."""
        ...
