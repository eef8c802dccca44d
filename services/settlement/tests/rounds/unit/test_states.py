"""The round's state machine as a table."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.rounds.domain.changes import path
from prizewire_settlement.rounds.domain.model import EDGES, RoundState

LINE = [
    RoundState.NEW,
    RoundState.OPEN,
    RoundState.CLOSED,
    RoundState.RESOLVED,
    RoundState.SETTLED,
    RoundState.FINALIZED,
]


def test_every_edge_has_a_reason_and_stands_once() -> None:
    """Each edge is in the table once, with a reason."""
    pairs = [(edge.before, edge.after) for edge in EDGES]
    assert len(set(pairs)) == len(pairs)
    assert all(edge.reason for edge in EDGES)


def test_final_states_are_left_by_no_edge_but_an_admins() -> None:
    """VOIDED stays, FINALIZED is left for RESOLVED and VOIDED alone, and no edge leads back to NEW."""
    assert not [edge for edge in EDGES if RoundState.VOIDED is edge.before or edge.after is RoundState.NEW]
    assert [edge.after for edge in EDGES if edge.before is RoundState.FINALIZED] == [
        RoundState.RESOLVED,
        RoundState.VOIDED,
    ]


def test_every_state_is_reached() -> None:
    """From NEW, edges lead to every state."""
    reached = {RoundState.NEW}
    for _ in EDGES:
        reached |= {edge.after for edge in EDGES if edge.before in reached}
    assert reached == set(RoundState)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(RoundState, RoundState)))
def test_a_path_is_made_of_edges_or_refused(before: RoundState, after: RoundState) -> None:
    """Between any two states lies a path over the table's edges, or a refusal that parks nothing."""
    allowed = {(edge.before, edge.after) for edge in EDGES}
    forward = before in LINE and after in LINE and LINE.index(before) <= LINE.index(after)
    if forward or (before, after) in allowed or before is after:
        steps = path(before=before, after=after)
        assert set(steps) <= allowed
        ends = [before, *(step[1] for step in steps)]
        assert ends[-1] is after
        assert [step[0] for step in steps] == ends[:-1]
    else:
        with pytest.raises(ReportRefused) as refused:
            path(before=before, after=after)
        assert (refused.value.reason, refused.value.park) == (Reason.ILLEGAL_TRANSITION, False)


@given(st.sampled_from(LINE), st.sampled_from(LINE))
def test_a_match_result_implies_the_steps_before_it(before: RoundState, after: RoundState) -> None:
    """Along the main line nothing is skipped."""
    if LINE.index(before) <= LINE.index(after):
        assert len(path(before=before, after=after)) == LINE.index(after) - LINE.index(before)
