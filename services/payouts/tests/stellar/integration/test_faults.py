"""Faults of the network with the whole lifecycle over the execution: what is paid in the end, and how often."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from prizewire_payouts.approval.handlers import reject_payout
from prizewire_payouts.payouts.handlers.operators import cancel_payout
from services.payouts.tests.rig import Storages
from services.payouts.tests.stellar.integration.conftest import PLAYER_KEYS, Sandbox, World
from services.payouts.tests.stellar.integration.lived import LivedWorld

FOREVER = 1_000_000
CENT = 100_000
ONE, TWO, THREE = (PLAYER_KEYS[index].public_key for index in range(3))


@pytest.fixture
async def lived(make_world: Callable[..., World], sandbox: Sandbox) -> AsyncIterator[LivedWorld]:
    """A lived world that voids a slot after two revisions of two seconds."""
    made = make_world(valid_s=2, digests_max=2, kind=LivedWorld)
    assert isinstance(made, LivedWorld)
    yield made
    await made.close()
    sandbox.arm(lose_answer=0, try_again_later=0, not_found=0)


async def voided(world: World) -> bool:
    rows = await world.rows("SELECT 1 FROM stellar_attempts WHERE kind = 'void_slot' AND state = 'leased'")
    return bool(rows)


async def test_slot_that_is_never_applied_ends_voided_and_its_payouts_are_paid_once(
    lived: LivedWorld,
) -> None:
    """No ledger takes the payments until their slot is voided; then each payout is paid exactly once on a new slot,
    and the one whose cancel was asked meanwhile ends cancelled, with the signer's closure.
    """
    world = lived
    world.sandbox.arm(try_again_later=FOREVER)
    paid = {await world.approved(ONE, 101), await world.approved(TWO, 102)}
    cancelled = await world.approved(THREE, 103)
    await world.run_until(lambda: voided(world), deadline_s=600)
    assert {await world.state(one) for one in (*paid, cancelled)} <= {"pending", "unknown"}

    async def ask(storages: Storages) -> object:
        return await cancel_payout(
            storages.payouts, payout_id=cancelled, by="ana", reason="changed my mind", now=world.clock.now()
        )

    await world.run(ask)
    world.sandbox.arm(try_again_later=0)
    await world.reach({**dict.fromkeys(paid, "paid"), cancelled: "cancelled"})
    assert world.paid() == sorted([(ONE, 101 * CENT, ""), (TWO, 102 * CENT, "")])
    rows = await world.rows("SELECT state, attempts, closure FROM payouts ORDER BY amount_minor")
    assert [row.state for row in rows] == ["paid", "paid", "cancelled"]
    assert rows[2].closure is not None
    found = await world.rows("SELECT kind, state FROM stellar_attempts ORDER BY attempt_id")
    kinds = [(row.kind, row.state) for row in found]
    # on a slow machine a transaction of two seconds may lapse once more, so only what must be is asked for
    assert kinds[:2] == [("payment", "superseded"), ("payment", "superseded")]
    assert kinds[2][0] == "void_slot"
    assert ("void_slot", "succeeded") in kinds
    assert ("payment", "succeeded") in kinds
    assert world.signer.paid == paid
    assert world.impossible == []
    assert await world.breaches() == []


async def test_payout_that_was_taken_out_of_a_dead_slot_ends(lived: LivedWorld) -> None:
    """A payout that the signer bound and then refused cannot be closed while its slot is open; the void opens the way
    to its end.
    """
    world = lived
    world.sandbox.arm(try_again_later=FOREVER)
    payout_id = await world.approved(ONE, 104)

    async def bound() -> bool:
        return payout_id in world.signer.bound

    await world.run_until(bound)
    world.signer.refuse[payout_id] = "amount_mismatch"
    await world.run_until(lambda: voided(world))
    assert await world.state(payout_id) != "failed"
    world.sandbox.arm(try_again_later=0)
    await world.reach({payout_id: "failed"})
    assert world.paid() == []
    assert await world.breaches() == []


async def test_limit_of_the_day_is_waited_for(lived: LivedWorld) -> None:
    """A payout over the signer's limit of the day goes back to approved and is paid when the day has turned, without
    having used up an attempt; its neighbours are paid at once.
    """
    world = lived
    waits, goes = await world.approved(ONE, 105), await world.approved(TWO, 106)
    world.signer.refuse[waits] = "day_over_limit"

    async def waiting() -> bool:
        (row,) = await world.rows("SELECT state, code FROM payouts WHERE payout_id = :id", id=waits)
        return (row.state, row.code) == ("approved", "signer_limit")

    await world.run_until(waiting)
    await world.reach({goes: "paid"})
    (row,) = await world.rows("SELECT * FROM payouts WHERE payout_id = :id", id=waits)
    assert (row.attempts, row.attempts_waived) == (1, 1)
    now = datetime.now(UTC)
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert row.due_at > min(now + timedelta(minutes=55), tomorrow - timedelta(minutes=1))
    assert row.due_at < tomorrow + timedelta(minutes=6)
    assert world.paid() == [(TWO, 106 * CENT, "")]
    world.signer.refuse.clear()
    await world.rows("UPDATE payouts SET due_at = now() WHERE payout_id = :id RETURNING 1", id=waits)
    await world.reach({waits: "paid"})
    assert world.paid() == sorted([(ONE, 105 * CENT, ""), (TWO, 106 * CENT, "")])
    assert await world.breaches() == []


async def test_limit_of_the_day_never_gives_up(lived: LivedWorld) -> None:
    """However often the limit is met, no attempt is used up and nothing is given back."""
    world = lived
    payout_id = await world.approved(ONE, 107)
    world.signer.refuse[payout_id] = "day_over_limit"
    for number in range(1, 6):

        async def refused(number: int = number) -> bool:
            (row,) = await world.rows("SELECT state, attempts_waived FROM payouts")
            return (row.state, row.attempts_waived) == ("approved", number)

        await world.run_until(refused)
        await world.rows("UPDATE payouts SET due_at = now() RETURNING 1")
    world.signer.refuse.clear()
    await world.reach({payout_id: "paid"})
    assert world.paid() == [(ONE, 107 * CENT, "")]


async def test_expired_intent_is_held_and_a_person_may_still_end_it(lived: LivedWorld) -> None:
    """An intent that the signer finds expired holds the payout and asks rewards for a renewal; expiry alone gives
    nothing back, and a person may reject it, through the signer's closure.
    """
    world = lived
    payout_id = await world.approved(ONE, 108)
    world.signer.refuse[payout_id] = "intent_expired"
    await world.reach({payout_id: "held"})
    (row,) = await world.rows("SELECT * FROM payouts")
    assert (row.code, row.expiry_told, row.attempts_waived, row.due_at) == ("intent_expired", True, 1, None)
    held = await world.rows("SELECT value FROM outbox WHERE topic = 'prizewire.payouts.v1' ORDER BY id DESC")
    assert b'"prizewire.payout.held.v1"' in bytes(held[0].value)
    assert b'"intent_expired"' in bytes(held[0].value)
    for _ in range(3):
        await world.tick()
    assert await world.state(payout_id) == "held"

    async def say_no(storages: Storages) -> object:
        return await reject_payout(
            storages.payouts,
            payout_id=payout_id,
            approver=str(uuid4()),
            reason="too late",
            now=world.clock.now(),
        )

    await world.run(say_no)
    await world.reach({payout_id: "rejected"})
    assert world.paid() == []
    assert await world.breaches() == []
