"""Which credits pay a prize for the first time: figures for metrics. They decide nothing."""

from collections import defaultdict
from collections.abc import Container, Iterable
from typing import NamedTuple
from uuid import UUID

from prizewire_rewards.prizes.domain.model import Reward
from prizewire_rewards.prizes.domain.states import RewardState


class PaidPrizes(NamedTuple):
    """Prizes of one asset that were credited to winnings for good: the number of those that never were before, and the amount
    (minor units) of all credits.
    """

    asset: str
    prizes: int
    amount: int


class PrizeCredit(NamedTuple):
    """A credit of ``amount`` minor units of a prize to winnings. ``first``: the prize was not credited at that time.
    ``again``: it may have been credited before all the same, since a correction may have taken it back in between.
    """

    reward_id: UUID
    asset: str
    amount: int
    first: bool
    again: bool


def prize_credit(reward: Reward, *, was: RewardState, asset: str, amount: int) -> PrizeCredit:
    """The credit of a prize that was in the state ``was``.

    Prizes of the first settlement version were never taken back. A pending prize belongs to a round that never was final, so
    it was not credited either.
    """
    first = was is not RewardState.CREDITED
    again = first and reward.version > 1 and was is not RewardState.PENDING
    return PrizeCredit(reward.id, asset, amount, first, again)


def sum_paid(made: Iterable[PrizeCredit], *, before: Container[UUID]) -> tuple[PaidPrizes, ...]:
    """Sum the credits ``made`` up by asset. ``before`` has the prizes that were credited in an earlier transaction, as far as ``again``
    asks for them.
    """
    prizes: defaultdict[str, int] = defaultdict(int)
    amounts: defaultdict[str, int] = defaultdict(int)
    for credit in made:
        prizes[credit.asset] += credit.first and not (credit.again and credit.reward_id in before)
        amounts[credit.asset] += credit.amount
    return tuple(PaidPrizes(asset, prizes[asset], amounts[asset]) for asset in sorted(amounts))
