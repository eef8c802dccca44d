"""The moves of settlements, and refused settlements."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_rewards.campaigns.domain.model import CAMPAIGN_EDGES, CampaignState
from prizewire_rewards.errors import IllegalTransition, Refused
from prizewire_rewards.ledger.domain.accounts import EDGE_OF, Account, Kind, deltas
from prizewire_rewards.ledger.domain.records import PAYS_DEBTS, step
from prizewire_rewards.payouts.domain.model import PAYOUT_EDGES, PAYOUT_FINAL, PayoutState
from prizewire_rewards.prizes.domain.booking import (
    check_settlement,
    fee_moves,
    finality_moves,
    reserved_moves,
)
from prizewire_rewards.prizes.domain.model import Line, Reward, Settlement
from prizewire_rewards.prizes.domain.states import RewardState

HEAD = Settlement(
    round_id=UUID(int=1),
    match_id="m",
    match_source="/g",
    competition="c",
    correlation_id="x",
    settlement_version=1,
    rule_version=1,
    campaign=UUID(int=2),
    asset="USDC",
    gross=115,
    platform_fee=10,
    organizer_fee=5,
    organizer_player=None,
    net=100,
    unclaimed=20,
    parts=1,
    lines_total=2,
    digest="d",
    final=True,
    final_at=datetime(2026, 3, 1, tzinfo=UTC),
)
LINES = [Line(1, "ann", 1, 50, 1), Line(2, "bob", 2, 30, 1)]


def test_a_sound_settlement_is_accepted() -> None:
    """Digest, numbers, players, amounts and sums all match."""
    check_settlement(HEAD, LINES, digest="d")


@pytest.mark.parametrize(
    ("head", "lines", "code"),
    [
        ({}, [LINES[0]], "digest_mismatch"),
        ({"digest": "other"}, LINES, "digest_mismatch"),
        ({}, [LINES[1], LINES[0]], "event_mismatch"),
        ({}, [LINES[0], LINES[1]._replace(player="ann")], "event_mismatch"),
        ({"net": 70, "gross": 85}, [LINES[0], LINES[1]._replace(amount=0)], "event_mismatch"),
        ({"gross": 116}, LINES, "event_mismatch"),
        ({"unclaimed": 21}, LINES, "event_mismatch"),
        ({"net": 101, "gross": 116}, LINES, "event_mismatch"),
    ],
)
def test_an_unsound_settlement_is_refused(head: dict[str, Any], lines: list[Line], code: str) -> None:
    """Each mismatch has its stable code and parks the event."""
    with pytest.raises(Refused) as refused:
        check_settlement(replace(HEAD, **head), lines, digest="d")
    assert (refused.value.code, refused.value.park) == (code, True)


def test_a_final_settlement_leaves_nothing_reserved() -> None:
    """The pool shrinks by the granted amount; lines, fees and the unclaimed rest are the gross prize."""
    found = deltas(reserved_moves(HEAD, LINES))
    assert found == {
        Account(Kind.POOL, str(HEAD.campaign), "USDC"): -95,
        Account(Kind.WINNINGS, "ann", "USDC"): 50,
        Account(Kind.WINNINGS, "bob", "USDC"): 30,
        Account(Kind.FEES, "platform", "USDC"): 10,
        Account(Kind.FEES, "organizer", "USDC"): 5,
    }


@given(
    amounts=st.lists(st.integers(1, 10**12), max_size=20),
    fees=st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9)),
    organizer=st.sampled_from([None, "olaf"]),
)
def test_pending_then_final_is_the_same_as_final_at_once(
    amounts: list[int], fees: tuple[int, int, int], organizer: str | None
) -> None:
    """Two steps move the same as one, over allowed edges only, and every move has its own (type, ordinal)."""
    platform, organizer_fee, unclaimed = fees
    net = sum(amounts) + unclaimed
    head = replace(
        HEAD,
        gross=net + platform + organizer_fee,
        platform_fee=platform,
        organizer_fee=organizer_fee,
        organizer_player=organizer,
        net=net,
        unclaimed=unclaimed,
    )
    lines = [Line(n, f"p{n}", n, amount, 1) for n, amount in enumerate(amounts, 1)]
    once = reserved_moves(head, lines)
    rewards = [Reward(UUID(int=line.line), head.round_id, line, RewardState.PENDING, None) for line in lines]
    matured = [*finality_moves(head, rewards), *fee_moves(head)]
    twice = [*reserved_moves(replace(head, final=False), lines), *matured]
    assert deltas(once) == deltas(twice)
    for moves in (once, twice):
        assert all((move.type, move.debit.kind, move.credit.kind) in EDGE_OF for move in moves)
        assert all(move.amount > 0 for move in moves)
        assert len({(move.type, move.ordinal) for move in moves}) == len(moves)
    assert sum(move.amount for move in once if move.credit.kind in PAYS_DEBTS) == sum(amounts) + (
        organizer_fee if organizer else 0
    )


def test_final_payouts_stay_final() -> None:
    """No final state has a next one, except that a paid payout may be returned."""
    onward = {(was, to) for was, to in PAYOUT_EDGES if was in PAYOUT_FINAL}
    assert onward == {(PayoutState.PAID, PayoutState.RETURNED)}


def test_an_ended_campaign_stays_ended() -> None:
    """Ended has no next state; every other state has one."""
    leading = {was for was, _ in CAMPAIGN_EDGES}
    assert leading == set(CampaignState) - {CampaignState.ENDED}


def test_a_transition_outside_the_table_is_refused() -> None:
    """The error names both states."""
    with pytest.raises(IllegalTransition) as refused:
        step(edges=CAMPAIGN_EDGES, was=CampaignState.ENDED, to=CampaignState.ACTIVE)
    assert (refused.value.was, refused.value.to) == ("ended", "active")
