"""A random walk through rewards' use cases beside a model of a few lines, on any implementation of the ports.

The model knows nothing of accounts, transfers or batches: it adds and subtracts what people should have.
"""

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from services.rewards.tests.machine.base import GRANTED, HOUR, NOBODY
from services.rewards.tests.machine.claims import ClaimRules
from services.rewards.tests.machine.entries import EntryRules
from services.rewards.tests.machine.invariants import Invariants
from services.rewards.tests.machine.payouts import PayoutRules
from services.rewards.tests.machine.prizes import House
from services.rewards.tests.machine.rounds import RoundRules, Win, wins_of
from services.rewards.tests.machine.topups import TopupRules


class RewardsMachine(Invariants, RoundRules, ClaimRules, EntryRules, TopupRules, PayoutRules):
    """All rules and invariants. A walk begins where some rounds have been settled, or it would not come far."""

    @initialize(
        funded=st.tuples(st.integers(GRANTED, 500), st.integers(GRANTED, 500)),
        looks_from=st.sampled_from([None, 30, 60]),
        kyc=st.booleans(),
        lets_go=st.booleans(),
        closed_at_once=st.sampled_from([1, 200]),
        first=st.lists(wins_of, min_size=2, max_size=4),
    )
    def begin(
        self,
        funded: tuple[int, int],
        looks_from: int | None,
        kyc: bool,
        lets_go: bool,
        closed_at_once: int,
        first: list[Win],
    ) -> None:
        """The world as this walk finds it."""
        self.closed_at_once = closed_at_once
        house = House(
            opens=24 * HOUR,
            reviews=6 * HOUR,
            looks_from=looks_from,
            refused=NOBODY if kyc else None,
            lets_go=lets_go,
        )
        self.set_up(house, funded)
        self.settle([(which, {}, GRANTED, 0, True, 1, False) for which in (0, 1)], at_once=False)
        self.settle(first, at_once=False)
