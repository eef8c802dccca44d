"""What goes without a person within a day: counted by day and asset, and held where it would pass the limit."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.inbox import Incoming, Refusal
from prizewire_chassis.testing import records
from prizewire_contracts.topics import REWARDS
from prizewire_devstack.testing import DatabaseFactory
from prizewire_devstack.waiting import eventually
from prizewire_money import Amount
from prizewire_payouts.approval.handlers import approve_payout
from prizewire_payouts.approval.storage import measure_automatic_use
from services.payouts.tests.rig import ADDRESS, EURC, POLICY, Rig

DAY_LIMIT = Amount(EURC, 10_000)
DAY_POLICY = replace(POLICY, automatic_in_day={"EURC": DAY_LIMIT})


@pytest.fixture
async def rig(make_database: DatabaseFactory) -> AsyncIterator[Rig]:
    """The service's parts, with a limit of 100.00 EURC for each day."""
    made = Rig(make_database("payouts", migrated=True), policy=DAY_POLICY)
    yield made
    await made.close()


async def standing(rig: Rig, payout_id: UUID) -> tuple[str, str | None]:
    payout = await rig.payout(payout_id)
    return payout.state, payout.code


async def counted(rig: Rig) -> dict[str, int]:
    rows = await rig.rows("SELECT day, asset, used_minor FROM automatic_use ORDER BY day")
    return {f"{row.day} {row.asset}": row.used_minor for row in rows}


async def release(rig: Rig, payout_id: UUID) -> None:
    await rig.run(
        lambda storages: approve_payout(
            storages.payouts,
            storages.approvals,
            payout_id=payout_id,
            approver="bob",
            note=None,
            policy=DAY_POLICY,
            rails=rig.rails,
            now=rig.clock.now(),
        )
    )


HELD = ("held", "above_day_limit")
APPROVED = ("approved", None)


async def test_a_payout_above_the_limit_of_the_day_is_held(rig: Rig) -> None:
    """Over all rails together, in one batch and over several; what is smaller and fits still goes."""
    fake, chain = await rig.method(), await rig.method(kind="stellar", address=ADDRESS)
    batch = [
        rig.intent(fake, amount="60.00"),
        rig.intent(chain, amount="40.01"),
        rig.intent(fake, amount="30.00"),
    ]
    await rig.feed(
        *(rig.requested(method, one) for method, one in zip((fake, chain, fake), batch, strict=True))
    )
    found = [await standing(rig, UUID(one.payout_id)) for one in batch]
    assert found == [APPROVED, HELD, APPROVED]
    held = UUID(batch[1].payout_id)
    assert (await rig.events(held))[0].data["reason"] == "above_day_limit"
    assert (await rig.payout(held)).approvers_needed == 1
    assert await standing(rig, await rig.request(fake, amount="10.01")) == HELD
    assert await standing(rig, await rig.request(chain, amount="10.00")) == APPROVED
    assert await standing(rig, await rig.request(fake, amount="0.01")) == HELD
    assert await counted(rig) == {"2026-11-20 EURC": 10_000}
    assert await rig.breaches() == []


async def test_an_approval_by_a_person_does_not_count(rig: Rig) -> None:
    """A hold of any kind is released by an approver, and the allowance stays what it was."""
    method = await rig.method()
    large = await rig.request(method, amount="5000.00")
    over = await rig.request(method, amount="100.01")
    assert (await standing(rig, large), await standing(rig, over)) == (
        ("held", "above_automatic_limit"),
        HELD,
    )
    for payout_id in (large, over):
        await release(rig, payout_id)
    await rig.submit()
    assert [(await rig.payout(one)).state for one in (large, over)] == ["paid", "paid"]
    assert await counted(rig) == {"2026-11-20 EURC": 0}
    assert await standing(rig, await rig.request(method, amount="100.00")) == APPROVED
    assert await rig.breaches() == []


async def test_the_count_of_a_day_is_not_reduced(rig: Rig) -> None:
    """A cancelled payout keeps its part of the day: the count only rises."""
    method = await rig.method()
    payout_id = await rig.request(method, amount="100.00")
    await rig.feed(rig.cancel_asked(payout_id))
    assert (await rig.payout(payout_id)).state == "cancelled"
    assert await standing(rig, await rig.request(method, amount="0.01")) == HELD
    assert await rig.breaches() == []


async def test_a_payout_held_for_another_reason_does_not_count(rig: Rig) -> None:
    """A request whose intent has expired already needs a person, and leaves the day's allowance alone."""
    method = await rig.method()
    now = int(rig.clock.now().timestamp())
    intent = rig.intent(method, amount="100.00", issued_at=now - 7200, expires_at=now - 10)
    await rig.feed(rig.requested(method, intent))
    assert await standing(rig, UUID(intent.payout_id)) == ("held", "intent_expired")
    assert await standing(rig, await rig.request(method, amount="100.00")) == APPROVED
    assert await rig.breaches() == []


async def test_the_limit_is_whole_again_at_midnight_utc(rig: Rig) -> None:
    """One second before the turn of the day the old count holds, at the turn a new one begins."""
    method = await rig.method()
    assert await standing(rig, await rig.request(method, amount="100.00")) == APPROVED
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    rig.clock.advance(midnight - timedelta(seconds=1) - rig.clock.now())
    assert await standing(rig, await rig.request(method, amount="0.01")) == HELD
    rig.clock.advance(timedelta(seconds=1))
    assert await standing(rig, await rig.request(method, amount="100.00")) == APPROVED
    assert await standing(rig, await rig.request(method, amount="0.01")) == HELD
    assert await counted(rig) == {"2026-11-20 EURC": 10_000, "2026-11-21 EURC": 10_000}
    assert await rig.breaches() == []


@pytest.mark.parametrize("first_of_the_day", [True, False])
async def test_two_replicas_share_one_limit(rig: Rig, first_of_the_day: bool) -> None:
    """A batch that comes while another one has not committed waits for it, and sees what it took."""
    method = await rig.method()
    if not first_of_the_day:
        await rig.request(method, amount="1.00")
    decided, may_commit = asyncio.Event(), asyncio.Event()

    async def slowly(tx: AsyncConnection, events: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refusals = await rig.spec.handler(tx, events)
        decided.set()
        await may_commit.wait()
        return refusals

    one, other = rig.intent(method, amount="60.00"), rig.intent(method, amount="60.00")
    slow = rig.processor.process(
        replace(rig.spec, handler=slowly),
        records(rig.requested(method, one), topic=REWARDS.name, start=90_000),
    )
    first = asyncio.create_task(slow)
    await asyncio.wait_for(decided.wait(), timeout=600)
    second = asyncio.create_task(rig.feed(rig.requested(method, other)))

    async def waits() -> bool:
        query = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return second.done() or bool(await rig.rows(query))

    await eventually(waits, deadline_s=600)
    assert not second.done(), "it decided while the first batch could still commit or not"
    may_commit.set()
    await asyncio.gather(first, second)
    found = [await standing(rig, UUID(intent.payout_id)) for intent in (one, other)]
    assert found == [APPROVED, HELD]
    assert await rig.breaches() == []


async def test_the_used_part_of_the_day_is_measured(rig: Rig) -> None:
    """By asset; an asset of which nothing may go without a person is used up from the start."""
    none = {**DAY_POLICY.automatic_in_day, "NONE": Amount.zero(EURC)}

    async def used(asset: str) -> float | None:
        async with rig.db.transaction() as tx:
            await measure_automatic_use(tx, automatic_in_day=none, now=rig.clock.now())
        return REGISTRY.get_sample_value("prizewire_payouts_automatic_used_ratio", {"asset": asset})

    assert (await used("EURC"), await used("NONE")) == (0, 1)
    await rig.request(await rig.method(), amount="25.00")
    assert await used("EURC") == 0.25
