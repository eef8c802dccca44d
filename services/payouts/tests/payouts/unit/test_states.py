"""The state machines: every edge leads somewhere sensible, ends stay ends, and nothing else is possible."""

from itertools import product

import pytest

from prizewire_payouts.payouts.domain.states import (
    ATTEMPT_EDGES,
    ATTEMPT_OPEN,
    CLOSING,
    FINAL,
    PAYOUT_EDGES,
    AttemptState,
    IllegalTransition,
    PayoutState,
    check_attempt_edge,
    check_payout_edge,
)


def reachable(start: PayoutState) -> set[PayoutState]:
    """States that can be reached from ``start``, itself included."""
    seen = {start}
    while True:
        more = {new for old, new in PAYOUT_EDGES if old in seen} - seen
        if not more:
            return seen
        seen |= more


def test_every_edge_has_a_reason() -> None:
    """Each edge of both machines says why it is there."""
    assert all(len(reason) > 5 for reason in [*PAYOUT_EDGES.values(), *ATTEMPT_EDGES.values()])


def test_ends_stay_ends() -> None:
    """Nothing leaves a final state, and paid can only be returned."""
    assert not [edge for edge in PAYOUT_EDGES if edge[0] in FINAL]
    assert [new for old, new in PAYOUT_EDGES if old is PayoutState.PAID] == [PayoutState.RETURNED]


def test_every_state_can_be_reached_and_can_end() -> None:
    """No state is out of reach, and from each there is a way to an end."""
    assert reachable(PayoutState.REQUESTED) == set(PayoutState)
    ends = FINAL | {PayoutState.PAID}
    assert all(reachable(state) & ends for state in PayoutState)


def test_money_is_given_back_only_through_closing() -> None:
    """Each of failed, rejected and cancelled is entered from its own closing state alone."""
    for closing, final in CLOSING.items():
        assert [old for old, new in PAYOUT_EDGES if new is final] == [closing]


def test_nothing_is_sent_but_from_approved() -> None:
    """An attempt begins only from approved, and paid comes only from a state with an attempt."""
    assert [old for old, new in PAYOUT_EDGES if new is PayoutState.SUBMITTING] == [PayoutState.APPROVED]
    before_paid = {old for old, new in PAYOUT_EDGES if new is PayoutState.PAID}
    assert before_paid == {PayoutState.SUBMITTING, PayoutState.PENDING, PayoutState.UNKNOWN}


def test_unknown_never_becomes_held_without_proof() -> None:
    """There is no way from unknown to held or submitting: no button sends it again."""
    after = {new for old, new in PAYOUT_EDGES if old is PayoutState.UNKNOWN}
    assert not after & {PayoutState.HELD, PayoutState.SUBMITTING, PayoutState.REQUESTED}


def test_a_closed_attempt_never_opens_again() -> None:
    """From effected, no_effect and reversed no open state can be reached."""
    closed = set(AttemptState) - ATTEMPT_OPEN
    assert not [edge for edge in ATTEMPT_EDGES if edge[0] in closed and edge[1] in ATTEMPT_OPEN]
    assert (AttemptState.NO_EFFECT, AttemptState.EFFECTED) not in ATTEMPT_EDGES


@pytest.mark.parametrize(("old", "new"), sorted(set(product(PayoutState, repeat=2)) - set(PAYOUT_EDGES)))
def test_other_payout_steps_are_refused(old: PayoutState, new: PayoutState) -> None:
    """A step without an edge is an error that names both ends."""
    with pytest.raises(IllegalTransition) as caught:
        check_payout_edge(old=old, new=new)
    assert (caught.value.old, caught.value.new) == (old, new)


@pytest.mark.parametrize(("old", "new"), sorted(set(product(AttemptState, repeat=2)) - set(ATTEMPT_EDGES)))
def test_other_attempt_steps_are_refused(old: AttemptState, new: AttemptState) -> None:
    """A step of an attempt without an edge is an error."""
    with pytest.raises(IllegalTransition):
        check_attempt_edge(old=old, new=new)
