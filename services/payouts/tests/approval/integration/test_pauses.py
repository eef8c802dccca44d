"""Pauses: what they stop, what they let end, who lifts them, and how a payout says that it is paused."""

from datetime import timedelta

import httpx
import pytest

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.testing import token_reader
from prizewire_payouts.approval.domain import PauseScope
from prizewire_payouts.approval.storage import held_by_pauses, measure_pauses
from prizewire_payouts.metrics import PAUSES
from prizewire_payouts.payouts.storage.lineage import PayoutLineage
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import ASSETS, Rig

PATH = "/api/admin/payouts/pauses"
CAMPAIGN = "11111111-1111-4111-8111-111111111111"
VALUES = {"rail": "fake", "asset": "EURC", "campaign": CAMPAIGN, "player": "ana", "competition": "spring-cup"}
OTHERS = {
    "rail": "stellar",
    "asset": "XLM",
    "campaign": "22222222-2222-4222-8222-222222222222",
    "player": "an",
    "competition": "spring",
}


async def pause(client: Client, scope: str, value: str, by: str = "op") -> str:
    body = {"scope": scope, "value": value, "reason": "drill"}
    made = await client.post(PATH, json=body, headers=as_(by, "operator", key=f"{scope}-{value}"))
    assert made.status_code == 201, made.text
    assert made.json()["value_checked"] is (scope in ("rail", "asset"))
    return str(made.json()["id"])


async def lift(client: Client, pause_id: str, by: str = "op") -> httpx.Response:
    return await client.delete(f"{PATH}/{pause_id}", headers=as_(by, "operator"))


@pytest.mark.parametrize("scope", list(PauseScope))
async def test_a_pause_stops_new_payments_and_says_so(rig: Rig, client: Client, scope: str) -> None:
    """Whatever its scope: the payout waits, shows that to its player and the reason to staff, and goes on by itself."""
    payout_id = await rig.request(await rig.method())
    other = await pause(client, scope, OTHERS[scope])
    pause_id = await pause(client, scope, VALUES[scope])
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "approved"
    staff = (await client.get(f"/api/payouts/{payout_id}", headers=as_("op", "operator"))).json()
    said = {"scope": scope, "value": VALUES[scope], "reason": "drill", "paused_by": "op"}
    assert staff["paused"] is True
    assert said.items() <= staff["pause"].items()
    (line,) = (await client.get("/api/admin/payouts", headers=as_("op", "operator"))).json()["items"]
    assert line["pause"] == staff["pause"]
    mine = (await client.get(f"/api/payouts/{payout_id}", headers=as_("ana"))).json()
    assert (mine["paused"], mine["pause"]) == (True, None)
    (listed,) = (await client.get("/api/payouts", headers=as_("ana"))).json()["items"]
    assert (listed["paused"], "pause" in listed) == (True, False)
    async with rig.db.transaction() as tx:
        (step, *_) = await PayoutLineage(assets=ASSETS)(tx, "corr-1")
    assert f"the end of the pause of {scope} {VALUES[scope]}, by op: drill" == step.detail["now"]["waits_for"]
    assert (await lift(client, pause_id)).status_code == 200
    await rig.submit()
    paid = (await client.get(f"/api/payouts/{payout_id}", headers=as_("op", "operator"))).json()
    assert (paid["state"], paid["paused"], paid["pause"]) == ("paid", False, None)
    assert (await lift(client, other)).status_code == 200


async def test_pauses_of_two_persons_are_lifted_one_by_one(rig: Rig, client: Client) -> None:
    """A second person's pause of the same is stored with its own reason, and stays when the first one is lifted; the same person gets
    the pause that they have.
    """
    payout_id = await rig.request(await rig.method())
    first = await pause(client, "rail", "fake", by="olga")
    body = {"scope": "rail", "value": "fake", "reason": "SECURITY: bank login stolen"}
    said = await client.post(PATH, json=body, headers=as_("nik", "operator", key="n1"))
    assert (said.json()["paused_by"], said.json()["reason"]) == ("nik", body["reason"])
    again = await client.post(PATH, json=body, headers=as_("nik", "operator", key="n2"))
    assert again.json()["id"] == said.json()["id"] != first
    assert (await lift(client, first, by="olga")).status_code == 200
    await rig.submit()
    staff = (await client.get(f"/api/payouts/{payout_id}", headers=as_("op", "operator"))).json()
    assert (staff["state"], staff["pause"]["reason"]) == ("approved", body["reason"])
    assert (await lift(client, said.json()["id"], by="nik")).status_code == 200
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"


async def test_what_was_sent_is_followed_under_a_pause(rig: Rig, client: Client) -> None:
    """The rail is asked about it, and it is paid; a payout that is held says that it will wait."""
    method = await rig.method(account="pending+1")
    sent = await rig.request(method)
    await rig.submit()
    assert (await rig.payout(sent)).state == "pending"
    held = await rig.request(method, amount="5000.00")
    for scope, value in VALUES.items():
        await pause(client, scope, value)
    for _ in range(3):
        await rig.watch(after=timedelta(minutes=5))
    assert (await rig.payout(sent)).state == "paid"
    path = f"/api/admin/payouts/{held}/approve"
    said = (await client.put(path, json={}, headers=as_("pat", "approver"))).json()
    assert (said["state"], said["paused"], said["pause"]["scope"]) == ("approved", True, "rail")
    await rig.submit()
    assert (await rig.payout(held)).state == "approved"


async def test_another_person_resumes_where_that_is_configured(rig: Rig) -> None:
    """The person who paused is refused with a code; with the setting off they may lift it."""
    rig.resume_by_another = True
    app = build_app(service="payouts", controllers=rig.controllers, health=Health(), tokens=token_reader())
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # Litestar types its scope more narrowly
    async with httpx.AsyncClient(transport=transport, base_url="http://payouts") as client:
        payout_id = await rig.request(await rig.method())
        pause_id = await pause(client, "player", "ana")
        own = await lift(client, pause_id)
        assert (own.status_code, own.json()["code"]) == (403, "same_person")
        assert "PAYOUTS_RESUME_BY_ANOTHER" in own.json()["detail"]
        await rig.submit()
        assert (await rig.payout(payout_id)).state == "approved"
        lifted = await lift(client, pause_id, by="kim")
        assert (lifted.status_code, lifted.json()["resumed_by"], lifted.json()["paused_by"]) == (
            200,
            "kim",
            "op",
        )
    actions = [
        (row.actor, row.action)
        for row in await rig.rows("SELECT actor, action FROM audit_log ORDER BY sequence")
    ]
    assert actions == [("op", "payouts.paused"), ("kim", "payouts.resumed")]
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"


async def test_pauses_in_force_are_counted(rig: Rig, client: Client) -> None:
    """By scope; a lifted pause counts no more."""
    first = await pause(client, "player", "ana")
    await pause(client, "player", "bob")
    for wanted in (2, 1):
        async with rig.db.transaction() as tx:
            await measure_pauses(tx)
        assert PAUSES.labels("player")._value.get() == wanted
        assert PAUSES.labels("rail")._value.get() == 0
        if wanted == 2:
            await lift(client, first)


@pytest.mark.parametrize("scope", list(PauseScope))
async def test_who_paused_is_in_the_lineage_of_the_payouts_that_waited(
    rig: Rig, client: Client, scope: str
) -> None:
    """The pause and its end are steps of a payout that waited for them; a pause of something else is none, nor one that had ended."""
    early = await pause(client, scope, VALUES[scope], by="old")
    rig.clock.advance(timedelta(seconds=1))
    await lift(client, early, by="old")
    rig.clock.advance(timedelta(seconds=1))
    payout_id = await rig.request(await rig.method())
    await pause(client, scope, OTHERS[scope])
    pause_id = await pause(client, scope, VALUES[scope])
    await rig.submit()
    rig.clock.advance(timedelta(seconds=1))
    assert (await lift(client, pause_id, by="oz")).status_code == 200
    await rig.submit()
    payout = await rig.payout(payout_id)
    async with rig.db.transaction() as tx:
        steps = await held_by_pauses(tx, payout.correlation_id)
        assert await held_by_pauses(tx, "another") == []
    assert [(step.kind, step.id, step.summary) for step in steps] == [
        ("payouts.paused", str(payout_id), f"payments of {scope} {VALUES[scope]} paused by op: drill"),
        ("payouts.resumed", str(payout_id), f"payments of {scope} {VALUES[scope]} resumed by oz"),
    ]
