"""A state machine that runs rewards' handlers in random order, over any implementation of the ports, and compares them with
a model.

The model is a few lines without accounts, transfers or batches: it adds and subtracts what people should have.
"""

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from services.rewards.tests.machine.base import GRANTED, HOUR, REFUSED_PLAYER
from services.rewards.tests.machine.claims import ClaimRules
from services.rewards.tests.machine.entries import EntryRules
from services.rewards.tests.machine.invariants import Invariants
from services.rewards.tests.machine.payouts import PayoutRules
from services.rewards.tests.machine.prizes import ClaimTerms
from services.rewards.tests.machine.rounds import RoundRules, Win, wins_of
from services.rewards.tests.machine.topups import TopupRules


class RewardsMachine(Invariants, RoundRules, ClaimRules, EntryRules, TopupRules, PayoutRules):
    """All rules and invariants. A walk begins with settled rounds, so that its rules have something to act on."""

    @initialize(
        funded=st.tuples(st.integers(GRANTED, 500), st.integers(GRANTED, 500)),
        review_from=st.sampled_from([None, 30, 60]),
        kyc=st.booleans(),
        released_at_deadline=st.booleans(),
        closed_at_once=st.sampled_from([1, 200]),
        first=st.lists(wins_of, min_size=2, max_size=4),
    )
    def begin(
        self,
        funded: tuple[int, int],
        review_from: int | None,
        kyc: bool,
        released_at_deadline: bool,
        closed_at_once: int,
        first: list[Win],
    ) -> None:
        """Set up the campaigns and settings of this walk."""
        self.closed_at_once = closed_at_once
        terms = ClaimTerms(
            open_for=24 * HOUR,
            review_for=6 * HOUR,
            review_from=review_from,
            refused=REFUSED_PLAYER if kyc else None,
            released_at_deadline=released_at_deadline,
        )
        self.set_up(terms, funded)
        self.settle([(which, {}, GRANTED, 0, True, 1, False) for which in (0, 1)], at_once=False)
        self.settle(first, at_once=False)
