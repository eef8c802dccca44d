"""What one transaction changes of one payout: its transitions and events are collected here before they are saved."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from prizewire_payouts.payouts.domain.events import CloseRequested, PayoutEvent
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.domain.states import (
    AttemptState,
    PayoutState,
    check_attempt_edge,
    check_payout_edge,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One edge of the payout's state machine that was taken, and why."""

    old: PayoutState
    new: PayoutState
    cause: str
    actor: str
    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTransition:
    """One edge of an attempt's state machine that was taken, and why."""

    attempt_no: int
    old: AttemptState
    new: AttemptState
    cause: str
    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvent:
    """An event that is published with the change: its version on its subject, and the cause that it names."""

    version: int
    event: PayoutEvent
    cause: str


@dataclass(slots=True)
class Change:
    """A payout as it will be saved. Each transition is checked against the table of edges when it is taken."""

    payout: Payout
    is_new: bool = False
    attempt: Attempt | None = None
    attempt_is_new: bool = False
    transitions: list[Transition] = field(default_factory=list)
    attempt_transitions: list[AttemptTransition] = field(default_factory=list)
    events: list[PendingEvent] = field(default_factory=list)
    touched: bool = False

    def move(
        self,
        *,
        to: PayoutState,
        cause: str,
        actor: str,
        now: datetime,
        code: str | None = None,
        **fields: Any,
    ) -> None:
        """Move the payout to another state, with any fields that change with it; ``code`` says why it is there.

        Raises:
            IllegalTransition: the table has no such edge; nothing was changed.
        """
        old = self.payout.state
        check_payout_edge(old=old, new=to)
        self.transitions.append(Transition(old=old, new=to, cause=cause, actor=actor, code=code, at=now))
        self.payout = replace(self.payout, state=to, code=code, changed_at=now, **fields)
        self.touched = True

    def set(self, **fields: Any) -> None:
        """Change fields without a transition; ``changed_at`` stays the time of the last transition."""
        self.payout = replace(self.payout, **fields)
        self.touched = True

    def open_attempt(self, *, attempt: Attempt) -> None:
        """Add a new attempt, which must be in its first state."""
        assert attempt.state is AttemptState.OPENED
        self.attempt, self.attempt_is_new = attempt, True
        self.payout = replace(self.payout, attempts=attempt.attempt_no)
        self.touched = True

    def move_attempt(
        self, *, to: AttemptState, cause: str, now: datetime, code: str | None = None, **fields: Any
    ) -> None:
        """Move the attempt to another state.

        Raises:
            IllegalTransition: the table has no such edge; nothing was changed.
        """
        attempt = self.attempt
        assert attempt is not None
        check_attempt_edge(old=attempt.state, new=to)
        self.attempt_transitions.append(
            AttemptTransition(
                attempt_no=attempt.attempt_no, old=attempt.state, new=to, cause=cause, code=code, at=now
            )
        )
        self.attempt = replace(attempt, state=to, code=code, changed_at=now, **fields)
        self.touched = True

    def emit(self, *, event: PayoutEvent, cause: str) -> None:
        """Publish an event with the change. It takes the next version: requests to the signer are counted apart."""
        if isinstance(event, CloseRequested):
            self.payout = replace(self.payout, close_version=self.payout.close_version + 1)
            version = self.payout.close_version
        else:
            self.payout = replace(self.payout, version=self.payout.version + 1)
            version = self.payout.version
        self.events.append(PendingEvent(version=version, event=event, cause=cause))
        self.touched = True
