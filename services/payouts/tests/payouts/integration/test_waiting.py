"""Attempts that end by what time or a renewal lifts: nobody's fault, nothing given back, no attempt used up."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import CancelOutcome, Outcome
from prizewire_payouts.approval.handlers import approve_payout
from prizewire_payouts.payouts.http.answers import payout_answer
from prizewire_payouts.payouts.storage.figures import measure
from prizewire_payouts.payouts.storage.queries import NO_NOTES
from services.payouts.tests.payouts.integration.test_lifecycle import on_chain, paid, said
from services.payouts.tests.rig import ADDRESS, POLICY, SCHEDULE, Rig, Storages, renewed


async def lasting(rig: Rig) -> UUID:
    """An approved payout on a chain whose intent is good for two days."""
    expires_at = int(rig.clock.now().timestamp()) + 2 * 86_400
    return await rig.request(await rig.method(kind="stellar", address=ADDRESS), expires_at=expires_at)


async def test_limit_of_the_signer_is_waited_for_and_shown(rig: Rig) -> None:
    """Back to approved until the limit's day turns over or an hour has passed, shown to operators with code and time."""
    payout_id = await lasting(rig)
    rig.chain.answers.append(said(Outcome.NO_EFFECT, PayoutCode.SIGNER_LIMIT))
    await rig.submit("stellar")
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code) == ("approved", "signer_limit")
    assert (payout.attempts, payout.attempts_waived, payout.attempts_counted) == (1, 1, 0)
    assert payout.due_at is not None
    wait = payout.due_at - rig.clock.now()
    assert timedelta(hours=1) <= wait <= timedelta(hours=1, minutes=5)
    shown = payout_answer(payout, notes=NO_NOTES)
    assert (shown.next_attempt_at, shown.attempts_waived) == (payout.due_at, 1)
    async with rig.db.transaction() as tx:
        await measure(tx, now=rig.clock.now())
    assert REGISTRY.get_sample_value("prizewire_payouts_waiting", {"code": "signer_limit"}) == 1
    await rig.submit("stellar")
    assert len(rig.chain.created) == 1, "not before its time"
    rig.clock.advance(wait)
    rig.chain.answers.append(paid())
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "paid"
    async with rig.db.transaction() as tx:
        await measure(tx, now=rig.clock.now())
    assert REGISTRY.get_sample_value("prizewire_payouts_waiting", {"code": "signer_limit"}) == 0
    assert await rig.event_types(payout_id) == [
        "payout.approved",
        "payout.submitted",
        "payout.submitted",
        "payout.paid",
    ]
    assert await rig.breaches() == []


async def test_waiting_uses_up_no_attempt(rig: Rig) -> None:
    """However often a limit is met, all attempts are left; failures that count still do."""
    payout_id = await lasting(rig)
    for _ in range(2 * SCHEDULE.attempts_max):
        rig.chain.answers.append(said(Outcome.NO_EFFECT, PayoutCode.SIGNER_LIMIT))
        await rig.submit("stellar")
        rig.clock.advance(timedelta(minutes=9))
        await rig.rows("UPDATE payouts SET due_at = :now RETURNING 1", now=rig.clock.now())
    for number in range(SCHEDULE.attempts_max):
        assert (await rig.payout(payout_id)).attempts_counted == number
        rig.chain.answers.append(said(Outcome.NO_EFFECT, PayoutCode.TX_EXPIRED))
        await rig.submit("stellar")
        rig.clock.advance(timedelta(minutes=5))
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code) == ("closing_failed", "attempts_exhausted")
    assert await rig.breaches() == []


async def test_cancel_is_applied_before_any_waiting(rig: Rig) -> None:
    """A payout whose cancel was asked does not wait for a limit: it closes."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(said(Outcome.PENDING))
    await rig.submit("stellar")
    await rig.feed(rig.cancel_asked(payout_id))
    rig.chain.cancels.append(CancelOutcome.TOO_LATE)
    rig.chain.looks.append(said(Outcome.NO_EFFECT, PayoutCode.SIGNER_LIMIT))
    await rig.watch("stellar")
    assert (await rig.payout(payout_id)).state == "closing_cancelled"


async def test_a_payout_that_was_cancelled_before_it_arrived_is_not_paid(rig: Rig) -> None:
    """An operator's cancel follows its request at once, in one batch of events: the payout ends as cancelled by the operator, and no rail is
    called.
    """
    method = await rig.method()
    intent = rig.intent(method)
    asked = rig.cancel_asked(intent.payout_id, by="olga", code="cancelled_by_operator")
    await rig.feed(rig.requested(method, intent), asked)
    await rig.submit()
    payout = await rig.payout(UUID(intent.payout_id))
    assert (payout.state, payout.code, payout.attempts) == ("cancelled", "cancelled_by_operator", 0)
    assert (payout.cancel_asked_by, payout.reason) == ("olga", "stop")
    assert await rig.breaches() == []


async def test_expired_intent_is_held_renewed_and_paid(rig: Rig) -> None:
    """The signer finds the intent expired: held, with the event that makes rewards renew it; then a person lets it go."""
    method = await rig.method(kind="stellar", address=ADDRESS)
    intent = rig.intent(method)
    await rig.feed(rig.requested(method, intent))
    payout_id = UUID(intent.payout_id)
    rig.chain.answers.append(said(Outcome.NO_EFFECT, PayoutCode.INTENT_EXPIRED))
    await rig.submit("stellar")
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, payout.expiry_told) == ("held", "intent_expired", True)
    assert (payout.attempts, payout.attempts_counted, payout.due_at) == (1, 0, None)
    held = (await rig.events(payout_id))[-1]
    assert (held.type, held.data["reason"]) == ("payout.held", "intent_expired")
    again = renewed(intent, hours=2)
    await rig.feed(rig.renewal(again))
    assert (await rig.payout(payout_id)).intent["expires_at"] == again.expires_at

    async def approve(storages: Storages) -> object:
        return await approve_payout(
            storages.payouts,
            storages.approvals,
            payout_id=payout_id,
            approver="bob",
            note=None,
            policy=POLICY,
            rails=rig.rails,
            now=rig.clock.now(),
        )

    await rig.run(approve)
    rig.chain.answers.append(paid())
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "paid"
    assert "signing.close_requested" not in await rig.event_types(payout_id)
    assert await rig.breaches() == []


async def test_cancel_of_what_is_held_for_expiry_goes_through_the_signer(rig: Rig) -> None:
    """A person, or the player, may still end it: through the tombstone, as anything that the signer could have signed."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(said(Outcome.NO_EFFECT, PayoutCode.INTENT_EXPIRED))
    await rig.submit("stellar")
    await rig.feed(rig.cancel_asked(payout_id))
    assert (await rig.payout(payout_id)).state == "closing_cancelled"
    assert (await rig.event_types(payout_id))[-1] == "signing.close_requested"


@pytest.mark.parametrize(("hour", "minute", "least_s", "most_s"), [(12, 0, 3600, 3900), (23, 50, 600, 900)])
def test_limit_is_looked_at_when_its_day_turns(hour: int, minute: int, least_s: int, most_s: int) -> None:
    """At the turn of the day (UTC) or after an hour, whichever comes first, spread over five minutes."""
    now = datetime(2026, 11, 20, hour, minute, tzinfo=UTC)
    waits = {SCHEDULE.limit_again_in(now=now, provider_key=UUID(int=number)) for number in range(500)}
    assert min(waits) == timedelta(seconds=least_s)
    assert timedelta(seconds=most_s - 1) < max(waits) < timedelta(seconds=most_s)
    assert len(waits) == 500
