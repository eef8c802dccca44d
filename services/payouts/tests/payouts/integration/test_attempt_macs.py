"""What a person with the login of payouts' database cannot do: have a payout paid twice, or given back after it was paid.

The login may write states, references and times of payouts and attempts. It cannot compute the MAC of an attempt.
"""

from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.ids import provider_key
from prizewire_payouts.payouts.domain.states import AttemptUnproved
from prizewire_payouts.payouts.handlers.operators import announce_end, cancel_payout
from prizewire_rail_fake import Scenario
from prizewire_railkit import no_effect, pending, unknown
from services.payouts.tests.payouts.integration.test_lifecycle import commit_only
from services.payouts.tests.rig import Rig


async def write(rig: Rig, payout_id: UUID, *changes: str) -> None:
    """Change rows with the login of the service: each of ``changes`` is ``table SET …``."""
    async with rig.db.transaction() as tx:
        for change in changes:
            await tx.execute(text(f"UPDATE {change} WHERE payout_id = '{payout_id}'"))


END = "attempts SET state = 'no_effect', code = 'rail_unavailable'"
APPROVE = "payouts SET state = 'approved', due_at = requested_at"


async def paid_without_an_answer(rig: Rig) -> UUID:
    """A payout that the rail has paid, and whose answer was lost."""
    rig.fake.scenario = Scenario.LOST_ANSWER
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    assert rig.journal.effects(payout_id) == 1
    return payout_id


async def test_a_payout_whose_attempt_was_ended_in_the_database_is_paid_once(rig: Rig) -> None:
    """The rail is asked about the attempt before another one is made. Its answer is kept for a person, who has the attempt
    opened again: then the payment is booked.
    """
    payout_id = await paid_without_an_answer(rig)
    await write(rig, payout_id, END, APPROVE)
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, payout.attempts) == ("unknown", "attempt_unproved", 1)
    assert (await rig.event_types(payout_id))[-1] == "payout.unknown"
    await rig.watch()
    assert (await rig.payout(payout_id)).state == "unknown"
    assert [one.detail for one in rig.impossible] == ["paid for an attempt that is stored as no_effect"]
    assert rig.journal.effects(payout_id) == 1
    assert f"attempt 1 of payout {payout_id} was changed in the database" in await rig.breaches()
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute("ALTER TABLE attempts DISABLE TRIGGER USER")
    await owner.execute(f"UPDATE attempts SET state = 'ambiguous' WHERE payout_id = '{payout_id}'")
    await owner.execute("ALTER TABLE attempts ENABLE TRIGGER USER")
    await owner.close()
    await rig.watch(after=timedelta(hours=2))
    assert (await rig.payout(payout_id)).state == "paid"
    assert [one.authentic for one in await rig.attempts(payout_id)] == [True]


async def test_an_attempt_that_had_no_effect_is_proved_again(rig: Rig) -> None:
    """What the rail confirms is an authentic attempt from then on, and the payout is paid by the next one."""
    rig.fake.scenario = Scenario.LOST_REQUEST
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    await write(rig, payout_id, END, APPROVE)
    await rig.submit()
    await rig.watch()
    assert (await rig.payout(payout_id)).state == "approved"
    rig.clock.advance(timedelta(minutes=1))
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert [one.authentic for one in await rig.attempts(payout_id)] == [True, True]
    assert rig.journal.effects(payout_id) == 1


async def test_a_payment_that_was_ended_in_the_database_is_not_given_back(rig: Rig) -> None:
    """A cancel waits for the rail's proof, as it does while an attempt is open."""
    payout_id = await paid_without_an_answer(rig)
    await write(rig, payout_id, END, APPROVE)
    await rig.run(
        lambda storages: cancel_payout(
            storages.payouts, payout_id=payout_id, by="olga", reason="stop", now=rig.clock.now()
        )
    )
    assert (await rig.payout(payout_id)).state == "unknown"
    await rig.watch()
    assert (await rig.payout(payout_id)).state == "unknown"
    assert "payout.cancelled" not in await rig.event_types(payout_id)


async def test_a_cancel_follows_the_proof(rig: Rig) -> None:
    """Once the rail has proved that nothing was paid, the payout is cancelled for the reason that was given."""
    rig.fake.scenario = Scenario.LOST_REQUEST
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    await write(rig, payout_id, END, APPROVE)
    await rig.run(
        lambda storages: cancel_payout(
            storages.payouts, payout_id=payout_id, by="olga", reason="stop", now=rig.clock.now()
        )
    )
    await rig.watch()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, payout.reason) == ("cancelled", "cancelled_by_operator", "stop")


async def test_an_end_that_no_rail_proved_is_not_announced(rig: Rig) -> None:
    """Money is given back on the event of an end: an admin cannot publish one for a payment that was made."""
    payout_id = await paid_without_an_answer(rig)
    await write(
        rig,
        payout_id,
        END,
        "payouts SET state = 'closing_failed', code = 'x', due_at = NULL",
        "payouts SET state = 'failed'",
    )
    with pytest.raises(AttemptUnproved):
        await rig.run(lambda storages: announce_end(storages.payouts, payout_id=payout_id, by="adam"))


async def test_a_payment_that_no_rail_proved_is_not_announced(rig: Rig) -> None:
    """A payout that was set to paid in the database has no event of it."""
    rig.fake.scenario = Scenario.LOST_REQUEST
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    await write(
        rig,
        payout_id,
        "attempts SET state = 'effected'",
        "payouts SET state = 'paid', paid_at = requested_at, fee_minor = 0, fee_asset = asset, "
        "fee_borne_by = 'platform', proof = '{}'",
    )
    with pytest.raises(AttemptUnproved):
        await rig.run(lambda storages: announce_end(storages.payouts, payout_id=payout_id, by="adam"))


async def test_an_inserted_attempt_stops_no_payout(rig: Rig) -> None:
    """The rail is asked under the key of the payout's own attempt, whatever key the row names; then the payout is paid."""
    payout_id = await rig.request(await rig.method())
    async with rig.db.transaction() as tx:
        await tx.execute(
            text(
                "INSERT INTO attempts (payout_id, attempt_no, rail, provider_key, request_hash, state, opened_at, changed_at) "
                "VALUES (:id, 1, 'fake', gen_random_uuid(), 'x', 'opened', :now, :now)"
            ),
            {"id": payout_id, "now": rig.clock.now()},
        )
    await write(rig, payout_id, END)
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "unknown"
    await rig.watch()
    closed = rig.journal.find(provider_key(payout_id=payout_id, attempt_no=1))
    assert closed is not None
    rig.clock.advance(timedelta(minutes=1))
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert rig.journal.effects(payout_id) == 1


async def test_a_call_under_way_is_not_looked_up(rig: Rig) -> None:
    """Before the lease of the call has ended, "not found" proves nothing, whatever time the row says."""
    payout_id = await rig.request(await rig.method())
    await commit_only(rig)
    for change in ("due_at = requested_at", "state = 'unknown'"):
        await write(rig, payout_id, f"payouts SET {change}")
        await rig.watch(after=timedelta(seconds=1))
        assert (await rig.attempts(payout_id))[0].state == "sent"
    await rig.watch(after=timedelta(minutes=1))
    assert (await rig.attempts(payout_id))[0].state == "no_effect"


async def test_a_reference_that_was_changed_is_not_used(rig: Rig) -> None:
    """The rail is asked by the key of the attempt, and not by another payment's reference."""
    chain, method = rig.chain, await rig.method(kind="stellar")
    payout_id = await rig.request(method)
    chain.answers.append(pending(reference="mine"))
    await rig.submit("stellar")
    await write(rig, payout_id, "attempts SET provider_ref = 'theirs'")
    chain.looks.append(unknown())
    await rig.watch("stellar")
    assert [one.provider_ref for one in chain.looked] == [None]


async def test_only_the_rail_of_the_attempt_is_asked(rig: Rig) -> None:
    """Another rail does not know the payment: its answer would prove nothing."""
    payout_id = await paid_without_an_answer(rig)
    await write(
        rig,
        payout_id,
        END,
        "payouts SET state = 'approved', rail = 'stellar'",
        "payouts SET state = 'unknown'",
    )
    rig.chain.looks.append(no_effect(code=PayoutCode.RAIL_UNAVAILABLE))
    await rig.watch("stellar", after=timedelta(hours=1))
    assert rig.chain.looked == []
    assert (await rig.payout(payout_id)).state == "unknown"


async def test_the_expiry_is_the_one_that_was_signed(rig: Rig) -> None:
    """An intent that has expired is not paid because its row has a later time."""
    payout_id = await rig.request(await rig.method())
    rig.clock.advance(timedelta(hours=2))
    await write(rig, payout_id, "payouts SET intent_expires_at = intent_expires_at + interval '1 day'")
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code) == ("failed", "intent_invalid")
    assert rig.journal.effects() == 0
