"""One payout within one transaction: every step it takes, every event it causes, gathered before it is saved."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from prizewire_payouts.payouts.domain.events import CloseAsked, PayoutFact
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.domain.states import (
    AttemptState,
    PayoutState,
    check_attempt_edge,
    check_payout_edge,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One edge of the payout's state machine that was taken, and why."""

    old: PayoutState
    new: PayoutState
    cause: str
    actor: str
    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStep:
    """One edge of an attempt's state machine that was taken, and why."""

    attempt_no: int
    old: AttemptState
    new: AttemptState
    cause: str
    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event with the version it takes on its subject, and the cause it names."""

    version: int
    event: PayoutFact
    cause: str
    at: datetime


@dataclass(slots=True)
class Change:
    """A payout as it will be saved. Steps are checked against the tables as they are taken."""

    payout: Payout
    is_new: bool = False
    attempt: Attempt | None = None
    attempt_is_new: bool = False
    steps: list[Step] = field(default_factory=list)
    attempt_steps: list[AttemptStep] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
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
        """Take one step, with any fields that change with it; ``code`` says why the payout is where it now is.

        Raises:
            IllegalTransition: the table has no such edge; nothing was changed.
        """
        old = self.payout.state
        check_payout_edge(old=old, new=to)
        self.steps.append(Step(old=old, new=to, cause=cause, actor=actor, code=code, at=now))
        self.payout = replace(self.payout, state=to, code=code, changed_at=now, **fields)
        self.touched = True

    def set(self, **fields: Any) -> None:
        """Change fields without a step; ``changed_at`` stays the moment of the last step."""
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
        """Take one step of the attempt.

        Raises:
            IllegalTransition: the table has no such edge; nothing was changed.
        """
        attempt = self.attempt
        assert attempt is not None
        check_attempt_edge(old=attempt.state, new=to)
        self.attempt_steps.append(
            AttemptStep(
                attempt_no=attempt.attempt_no, old=attempt.state, new=to, cause=cause, code=code, at=now
            )
        )
        self.attempt = replace(attempt, state=to, code=code, changed_at=now, **fields)
        self.touched = True

    def emit(self, *, event: PayoutFact, cause: str, now: datetime) -> None:
        """Tell others; each event takes the next version of its own count."""
        if isinstance(event, CloseAsked):
            self.payout = replace(self.payout, close_version=self.payout.close_version + 1)
            version = self.payout.close_version
        else:
            self.payout = replace(self.payout, version=self.payout.version + 1)
            version = self.payout.version
        self.facts.append(Fact(version=version, event=event, cause=cause, at=now))
        self.touched = True
