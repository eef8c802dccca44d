"""Approved payouts that wait: nothing is decided about them again, and they go on by themselves."""

from datetime import datetime

from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.states import Held


def wait(*, change: Change, code: str, until: datetime, cause: str) -> None:
    """The payout stays approved, and is looked at again at ``until``. The first time, ``payout.held`` says why."""
    if change.payout.code != code:
        change.emit(event=Held(reason=code), cause=cause)
    change.set(code=code, due_at=until)


def wait_briefly(*, change: Change, code: str, until: datetime) -> None:
    """As ``wait``, but without an event, for what usually takes a moment. ``announce_wait`` publishes one where it takes longer."""
    change.set(code=code, due_at=until)


def announce_wait(*, change: Change, cause: str) -> None:
    """Publish in ``payout.held`` what an approved payout waits for."""
    assert change.payout.code is not None
    change.emit(event=Held(reason=change.payout.code), cause=cause)
