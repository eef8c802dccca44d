"""Screening in the life of a payout."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from prizewire_contracts.screening import ScreeningAnswer, ScreeningVerdict
from prizewire_payouts.gates.domain import GateLimits
from prizewire_payouts.metrics import UNSCREENED_AGE
from prizewire_payouts.screening.jobs import Screener
from prizewire_payouts.screening.storage import measure_screening, screening_lineage
from services.payouts.tests.fakes import FakeScreening
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import Rig

HOURS = timedelta(hours=24)
HIT = ScreeningAnswer(verdict=ScreeningVerdict.HIT, reference="R-77", reason="on list X")


@pytest.fixture
async def service(rig: Rig) -> AsyncIterator[FakeScreening]:
    """A screening service that is asked for each payout."""
    rig.limits = GateLimits(screened_within=HOURS)
    service = FakeScreening()
    yield service
    assert await rig.breaches() == []


def screener(rig: Rig, service: FakeScreening) -> Screener:
    return Screener(
        db=rig.db,
        unit_of_work=rig.unit_of_work,
        vault=rig.vault,
        service=service,
        valid_for=HOURS,
        clock=rig.clock,
        timeout=timedelta(seconds=5),
    )


async def approve(client: Client, payout_id: UUID, by: str) -> None:
    said = await client.put(f"/api/admin/payouts/{payout_id}/approve", json={}, headers=as_(by, "approver"))
    assert said.status_code == 202, said.text


async def reasons(rig: Rig, payout_id: UUID) -> list[str]:
    """The reasons of all ``payout.held`` about a payout."""
    return [one.data["reason"] for one in await rig.events(payout_id) if one.type == "payout.held"]


async def test_a_payout_waits_for_its_answer_and_goes_on_by_itself(
    rig: Rig, client: Client, service: FakeScreening
) -> None:
    """Nothing is sent before; the player sees a neutral word; the answer makes it due at once, without an event."""
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    waiting = await rig.payout(payout_id)
    assert (waiting.state, waiting.code, rig.journal.effects(payout_id)) == (
        "approved",
        "screening_pending",
        0,
    )
    mine = (await client.get(f"/api/payouts/{payout_id}", headers=as_("ana"))).json()
    assert (mine["state"], mine["code"]) == ("approved", "in_review")
    await screener(rig, service).run()
    (asked,) = service.asked
    assert (asked.payout_id, asked.payee, dict(asked.details)) == (
        payout_id,
        "ana",
        {"account": "account of ana"},
    )
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert await reasons(rig, payout_id) == []
    (row,) = await rig.rows("SELECT screening, screened_after FROM gate_judgements")
    assert row.screening == 1
    assert row.screened_after == rig.clock.now() - HOURS


async def test_a_hit_needs_two_persons_and_its_reference(
    rig: Rig, client: Client, service: FakeScreening
) -> None:
    """Two approvers let this reference pass; another hit holds the payout again."""
    payout_id = await rig.request(await rig.method())
    service.prepared[payout_id] = HIT
    await screener(rig, service).run()
    await rig.submit()
    held = await rig.payout(payout_id)
    assert (held.state, held.code, held.approvers_needed) == ("held", "screening_hit", 2)
    theirs = (await client.get(f"/api/payouts/{payout_id}", headers=as_("op", "operator"))).json()
    assert "R-77: on list X" in theirs["gates"][0]["reason"]
    mine = (await client.get(f"/api/payouts/{payout_id}", headers=as_("ana"))).json()
    assert mine["code"] == "in_review"
    assert "R-77" not in str(mine)
    await approve(client, payout_id, "pat")
    await approve(client, payout_id, "sam")
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    kinds = [one.kind for one in await rig.db.run(lambda tx: screening_lineage(tx, "corr-1"))]
    assert kinds == ["payout.screening_hit"]


async def test_an_old_answer_is_renewed(rig: Rig, service: FakeScreening) -> None:
    """An answer of more than the allowed hours does not let a payout go; the service is asked again."""
    method = await rig.method()
    intent = rig.intent(method)
    intent = replace(intent, expires_at=intent.expires_at + 200_000)
    await rig.feed(rig.requested(method, intent))
    payout_id = UUID(intent.payout_id)
    job = screener(rig, service)
    await job.run()
    rig.clock.advance(HOURS + timedelta(seconds=1))
    await rig.submit()
    assert (await rig.payout(payout_id)).code == "screening_pending"
    await job.run()
    await job.run()
    assert len(service.asked) == 2
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"


async def test_a_service_that_does_not_answer_lets_nothing_pass(rig: Rig, service: FakeScreening) -> None:
    """The payout is kept, other systems learn once that it waits, its age is measured, and it goes on with the first answer."""
    service.fails = True
    payout_id = await rig.request(await rig.method())
    job = screener(rig, service)
    await rig.submit()
    for _ in range(3):
        await job.run()
        rig.clock.advance(timedelta(minutes=1))
        await rig.submit()
    assert (await rig.payout(payout_id)).state == "approved"
    assert rig.journal.effects(payout_id) == 0
    assert await reasons(rig, payout_id) == ["screening_pending"]
    await rig.db.run(lambda tx: measure_screening(tx, now=rig.clock.now()))
    assert UNSCREENED_AGE._value.get() == 180
    service.fails = False
    await job.run()
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert [row.verdict for row in await rig.rows("SELECT verdict FROM screenings ORDER BY number")] == [
        *["unanswered"] * 3,
        "clear",
    ]


async def test_a_service_that_never_answers_is_left_alone(rig: Rig, service: FakeScreening) -> None:
    """After as many questions as are under way at one time, only one tries it after each rest."""
    service.silent = True
    method = await rig.method()
    intents = [rig.intent(method, amount="1.00") for _ in range(20)]
    await rig.feed(*(rig.requested(method, intent) for intent in intents))
    job = screener(rig, service)
    assert not await job.run()
    assert not await job.run()
    assert len(service.asked) == 16
    rig.clock.advance(timedelta(seconds=5))
    await job.run()
    assert len(service.asked) == 17


async def test_a_held_payout_is_asked_about_once(rig: Rig, client: Client, service: FakeScreening) -> None:
    """So that approvers decide with the answer; a payout that waits for days does not cost an answer each day."""
    payout_id = await rig.request(await rig.method(), amount="5000.00")
    job = screener(rig, service)
    await job.run()
    rig.clock.advance(timedelta(minutes=30))
    await job.run()
    assert [one.payout_id for one in service.asked] == [payout_id]
    await approve(client, payout_id, "pat")
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
