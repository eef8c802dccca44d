"""Fixed owners of accounts, the credits among moves, and the limit of what comes in from outside."""

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
    """An amount that the move ``ordinal`` of its cause credits to a player's winnings or top-ups."""

    account: Account
    amount: int
    ordinal: int


def credits_of(moves: Iterable[Move]) -> list[Credit]:
    """List every credit to winnings or top-ups among the moves, in their order."""
    return [
        Credit(move.credit, move.amount, move.ordinal) for move in moves if move.credit.kind in _PAYS_DEBTS
    ]


INTAKE_MAX: Final = 2**62
"""The most that may come in from outside in one asset, in total (minor units). With this limit no balance and no sum of
balances exceeds 64 bits. The database refuses more (``ledger_intake_limit``)."""


def check_intake(asset: Asset, *, intake: int, amount: int, most: int = INTAKE_MAX) -> None:
    """Check that ``amount`` may come in from outside after ``intake``. Both together are at most ``most``.

    Raises:
        InvalidRequest: ``amount_too_large``: they are more.
    """
    if intake + amount > most:
        detail = (
            f"{asset.describe(amount)} is too much: at most {asset.describe(most)} may come in from outside, and "
            f"{asset.describe(intake)} came in before"
        )
        raise InvalidRequest("amount_too_large", detail)
