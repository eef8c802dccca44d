"""What follows on a slot whose newest revision is over without having consumed it.

A payout that the signer has signed for stays bound to its slot until that is consumed. So a slot on which nothing can
be paid any more is voided: a transaction without effect consumes its sequence number, and all its payouts are free.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

DIGESTS_MAX = 32
"""Revisions of one slot that may have been signed before it is voided: what the signer signs, unless its policy says
otherwise, in which case its refusal names the cap.
"""
_PAUSE_FIRST = timedelta(seconds=5)
_PAUSE_MAX = timedelta(hours=1)


class NextAction(StrEnum):
    """The next thing on a slot."""

    REBUILD = "rebuild"
    """Another revision with the payments that are left."""
    VOID = "void"
    """A transaction that does nothing but consume the slot."""
    IDLE = "idle"
    """Nothing: the slot lies open for the next payments on its channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotUse:
    """How a slot is used: ``held`` payments that wait on it, ``digests`` of payments that may have been signed and are
    all proved dead, ``voids`` tried so far; and what the signer answered about it: that it signs no more payments there
    (``full``), or that it never signed there (``unsigned``).
    """

    held: int
    digests: int
    voids: int
    full: bool = False
    unsigned: bool = False


def next_action(*, use: SlotUse, digests_max: int) -> NextAction:
    """The first row that fits."""
    rows: tuple[tuple[bool, NextAction], ...] = (
        # nothing is bound where nothing was signed: no payout waits for the slot to be consumed
        (use.unsigned, NextAction.REBUILD if use.held else NextAction.IDLE),
        (use.full, NextAction.VOID),
        (use.digests == 0 and use.voids == 0, NextAction.REBUILD if use.held else NextAction.IDLE),
        # a void that was begun is continued: payments that are left wait for it and go to another slot
        (use.voids > 0, NextAction.VOID),
        # payouts that left the slot are still bound to it, and no payment is left that would consume it
        (use.held == 0, NextAction.VOID),
        (use.digests >= digests_max, NextAction.VOID),
        (True, NextAction.REBUILD),
    )
    return next(action for fits, action in rows if fits)


def void_pause(*, voids: int) -> timedelta:
    """How long to wait before voiding after this many tries: not at all at first, then doubling up to an hour, so
    that the signer's cap of voids outlasts a day of trouble.
    """
    return timedelta() if voids == 0 else min(_PAUSE_MAX, _PAUSE_FIRST * int(2 ** min(voids, 20)))
