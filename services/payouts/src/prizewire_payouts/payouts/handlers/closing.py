"""The signer's answers to a request to close: a tombstone ends a payout, a refusal reopens it until its slot is proved."""

from datetime import datetime
from uuid import UUID

from prizewire_payouts.payouts.domain.decisions import finish_closing, reopen
from prizewire_payouts.payouts.domain.schedule import Schedule
from prizewire_payouts.payouts.domain.states import CLOSING, FINAL
from prizewire_payouts.payouts.ports import Payouts


async def apply_closure(
    payouts: Payouts, *, payout_id: UUID, closure: str, cause: str, now: datetime
) -> bool:
    """The signer will never sign for this payout again. ``closure`` is its signed event, whole.

    A tombstone is permanent: one that arrives while the payout is not closing is kept until it closes. False where there
    is no such payout.
    """
    change = (await payouts.lock([payout_id])).get(payout_id)
    if change is None:
        return False
    payout = change.payout
    if payout.state in CLOSING:
        finish_closing(change=change, closure=closure, cause=cause, actor="signer", now=now)
    elif payout.closure is None and payout.state not in FINAL:
        change.set(closure=closure)
    await payouts.save()
    return True


async def apply_close_refusal(
    payouts: Payouts,
    *,
    payout_id: UUID,
    cause: str,
    not_before: datetime | None,
    schedule: Schedule,
    now: datetime,
) -> bool:
    """The signer may have signed for this payout on a slot: its outcome is unknown until the rail proves it. The rail is
    asked again at ``not_before`` where the signer names it, but no later than the longest gap between two look-ups.

    False where there is no such payout.
    """
    change = (await payouts.lock([payout_id])).get(payout_id)
    if change is None:
        return False
    if change.payout.state in CLOSING:
        due = now + schedule.look_again_in(polls=change.payout.polls + 1)
        if not_before is not None:
            due = max(now, min(not_before, now + schedule.poll_max))
        reopen(change=change, cause=cause, now=now, due_at=due)
        await payouts.save()
    return True
