"""Payee assignments, their states, and who may decide about them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.records import step


class AssignmentState(StrEnum):
    """The state of a payee assignment. The values are those of HTTP."""

    PROPOSED = "proposed"
    """It has no effect. Another admin decides."""
    IN_FORCE = "in_force"
    """Payouts of the player that are requested now go to the payee."""
    ENDED = "ended"
    """An admin ended it, or a later assignment of the player replaced it."""
    WITHDRAWN = "withdrawn"
    """It ended before it was in force."""
    EXPIRED = "expired"
    """Its ``until`` passed."""


ASSIGNMENT_START: Final = frozenset({AssignmentState.PROPOSED})
ASSIGNMENT_EDGES: Final[Mapping[tuple[AssignmentState, AssignmentState], str]] = {
    (AssignmentState.PROPOSED, AssignmentState.IN_FORCE): "another admin confirmed it",
    (AssignmentState.PROPOSED, AssignmentState.WITHDRAWN): "an admin withdrew it before it was confirmed",
    (AssignmentState.PROPOSED, AssignmentState.EXPIRED): "its until passed before it was confirmed",
    (
        AssignmentState.IN_FORCE,
        AssignmentState.ENDED,
    ): "an admin ended it, or a later assignment of the player replaced it",
    (AssignmentState.IN_FORCE, AssignmentState.EXPIRED): "its until passed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeAssignment:
    """``payee`` is paid in the place of ``player``, for ``reason``.

    It is in force from ``in_force_from`` until ``until`` (None: no end) or ``ended_at``, whichever is earlier. ``end_reason`` is
    the reason of the person who ended or withdrew it.
    """

    id: UUID
    player: str
    payee: str
    reason: str
    until: datetime | None
    proposed_by: str
    proposed_at: datetime
    state: AssignmentState = AssignmentState.PROPOSED
    confirmed_by: str | None = None
    in_force_from: datetime | None = None
    ended_by: str | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None

    @property
    def assigners(self) -> tuple[str, ...]:
        """The admins who proposed and confirmed it: parties of the payouts that it directs."""
        return (self.proposed_by, *(() if self.confirmed_by is None else (self.confirmed_by,)))

    def in_force(self, *, now: datetime) -> bool:
        """Whether a payout that is requested at this moment goes to the payee."""
        began = self.in_force_from is not None and self.in_force_from <= now
        return began and not self.past(now=now) and (self.ended_at is None or now < self.ended_at)

    def past(self, *, now: datetime) -> bool:
        """Whether its ``until`` has passed."""
        return self.until is not None and self.until <= now

    def state_at(self, *, now: datetime) -> AssignmentState:
        """The state at this moment. A passed ``until`` is stored with the next change of the player's assignments."""
        waiting = self.state in (AssignmentState.PROPOSED, AssignmentState.IN_FORCE)
        return AssignmentState.EXPIRED if waiting and self.past(now=now) else self.state


def proposed(assignment: PayeeAssignment, *, now: datetime) -> PayeeAssignment:
    """The assignment, once it may be proposed.

    Raises:
        InvalidRequest: ``payee_is_player``, ``until_past``, or ``own_assignment``: the proposer is its player or its payee.
    """
    if assignment.payee == assignment.player:
        raise InvalidRequest(
            "payee_is_player", f"{assignment.player} is paid without an assignment: name another payee"
        )
    if assignment.past(now=now):
        raise InvalidRequest(
            "until_past", f"until is {assignment.until}, which has passed: name a later time"
        )
    _check_not_concerned(assignment, by=assignment.proposed_by, persons=(assignment.player, assignment.payee))
    return assignment


def confirmed(assignment: PayeeAssignment, *, by: str, begins: datetime, now: datetime) -> PayeeAssignment:
    """The assignment after the confirmation of ``by``, in force from ``begins`` on.

    Raises:
        InvalidRequest: ``assignment_final``: it is not proposed any more; ``own_assignment``: the person proposed it, or is its
            player or its payee.
    """
    _check_open(assignment, AssignmentState.PROPOSED, now=now)
    _check_not_concerned(
        assignment, by=by, persons=(assignment.player, assignment.payee, assignment.proposed_by)
    )
    return replace(
        assignment,
        state=step(edges=ASSIGNMENT_EDGES, was=assignment.state, to=AssignmentState.IN_FORCE),
        confirmed_by=by,
        in_force_from=begins,
    )


def ended(
    assignment: PayeeAssignment, *, by: str, reason: str, ends: datetime, now: datetime
) -> PayeeAssignment:
    """The assignment after ``by`` ended it, or withdrew it where it was not in force yet.

    Raises:
        InvalidRequest: ``assignment_final``: it has ended already; ``own_assignment``: the person is its player, who would
            be paid then.
    """
    _check_open(assignment, AssignmentState.PROPOSED, AssignmentState.IN_FORCE, now=now)
    _check_not_concerned(assignment, by=by, persons=(assignment.player,))
    was_in_force = assignment.state is AssignmentState.IN_FORCE
    to = AssignmentState.ENDED if was_in_force else AssignmentState.WITHDRAWN
    return replace(
        assignment,
        state=step(edges=ASSIGNMENT_EDGES, was=assignment.state, to=to),
        ended_by=by,
        ended_at=ends,
        end_reason=reason,
    )


def expired(assignment: PayeeAssignment) -> PayeeAssignment:
    """An assignment whose ``until`` has passed."""
    to = step(edges=ASSIGNMENT_EDGES, was=assignment.state, to=AssignmentState.EXPIRED)
    return replace(assignment, state=to)


def check_no_chain(*, other: PayeeAssignment | None) -> None:
    """Check that nobody is paid over two assignments. ``other`` is one in force by which the money of the new payee goes to
    somebody else, or by which the new player is paid for somebody else.

    Raises:
        InvalidRequest: ``assignment_chain``.
    """
    if other is None:
        return
    raise InvalidRequest(
        "assignment_chain",
        f"by assignment {other.id} {other.payee} is paid for {other.player}: a payee has no assignment of their own, and a "
        "player with an assignment is no payee. End that one first, or name another payee",
    )


def _check_open(assignment: PayeeAssignment, *states: AssignmentState, now: datetime) -> None:
    state = assignment.state_at(now=now)
    if state not in states:
        raise InvalidRequest(
            "assignment_final", f"the assignment {assignment.id} is {state}: this is no longer possible"
        )


def _check_not_concerned(assignment: PayeeAssignment, *, by: str, persons: tuple[str, ...]) -> None:
    if by in persons:
        part = {assignment.player: "the player of", assignment.payee: "the payee of"}.get(
            by, "the proposer of"
        )
        raise InvalidRequest(
            "own_assignment", f"{by} is {part} this assignment: another admin has to decide about it"
        )
