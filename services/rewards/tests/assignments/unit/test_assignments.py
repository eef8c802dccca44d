"""Payee assignments as pure functions: who decides, when one is in force, and what its end changes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from prizewire_rewards.assignments.domain import (
    AssignmentState,
    PayeeAssignment,
    confirmed,
    ended,
    proposed,
)
from prizewire_rewards.errors import InvalidRequest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def made(**changes: object) -> PayeeAssignment:
    """Ada's proposal that gerd is paid for kim, until tomorrow."""
    fields: dict[str, object] = {
        "id": UUID(int=1),
        "player": "kim",
        "payee": "gerd",
        "reason": "kim is 14",
        "until": NOW + 24 * HOUR,
        "proposed_by": "ada",
        "proposed_at": NOW,
        **changes,
    }
    return PayeeAssignment(**fields)  # type: ignore[arg-type]  # the fields are those of the class


def in_force() -> PayeeAssignment:
    return confirmed(made(), by="adam", begins=NOW, now=NOW)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"payee": "kim"}, "payee_is_player"),
        ({"until": NOW}, "until_past"),
        ({"proposed_by": "kim"}, "own_assignment"),
        ({"proposed_by": "gerd"}, "own_assignment"),
    ],
)
def test_what_is_not_proposed(changes: dict[str, object], code: str) -> None:
    """A player as payee, a past end, and a proposal by one of the two persons are refused."""
    with pytest.raises(InvalidRequest) as refused:
        proposed(made(**changes), now=NOW)
    assert refused.value.code == code


@pytest.mark.parametrize("person", ["ada", "kim", "gerd"])
def test_one_admin_alone_redirects_no_money(person: str) -> None:
    """Neither the proposer nor the player nor the payee confirms."""
    with pytest.raises(InvalidRequest) as refused:
        confirmed(made(), by=person, begins=NOW, now=NOW)
    assert refused.value.code == "own_assignment"


def test_it_is_in_force_from_its_confirmation_until_its_end() -> None:
    """Its first moment is part of it, its end is not."""
    one = in_force()
    assert [one.in_force(now=NOW + hours * HOUR) for hours in (-1, 0, 23, 24)] == [False, True, True, False]
    assert not made().in_force(now=NOW)
    assert one.state_at(now=NOW + 24 * HOUR) is AssignmentState.EXPIRED
    done = ended(one, by="ben", reason="of age", ends=NOW + HOUR, now=NOW + HOUR)
    assert [done.in_force(now=NOW + hours * HOUR) for hours in (0, 1)] == [True, False]


def test_a_proposal_is_withdrawn_and_what_has_ended_stays_so() -> None:
    """A withdrawn, an ended and an expired assignment are neither confirmed nor ended again."""
    withdrawn = ended(made(), by="ada", reason="wrong person", ends=NOW, now=NOW)
    assert withdrawn.state is AssignmentState.WITHDRAWN
    done = ended(in_force(), by="ada", reason="of age", ends=NOW, now=NOW)
    for one, now in ((withdrawn, NOW), (done, NOW), (made(), NOW + 24 * HOUR)):
        with pytest.raises(InvalidRequest) as refused:
            confirmed(one, by="adam", begins=now, now=now)
        assert refused.value.code == "assignment_final"
        with pytest.raises(InvalidRequest) as refused:
            ended(one, by="ben", reason="again", ends=now, now=now)
        assert refused.value.code == "assignment_final"


def test_a_player_does_not_end_an_assignment_to_be_paid() -> None:
    """The payee may end it: the money is not theirs."""
    with pytest.raises(InvalidRequest) as refused:
        ended(in_force(), by="kim", reason="mine", ends=NOW, now=NOW)
    assert refused.value.code == "own_assignment"
    assert ended(in_force(), by="gerd", reason="no more", ends=NOW, now=NOW).state is AssignmentState.ENDED
