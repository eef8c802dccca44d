"""Reports without a result: the match opens, a player enters, the match closes or is voided; and finality by time."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.rounds.domain.changes import NO_CHANGE, RESOLVE, RoundChange, cause_of, move
from prizewire_settlement.rounds.domain.commands import Entered, Progress, Voided
from prizewire_settlement.rounds.domain.events import (
    RoundEntered,
    RoundEvent,
    RoundFinalized,
    RoundProgressed,
    RoundVoided,
)
from prizewire_settlement.rounds.domain.model import Cause, Entry, Round
from prizewire_settlement.rounds.domain.states import RoundState

_BEGUN: Final = frozenset({RoundState.CLOSED, RoundState.RESOLVED, RoundState.SETTLED, RoundState.FINALIZED})


def report_progress(*, report: Progress, current: Round, rule: Rule, now: datetime) -> RoundChange:
    """The match opened or closed. A step that a later report has implied already changes nothing.

    Raises:
        ReportRefused: ``illegal_transition`` after the round was voided.
    """
    if current.state in _BEGUN or (current.state is RoundState.OPEN and not report.closed):
        return NO_CHANGE
    goal = RoundState.CLOSED if report.closed else RoundState.OPEN
    moved, transitions = move(current, goal, cause=cause_of(report), now=now)
    moved = replace(moved, version=moved.version + 1)
    event = RoundProgressed(
        round=moved,
        version=moved.version,
        caused_by=report.event_id,
        state=goal,
        at=report.at,
        entry_fee=rule.entry_fee,
    )
    return RoundChange(round=moved, transitions=transitions, events=(event,))


def report_entered(
    *,
    report: Entered,
    current: Round,
    rule: Rule,
    entry_id: UUID,
    entered: Collection[str],
    now: datetime,
) -> RoundChange:
    """A player enters. The entry implies that the match is open; this is published, since other services need an open round
    before a player enters. The same player again changes nothing.

    Raises:
        ReportRefused: ``entry_not_offered`` where the rule asks for no fee, ``illegal_transition`` once the match takes
            no more players.
    """
    if report.player in entered:
        return NO_CHANGE
    if rule.entry_fee is None:
        detail = f"rule {rule.version} of {rule.competition} asks for no entry fee"
        raise ReportRefused(Reason.ENTRY_NOT_OFFERED, detail)
    moved, transitions = move(current, RoundState.OPEN, cause=cause_of(report), now=now)
    events: list[RoundEvent] = []
    version = moved.version + (2 if transitions else 1)
    moved = replace(moved, version=version, updated_at=now)
    if transitions:
        opened = RoundProgressed(
            round=moved,
            version=version - 1,
            caused_by=report.event_id,
            state=RoundState.OPEN,
            at=report.at,
            entry_fee=rule.entry_fee,
        )
        events.append(opened)
    entry = Entry(
        id=entry_id,
        round_id=current.id,
        player=report.player,
        fee=rule.entry_fee,
        event_id=report.event_id,
        entered_at=now,
    )
    events.append(
        RoundEntered(round=moved, version=version, caused_by=report.event_id, entry=entry, at=report.at)
    )
    return RoundChange(round=moved, transitions=transitions, entry=entry, events=tuple(events))


def report_voided(*, report: Voided, current: Round, now: datetime) -> RoundChange:
    """The match does not count. See ``void``."""
    return void(current=current, cause=cause_of(report), now=now)


def void(*, current: Round, cause: Cause, now: datetime) -> RoundChange:
    """Void the round; waiting parts of results do not count any more. A second void changes nothing.

    A final round is voided by an admin alone, and only while rewards refuses its settlement: nothing of it was booked.

    Raises:
        ReportRefused: ``illegal_transition`` once it is final.
    """
    if current.state is RoundState.VOIDED:
        return NO_CHANGE
    if current.state is RoundState.FINALIZED and (current.refused_at is None or cause.kind != RESOLVE):
        raise ReportRefused(Reason.ILLEGAL_TRANSITION, f"match {current.match_id} is final")
    moved, transitions = move(current, RoundState.VOIDED, cause=cause, now=now)
    moved = replace(moved, version=moved.version + 1, waiting_since=None, refused_at=None)
    event = RoundVoided(
        round=moved, version=moved.version, caused_by=cause.id, reason=cause.reason or cause.kind
    )
    return RoundChange(round=moved, transitions=transitions, events=(event,))


def finalize(*, current: Round, cause: Cause, now: datetime) -> RoundChange:
    """The dispute window of a settled round has passed."""
    moved, transitions = move(current, RoundState.FINALIZED, cause=cause, now=now)
    moved = replace(moved, version=moved.version + 1)
    event = RoundFinalized(
        round=moved, version=moved.version, caused_by=cause.id, settlement_version=moved.settlement_version
    )
    return RoundChange(round=moved, transitions=transitions, events=(event,))
