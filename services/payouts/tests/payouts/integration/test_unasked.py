"""A payout for which the signer signed a transaction that payouts did not ask for may be paid: nothing is given back or sent."""

from datetime import timedelta
from uuid import UUID

import pytest

from prizewire_contracts.rails import Outcome
from services.payouts.tests.payouts.integration.test_closing import answer, deliver, failed
from services.payouts.tests.payouts.integration.test_lifecycle import on_chain, paid, said
from services.payouts.tests.rig import Rig

MINUTE = timedelta(seconds=61)


async def sign(rig: Rig, payout_id: UUID) -> None:
    """Somebody else has the signer sign for this payout."""
    await rig.rows(
        "INSERT INTO stellar_unasked (tx_hash, slot_id, account, payout_ids, max_time, event_id, signed_at) VALUES "
        "(repeat('0', 64), gen_random_uuid(), 'G', ARRAY[CAST(:id AS uuid)], 1, 'x', now()) RETURNING 1",
        id=payout_id,
    )


async def end(rig: Rig, outcome: str) -> None:
    """What the ledger says of it."""
    await rig.rows(
        "INSERT INTO stellar_unasked_ends VALUES (repeat('0', 64), :outcome, 1, now()) RETURNING 1",
        outcome=outcome,
    )


async def again(rig: Rig) -> None:
    """The worker looks at the payout again."""
    rig.clock.advance(MINUTE)
    await rig.watch("stellar")


async def closings(rig: Rig, payout_id: UUID) -> int:
    return (await rig.event_types(payout_id)).count("signing.close_requested")


@pytest.mark.parametrize("outcome", ["applied", "without_effect"])
async def test_a_cancelled_payout_is_not_closed_before_the_ledger_says(rig: Rig, outcome: str) -> None:
    """It is unknown until then. If it was applied, the money is never given back."""
    payout_id = await on_chain(rig)
    await sign(rig, payout_id)
    await rig.feed(rig.cancel_asked(payout_id))
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.ends_as) == ("unknown", "closing_cancelled")
    await again(rig)
    assert (await rig.payout(payout_id)).state == "unknown"
    assert await closings(rig, payout_id) == 0
    await end(rig, outcome)
    await again(rig)
    without = outcome == "without_effect"
    assert (await rig.payout(payout_id)).state == ("closing_cancelled" if without else "unknown")
    assert await closings(rig, payout_id) == without
    if without:
        await deliver(rig, answer(payout_id, "closed"))
        assert (await rig.payout(payout_id)).state == "cancelled"
    assert await rig.breaches() == []


async def test_a_closure_that_came_before_ends_nothing(rig: Rig) -> None:
    """Somebody else asked for it: it is kept, and used once the ledger proves that nothing was paid."""
    payout_id = await on_chain(rig)
    await sign(rig, payout_id)
    await deliver(rig, answer(payout_id, "closed"))
    await rig.feed(rig.cancel_asked(payout_id))
    assert (await rig.payout(payout_id)).state == "unknown"
    await end(rig, "without_effect")
    await again(rig)
    assert (await rig.payout(payout_id)).state == "cancelled"


async def test_a_signature_that_is_known_while_the_payout_closes_stops_it(rig: Rig) -> None:
    """Payouts has asked for the closure already, and gets it: the payout is unknown, with its closure."""
    payout_id = await failed(rig)
    await sign(rig, payout_id)
    await deliver(rig, answer(payout_id, "closed"))
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.ends_as, payout.code) == ("unknown", "closing_failed", "no_trustline")
    rig.chain.looks.append(said(Outcome.NO_EFFECT, "no_trustline"))
    await again(rig)
    assert (await rig.payout(payout_id)).state == "unknown"
    await end(rig, "without_effect")
    rig.chain.looks.append(said(Outcome.NO_EFFECT, "no_trustline"))
    await again(rig)
    assert (await rig.payout(payout_id)).state == "failed"


async def test_nothing_is_sent_before_the_ledger_says(rig: Rig) -> None:
    """Else the payout would be paid twice: no rail is called, until the transaction is proved to be without effect."""
    payout_id = await on_chain(rig)
    await sign(rig, payout_id)
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "approved"
    assert rig.chain.created == []
    await end(rig, "without_effect")
    rig.chain.answers.append(paid())
    rig.clock.advance(MINUTE)
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "paid"
