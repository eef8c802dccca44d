"""Moves that several features make, and the credits among them."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from prizewire_money import Asset
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move

WORLD = "world"
PLATFORM = "platform"
ORGANIZER = "organizer"
RECEIVABLES = "receivables"
_PAYS_DEBTS = frozenset({Kind.WINNINGS, Kind.TOPUP})


class Credit(NamedTuple):
    """An amount that came into a player's winnings or top-ups by the move ``ordinal`` of its cause."""

    account: Account
    amount: int
    ordinal: int


def credits_of(moves: Iterable[Move]) -> list[Credit]:
    """Every credit to winnings or top-ups among the moves, in their order."""
    return [
        Credit(move.credit, move.amount, move.ordinal) for move in moves if move.credit.kind in _PAYS_DEBTS
    ]


INTAKE_MAX: Final = 2**62
"""What may come in from outside in one asset, in all: no sum of an account, nor of all of them, can pass 64 bits. The
database refuses more (``ledger_intake_limit``)."""


def check_intake(asset: Asset, *, came_in: int, amount: int, most: int = INTAKE_MAX) -> None:
    """Whether ``amount`` may come in from outside beside all that ``came_in`` so far, up to ``most``.

    Raises:
        InvalidRequest: ``amount_too_large``.
    """
    if came_in + amount > most:
        detail = (
            f"{asset.tell(amount)} is too much: at most {asset.tell(most)} may come in, and {asset.tell(came_in)} "
            "did so far"
        )
        raise InvalidRequest("amount_too_large", detail)
