"""The limits that the steps keep."""

from dataclasses import dataclass
from datetime import timedelta

BASE_FEE = 100
"""The least that the network takes for an operation, in stroops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``valid`` is how long a transaction may be applied after it was built, judged by ledger close time;
    ``fee_max`` the most for one transaction in stroops; ``poll`` paces looks at the ledger; ``short_of_funds`` is
    how long payments wait that the treasury cannot cover, ``rest`` how long a channel rests whose account is unfit,
    ``node_pause`` how long after a node did not answer.
    """

    valid: timedelta = timedelta(seconds=90)
    fee_max: int = 2_000_000
    poll: timedelta = timedelta(milliseconds=2500)
    short_of_funds: timedelta = timedelta(seconds=30)
    rest: timedelta = timedelta(seconds=60)
    node_pause: timedelta = timedelta(seconds=2)


def fee_of(*, operations: int, bid: int, fee_max: int) -> int:
    """The fee of a transaction in stroops: a bid for each operation, never below the base fee, within the ceiling."""
    return min(max(BASE_FEE, bid) * operations, fee_max)
