"""A rail's worker: what it claims while calls wait for the rail, and while answers wait for the database."""

import asyncio
import itertools
import time
from dataclasses import replace
from typing import Any

import pytest

from prizewire_contracts.rails import Outcome, PayoutReference, ProviderResult
from prizewire_rail_fake import Scenario
from services.payouts.tests.rig import SCHEDULE, Rig


@pytest.mark.parametrize(("waiting", "looks"), [(8, 8), (9, 2)])
async def test_looks_give_way_to_payments(rig: Rig, waiting: int, looks: int) -> None:
    """While payments wait for the rail, looks take a quarter of its calls; else they may take all."""
    method = await rig.method()
    rig.fake.scenario = Scenario.PENDING
    for _ in range(12):
        await rig.request(method)
    await rig.submit()
    worker, release = rig.workers["fake"], asyncio.Event()
    asked: list[PayoutReference] = []

    async def look(reference: PayoutReference, **_: object) -> ProviderResult:
        asked.append(reference)
        await release.wait()
        return ProviderResult(outcome=Outcome.PENDING)

    rig.fake.sync_status = look  # type: ignore[method-assign]  # a rail whose look-ups take long
    sending = [asyncio.create_task(release.wait()) for _ in range(waiting)]
    worker._sending.under_way.update(sending)  # type: ignore[arg-type]  # calls that wait for the rail
    rig.clock.advance(SCHEDULE.lease)
    assert await worker.watch()
    assert len(asked) == looks
    worker._sending.under_way.clear()
    release.set()
    await worker.drain()


async def test_nothing_is_opened_while_answers_are_not_stored(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the database does not take the answers, no further payment begins; later both go on."""
    method, worker = await rig.method(), rig.workers["fake"]
    first = await rig.request(method)
    store = worker._store

    async def lost(_: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(worker, "_store", lost)
    assert await worker.submit()
    with pytest.raises(ConnectionResetError):
        await worker.submit()
    second = await rig.request(method)
    with pytest.raises(ConnectionResetError):
        await worker.submit()
    assert (await rig.payout(second)).state == "approved"
    monkeypatch.setattr(worker, "_store", store)
    await rig.submit()
    await rig.submit()
    assert [(await rig.payout(one)).state for one in (first, second)] == ["paid", "paid"]
    assert rig.journal.effects() == 2


async def test_calls_are_spaced_by_the_limit_of_the_rail(rig: Rig) -> None:
    """Payments and look-ups share the calls of a second; each attempt keeps how long its call took."""
    limited = replace(rig.rails[1].capabilities, calls_per_s=20)
    rail = replace(rig.rails[1], capabilities=limited)
    worker = rig.workers["fake"] = rig.worker(rail)
    began: list[float] = []
    create, look = rig.fake.create_payout, rig.fake.sync_status

    async def created(*given: Any, **named: Any) -> ProviderResult:
        began.append(time.perf_counter())
        return await create(*given, **named)

    async def looked(*given: Any, **named: Any) -> ProviderResult:
        began.append(time.perf_counter())
        return await look(*given, **named)

    rig.fake.create_payout, rig.fake.sync_status = created, looked  # type: ignore[method-assign]  # notes each call
    rig.fake.scenario = Scenario.PENDING
    asked = [await rig.request(await rig.method(), amount=f"{n}.00") for n in range(1, 5)]
    await rig.submit()
    rig.clock.advance(SCHEDULE.poll)
    while await worker.watch():
        continue
    assert len(began) == 8
    assert min(later - earlier for earlier, later in itertools.pairwise(began)) > 0.045
    for payout_id in asked:
        (attempt,) = await rig.attempts(payout_id)
        assert attempt.latency_ms is not None
        assert 0 <= attempt.latency_ms < 5_000


async def test_a_turn_that_comes_too_late_sends_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease ends before anybody looks the payment up: it is not sent behind the back of the look-up."""
    worker = rig.workers["fake"]

    async def wait() -> None:
        rig.clock.advance(SCHEDULE.lease)

    monkeypatch.setattr(worker._turns, "wait", wait)
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    assert rig.journal.effects(payout_id) == 0
    assert (await rig.payout(payout_id)).state == "submitting"
    monkeypatch.undo()
    await rig.watch(after=SCHEDULE.lease)
    rig.clock.advance(SCHEDULE.retry_max)
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert rig.journal.effects(payout_id) == 1
