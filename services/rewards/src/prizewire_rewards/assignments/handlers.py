"""Payee assignments: proposed by an admin, confirmed by another, ended by any."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from prizewire_rewards.assignments.domain import (
    AssignmentState,
    PayeeAssignment,
    check_no_chain,
    confirmed,
    ended,
    expired,
    proposed,
)
from prizewire_rewards.assignments.ports import AssignmentPorts
from prizewire_rewards.errors import InvalidRequest, NotFound

_NEXT: Final = timedelta(microseconds=1)
"""The least time between two moments that differ in PostgreSQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAssignment:
    """A person's decision to end an assignment."""

    id: UUID
    actor: str
    reason: str


async def propose_assignment(
    assignment: PayeeAssignment, *, ports: AssignmentPorts, now: datetime
) -> PayeeAssignment:
    """Propose an assignment. Nothing changes before another admin confirms it. It may be proposed while another assignment of
    the player is in force, which it then replaces.

    Raises:
        InvalidRequest: ``payee_is_player``, ``until_past``, ``own_assignment``, ``assignment_chain`` or ``assignment_exists``:
            another proposal for the player waits for a decision.
    """
    made = proposed(assignment, now=now)
    await ports.assignments.lock_persons((made.player, made.payee))
    for one in await _open(made.player, ports=ports, now=now):
        if one.state is AssignmentState.PROPOSED:
            raise InvalidRequest(
                "assignment_exists",
                f"{one.proposed_by} has proposed {one.payee} for {one.player} (assignment {one.id}): decide about it first",
            )
    await _check_chain(made, ports=ports, now=now)
    await ports.assignments.add(made)
    return made


async def confirm_assignment(
    identifier: UUID, *, actor: str, ports: AssignmentPorts, now: datetime
) -> PayeeAssignment:
    """Bring a proposed assignment into force. It replaces the one of the player that is in force.

    It begins after each payout of the player that was requested before, also where this request has a later time.

    Raises:
        NotFound: ``assignment_unknown``.
        InvalidRequest: ``assignment_final``, ``own_assignment`` or ``assignment_chain``.
    """
    found = await _lock(identifier, ports=ports)
    begins = await _after_requests(found.player, ports=ports, now=now)
    made = confirmed(found, by=actor, begins=begins, now=now)
    await _check_chain(made, ports=ports, now=now)
    for one in await _open(made.player, ports=ports, now=now):
        if one.state is AssignmentState.IN_FORCE:
            reason = f"replaced by assignment {made.id}"
            await ports.assignments.save(ended(one, by=actor, reason=reason, ends=begins, now=now))
    await ports.assignments.save(made)
    return made


async def end_assignment(command: EndAssignment, *, ports: AssignmentPorts, now: datetime) -> PayeeAssignment:
    """End an assignment, or withdraw one that is not confirmed yet. Payouts that were requested before go on to the payee.

    Raises:
        NotFound: ``assignment_unknown``.
        InvalidRequest: ``assignment_final`` or ``own_assignment``.
    """
    found = await _lock(command.id, ports=ports)
    ends = await _after_requests(found.player, ports=ports, now=now)
    made = ended(found, by=command.actor, reason=command.reason, ends=ends, now=now)
    await ports.assignments.save(made)
    return made


async def _lock(identifier: UUID, *, ports: AssignmentPorts) -> PayeeAssignment:
    known = await ports.assignments.get(identifier)
    if known is not None:
        await ports.assignments.lock_persons((known.player, known.payee))
        known = await ports.assignments.get(identifier)
    if known is None:
        raise NotFound("assignment_unknown", f"there is no payee assignment {identifier}")
    return known


async def _open(player: str, *, ports: AssignmentPorts, now: datetime) -> list[PayeeAssignment]:
    """The proposed assignment and the one in force; those that have expired are stored as expired."""
    found = []
    for one in await ports.assignments.open_of(player):
        if one.past(now=now):
            await ports.assignments.save(expired(one))
        else:
            found.append(one)
    return found


async def _check_chain(assignment: PayeeAssignment, *, ports: AssignmentPorts, now: datetime) -> None:
    other = await ports.assignments.chained(player=assignment.player, payee=assignment.payee, now=now)
    check_no_chain(other=other)


async def _after_requests(player: str, *, ports: AssignmentPorts, now: datetime) -> datetime:
    """This moment, or the first one after the player's last request of a payout."""
    last = await ports.assignments.last_request(player)
    return now if last is None else max(now, last + _NEXT)
