"""Kinds of transactions, each with the only operations it may hold (protocol: signing, kinds)."""

from collections.abc import Mapping

PAYMENT = "payment"
VOID_SLOT = "void_slot"
"""Consumes a slot's sequence number by one operation of the channel on itself that has no effect."""

PAYING = frozenset({PAYMENT})
"""Kinds with one operation for each payout, which the treasury signs beside the channel. All others hold exactly one
operation, no payout and no memo, and the channel alone signs them.
"""

ALLOWED_OPERATIONS: Mapping[str, frozenset[str]] = {
    PAYMENT: frozenset({"payment"}),
    VOID_SLOT: frozenset({"bump_sequence"}),
    # An empty set means: known, and nothing of this kind is signed yet.
    "fee_bump": frozenset(),
    "restore": frozenset(),
    "reclaim": frozenset(),
}
