"""The signer's answers to a close: the tombstone ends a payout, a refusal sends it back to be proved."""

from datetime import datetime
from uuid import UUID

from prizewire_payouts.approval.domain import Schedule
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.states import CLOSING, FINAL
from prizewire_payouts.payouts.domain.steps import close_refused, finish_closing
from prizewire_payouts.payouts.ports import Store


async def take_closed(store: Store, *, payout_id: UUID, closure: str, cause: str, now: datetime) -> bool:
    """The signer will never sign for this payout again. ``closure`` is its signed event, whole.

    A tombstone is for ever: one that arrives when the payout is not closing is kept for when it closes.
    False where there is no such payout.
    """
    payout = (await store.lock_payouts([payout_id])).get(payout_id)
    if payout is None:
        return False
    change = Change(payout)
    if payout.state in CLOSING:
        finish_closing(change=change, closure=closure, cause=cause, actor="signer", now=now)
    elif payout.closure is None and payout.state not in FINAL:
        change.set(closure=closure)
    if change.touched:
        await store.save([change])
    return True


async def take_close_refused(
    store: Store,
    *,
    payout_id: UUID,
    cause: str,
    not_before: datetime | None,
    schedule: Schedule,
    now: datetime,
) -> bool:
    """A signature may be alive on a slot: the payout is unknown until its rail proves what became of it. It is looked at
    again at ``not_before`` where the signer says when, at most a poll's longest gap from now.

    False where there is no such payout.
    """
    payout = (await store.lock_payouts([payout_id])).get(payout_id)
    if payout is None:
        return False
    if payout.state in CLOSING:
        change = Change(payout)
        again = now + schedule.look_again_in(polls=payout.polls + 1)
        if not_before is not None:
            again = max(now, min(not_before, now + schedule.poll_max))
        close_refused(change=change, cause=cause, now=now, due_at=again)
        await store.save([change])
    return True
