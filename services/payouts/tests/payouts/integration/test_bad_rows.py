"""A payout whose row cannot be read or handled: the others of its rail go on, and nothing is done with it."""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from prizewire_chassis.batches import POSTPONED_FIRST
from prizewire_chassis.metrics import ROWS_POSTPONED
from prizewire_contracts.ids import event_id
from prizewire_contracts.rails import PayoutInstruction, ProviderResult
from prizewire_payouts.payouts.jobs.housekeeping import housekeeping_job
from prizewire_rail_fake import Scenario
from services.payouts.tests.rig import Rig

DIGITS = "1" + "0" * 5_000
"""PostgreSQL stores an integer of so many digits in a JSON document, and Python refuses to read it."""


async def change(rig: Rig, payout_id: UUID, changes: str, **values: object) -> None:
    """Change a row past the service, as the login's own new row could have it."""
    connection = await asyncpg.connect(rig.urls.migration)
    await connection.execute(
        f"UPDATE payouts SET {changes} WHERE payout_id = '{payout_id}'", *values.values()
    )
    await connection.close()


async def break_row(rig: Rig, payout_id: UUID) -> None:
    """Make the driver fail on this row."""
    await change(rig, payout_id, "proof = CAST($1::text AS jsonb)", proof=DIGITS)


async def mend_row(rig: Rig, payout_id: UUID) -> None:
    await change(rig, payout_id, "proof = NULL")


async def state(rig: Rig, payout_id: UUID) -> str:
    [row] = await rig.rows("SELECT state FROM payouts WHERE payout_id = :id", id=payout_id)
    return str(row.state)


def postponed(job: str) -> float:
    return float(ROWS_POSTPONED.labels(job)._value.get())


async def test_a_payout_that_cannot_be_read_does_not_stop_its_rail(rig: Rig) -> None:
    """The payouts around it are paid; it is tried again later, and paid once its row is mended."""
    method = await rig.method()
    first, bad, last = [await rig.request(method) for _ in range(3)]
    await break_row(rig, bad)
    await rig.submit()
    assert [await state(rig, one) for one in (first, bad, last)] == ["paid", "approved", "paid"]
    assert await rig.rows("SELECT 1 FROM attempts WHERE payout_id = :id", id=bad) == []
    assert postponed("payouts.submit.fake") == 1
    await mend_row(rig, bad)
    await rig.submit()
    assert await state(rig, bad) == "approved"
    rig.clock.advance(POSTPONED_FIRST)
    await rig.submit()
    assert await state(rig, bad) == "paid"
    assert postponed("payouts.submit.fake") == 0


async def test_a_payout_that_cannot_be_read_does_not_stop_looks_at_others(rig: Rig) -> None:
    """Its outcome stays open, and its rail is asked about it again once its row is mended."""
    method = await rig.method()
    good, bad = [await rig.request(method) for _ in range(2)]
    rig.fake.scenario = Scenario.PENDING
    await rig.submit()
    await break_row(rig, bad)
    await rig.watch()
    await rig.watch()
    assert [await state(rig, one) for one in (good, bad)] == ["paid", "pending"]
    await mend_row(rig, bad)
    for _ in range(3):
        await rig.watch(after=timedelta(hours=1))
    assert await state(rig, bad) == "paid"


async def test_a_payout_that_cannot_be_handled_does_not_stop_its_rail(rig: Rig) -> None:
    """Its row can be read, but the event of its call cannot be stored, so the rail is not called."""
    method = await rig.method()
    first, bad, last = [await rig.request(method) for _ in range(3)]
    await rig.rows(
        "INSERT INTO outbox (event_id, topic, key, value, created_at) SELECT :id, topic, key, value, created_at FROM outbox "
        "LIMIT 1 RETURNING event_id",
        id=str(
            event_id(
                source="/prizewire/payouts", subject=str(bad), version=2, kind="prizewire.payout.submitted.v1"
            )
        ),
    )
    await rig.submit()
    assert [await state(rig, one) for one in (first, bad, last)] == ["paid", "approved", "paid"]
    assert await rig.rows("SELECT 1 FROM attempts WHERE payout_id = :id", id=bad) == []


@pytest.mark.parametrize("why", ["expired", "unrouted"])
async def test_housekeeping_goes_on_past_a_payout_that_cannot_be_read(rig: Rig, why: str) -> None:
    """Payouts with expired intents are held, and those whose rail is gone get another one."""
    method = await rig.method()
    bad, good = sorted([await rig.request(method) for _ in range(2)])
    await break_row(rig, bad)
    if why == "expired":
        rig.clock.advance(timedelta(days=40))
    else:
        for one in (bad, good):
            await change(rig, one, "rail = 'gone'")

    async def measure(_: object) -> None:
        return None

    job = housekeeping_job(
        db=rig.db, unit_of_work=rig.unit_of_work, rails=rig.rails, clock=rig.clock, measure=measure
    )
    await job.run()
    rows = await rig.rows("SELECT payout_id, state, rail FROM payouts")
    seen = {row.payout_id: (row.state, row.rail) for row in rows}
    if why == "expired":
        assert (seen[bad][0], seen[good][0]) == ("approved", "held")
    else:
        assert (seen[bad], seen[good]) == (("approved", "gone"), ("approved", "fake"))


async def test_an_answer_about_a_payout_that_cannot_be_read_does_not_block_the_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rail is asked about it again when its lease has ended."""
    method = await rig.method()
    good, bad = [await rig.request(method) for _ in range(2)]
    create = rig.fake.create_payout

    async def create_and_break(instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        result = await create(instruction, now=now)
        if instruction.payout_id == bad:
            await break_row(rig, bad)
        return result

    monkeypatch.setattr(rig.fake, "create_payout", create_and_break)
    await rig.submit()
    assert [await state(rig, one) for one in (good, bad)] == ["paid", "submitting"]
    await rig.watch(after=timedelta(hours=1))
    assert await state(rig, bad) == "submitting"
    await mend_row(rig, bad)
    await rig.watch(after=timedelta(hours=1))
    assert await state(rig, bad) == "paid"
