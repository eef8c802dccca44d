"""Kinds of transactions, each with the only operations it may hold (protocol: signing, kinds)."""

from collections.abc import Mapping

__all__ = ["ALLOWED_OPERATIONS", "PAYMENT"]

PAYMENT = "payment"

ALLOWED_OPERATIONS: Mapping[str, frozenset[str]] = {
    PAYMENT: frozenset({"payment"}),
    # An empty set means: known, and nothing of this kind is signed yet.
    "fee_bump": frozenset(),
    "void_slot": frozenset(),
    "restore": frozenset(),
    "reclaim": frozenset(),
}
