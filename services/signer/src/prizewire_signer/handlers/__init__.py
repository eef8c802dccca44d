"""Use cases: decide what to sign, sign it, close slots and payouts."""

from prizewire_signer.handlers.closing import close_payouts, close_slot
from prizewire_signer.handlers.signing import Decision, Desk, Order, Outcome, decide, finish, sign
from prizewire_signer.handlers.slots import names_itself

__all__ = [
    "Decision",
    "Desk",
    "Order",
    "Outcome",
    "close_payouts",
    "close_slot",
    "decide",
    "finish",
    "names_itself",
    "sign",
]
