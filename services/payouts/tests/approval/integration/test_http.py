"""Approvals, rejections and pauses over HTTP."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_payouts.payouts.storage.lineage import PayoutLineage
from services.payouts.tests.http import Client, as_, stored
from services.payouts.tests.rig import ASSETS, Rig

PARTIES = {
    "ana": "payee",
    "oscar": "filer",
    "fay": "funder",
    "wes": "rule_writer",
    "ron": "reporter",
    "ivy": "importer",
    "rita": "releaser",
}


async def test_a_method_of_the_staff_waits_for_another_person(rig: Rig, client: Client) -> None:
    """Below the automatic limit too; the player sees it, and its registrant does not approve."""
    body = {"type": "fake", "details": {"account": "x"}, "player": "bob"}
    made = (await client.post("/api/payout-methods", json=body, headers=as_("op", "operator"))).json()
    assert made["registered_by"] == "staff"
    (event,) = await rig.events(UUID(made["id"]))
    assert event.data["registered_by"] == "staff"
    (listed,) = (await client.get("/api/payout-methods", headers=as_("bob"))).json()["items"]
    assert listed["registered_by"] == "staff"
    payout_id = await rig.request(await stored(rig, made["id"]), amount="0.01")
    held = await rig.payout(payout_id)
    assert (held.state, held.code, held.approvers_needed) == ("held", "method_registered_by_staff", 1)
    path = f"/api/admin/payouts/{payout_id}/approve"
    own = await client.put(path, json={}, headers=as_("op", "operator", "approver"))
    assert (own.status_code, own.json()["code"]) == (403, "approver_is_registrant")
    other = await client.put(path, json={}, headers=as_("pat", "approver"))
    assert (other.status_code, other.json()["state"]) == (202, "approved")


async def test_money_of_one_person_waits_for_another(rig: Rig, client: Client) -> None:
    """A person who alone wrote the rule and reported the result is never paid without an approver, whatever the amount."""
    parties = [{"role": "rule_writer", "subject": "ada"}, {"role": "reporter", "subject": "ada"}]
    method = await rig.method()
    intent = rig.intent(method, amount="0.01")
    await rig.feed(rig.requested(method, intent, parties=parties, one_person=["ada"]))
    payout_id = UUID(intent.payout_id)
    held = await rig.payout(payout_id)
    assert (held.state, held.code, held.approvers_needed) == ("held", "one_person_chain", 1)
    path = f"/api/admin/payouts/{payout_id}/approve"
    own = await client.put(path, json={}, headers=as_("ada", "admin", "approver"))
    assert (own.status_code, own.json()["code"]) == (403, "approver_is_reporter")
    other = await client.put(path, json={}, headers=as_("pat", "approver"))
    assert (other.status_code, other.json()["state"]) == (202, "approved")


async def test_a_renewed_intent_lifts_no_hold(rig: Rig, client: Client) -> None:
    """What waits for a second person still waits for one after its intent was renewed."""
    parties = [{"role": "rule_writer", "subject": "ada"}, {"role": "reporter", "subject": "ada"}]
    method = await rig.method()
    intent = rig.intent(method, amount="1.00", expires_at=int(rig.clock.now().timestamp()) + 60)
    await rig.feed(rig.requested(method, intent, parties=parties, one_person=["ada"]))
    rig.clock.advance(timedelta(minutes=2))
    renewed = rig.intent(method, amount="1.00", payout_id=UUID(intent.payout_id))
    await rig.feed(rig.renewal(renewed))
    assert (await rig.payout(UUID(intent.payout_id))).state == "held"
    path = f"/api/admin/payouts/{intent.payout_id}/approve"
    own = await client.put(path, json={}, headers=as_("ada", "admin"))
    assert (own.status_code, own.json()["code"]) == (403, "approver_is_reporter")


async def test_no_party_approves(rig: Rig, client: Client) -> None:
    """No party of the money, no filer and no payee approves or rejects, nor does a person without the role."""
    intent = rig.intent(await rig.method(), amount="5000.00")
    method = (await rig.rows("SELECT method_id FROM payout_methods"))[0].method_id
    sources = [
        {"role": role, "subject": name} for name, role in PARTIES.items() if role not in ("payee", "filer")
    ]
    filed = rig.requested(
        (await rig.run(lambda storages: storages.methods.find([method])))[method],
        intent,
        filed_by="oscar",
        parties=sources,
    )
    await rig.feed(filed)
    path = f"/api/admin/payouts/{intent.payout_id}"
    for subject, role in PARTIES.items():
        said = await client.put(f"{path}/approve", json={}, headers=as_(subject, "approver"))
        assert (said.status_code, said.json()["code"]) == (403, f"approver_is_{role}")
        said = await client.put(f"{path}/reject", json={"reason": "no"}, headers=as_(subject, "approver"))
        assert (said.status_code, said.json()["code"]) == (403, f"approver_is_{role}")
    shown = await client.get(f"/api/payouts/{intent.payout_id}", headers=as_("op", "operator"))
    assert {(party["subject"], party["role"]) for party in shown.json()["parties"]} == set(PARTIES.items())
    mine = (await client.get(f"/api/payouts/{intent.payout_id}", headers=as_("ana"))).json()
    assert (mine["parties"], mine["one_person"]) == (None, None)
    for subject in PARTIES:
        with pytest.raises(DBAPIError, match="is a party of payout"):
            await rig.rows(
                "INSERT INTO approvals (payout_id, hold_no, approver, at) VALUES (:p, 9, :a, now()) RETURNING hold_no",
                p=UUID(intent.payout_id),
                a=subject,
            )
    assert (await client.put(f"{path}/approve", json={}, headers=as_("op", "operator"))).status_code == 403
    assert (await client.put(f"{path}/approve", json={}, headers=as_("ana"))).status_code == 403
    assert (await rig.payout(UUID(intent.payout_id))).state == "held"
    said = await client.put(f"{path}/approve", json={"note": "ok"}, headers=as_("pat", "approver"))
    assert (said.status_code, said.json()["state"]) == (202, "approved")
    (event,) = [e for e in await rig.events(UUID(intent.payout_id)) if e.type == "payout.approved"]
    assert event.data["approvers"] == ["pat"]
    (record,) = await rig.rows("SELECT * FROM audit_log WHERE action = 'payout.approved'")
    assert (record.actor, record.reason, record.correlation_id) == ("pat", "ok", "corr-1")


async def test_large_payouts_need_two_distinct_approvers(rig: Rig, client: Client) -> None:
    """Above the second limit the same person twice is one approval."""
    payout_id = await rig.request(await rig.method(), amount="10000.01")
    path = f"/api/admin/payouts/{payout_id}/approve"
    first = await client.put(path, json={}, headers=as_("pat", "approver"))
    assert (first.status_code, first.json()["state"], first.json()["approvers"]) == (202, "held", ["pat"])
    again = await client.put(path, json={}, headers=as_("pat", "approver"))
    assert (again.status_code, again.json()["code"]) == (409, "already_approved")
    second = await client.put(path, json={}, headers=as_("sam", "approver"))
    assert (second.json()["state"], second.json()["approvers"]) == ("approved", ["pat", "sam"])
    assert await rig.event_types(payout_id) == ["payout.held", "payout.approved"]
    payout = await rig.payout(payout_id)
    async with rig.db.transaction() as tx:
        steps = [one.summary for one in await PayoutLineage(assets=ASSETS)(tx, payout.correlation_id)]
    named = f"payout {payout_id} of {payout.player}: "
    assert {f"{named}approval by pat", f"{named}approval by sam", f"{named}held → approved by sam"} <= {
        *steps
    }


async def test_rejecting_ends_and_gives_back(rig: Rig, client: Client) -> None:
    """A rejection needs a reason, and ends a payout that the signer is not concerned with at once."""
    payout_id = await rig.request(await rig.method(), amount="5000.00")
    path = f"/api/admin/payouts/{payout_id}/reject"
    assert (await client.put(path, json={}, headers=as_("pat", "approver"))).status_code == 400
    said = await client.put(path, json={"reason": "no contract"}, headers=as_("pat", "approver"))
    assert (said.status_code, said.json()["state"], said.json()["reason"]) == (202, "rejected", "no contract")
    assert (await rig.events(payout_id))[-1].data["code"] == "rejected_by_approver"
    late = await client.put(path, json={"reason": "again"}, headers=as_("pat", "approver"))
    assert (late.status_code, late.json()["code"]) == (409, "not_held")


async def test_an_expired_intent_cannot_be_approved(rig: Rig, client: Client) -> None:
    """An approval waits for rewards to renew the intent."""
    from datetime import timedelta

    payout_id = await rig.request(await rig.method(), amount="5000.00")
    rig.clock.advance(timedelta(hours=2))
    said = await client.put(
        f"/api/admin/payouts/{payout_id}/approve", json={}, headers=as_("pat", "approver")
    )
    assert (said.status_code, said.json()["code"]) == (409, "intent_expired")


async def test_pauses_are_set_and_lifted_with_an_audit(rig: Rig, client: Client) -> None:
    """A pause names what, why and who; it is idempotent, and lifting it is recorded."""
    body = {"scope": "rail", "value": "fake", "reason": "drill"}
    made = await client.post("/api/admin/payouts/pauses", json=body, headers=as_("op", "operator", key="p1"))
    assert made.status_code == 201
    listed = (await client.get("/api/admin/payouts/pauses", headers=as_("op", "operator"))).json()["items"]
    assert [item["id"] for item in listed] == [made.json()["id"]]
    path = f"/api/admin/payouts/pauses/{made.json()['id']}"
    assert (await client.delete(path, headers=as_("boss", "admin"))).status_code == 200
    assert (await client.delete(path, headers=as_("boss", "admin"))).status_code == 404
    bad = await client.post(
        "/api/admin/payouts/pauses", json={**body, "scope": "moon"}, headers=as_("op", "operator", key="p2")
    )
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_request")
    again = await client.post("/api/admin/payouts/pauses", json=body, headers=as_("op", "operator", key="p1"))
    assert (again.json(), again.headers["idempotency-replayed"]) == (made.json(), "true")
    assert "idempotency-replayed" not in made.headers
    actions = [row.action for row in await rig.rows("SELECT action FROM audit_log ORDER BY sequence")]
    assert actions == ["payouts.paused", "payouts.resumed"]
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    ("scope", "value"), [("rail", "moon"), ("asset", "MOON"), ("asset", "eurc"), ("campaign", "spring-cup")]
)
async def test_nothing_that_does_not_exist_is_paused(client: Client, scope: str, value: str) -> None:
    """A pause with a typing error would be taken for one that works."""
    said = await client.post(
        "/api/admin/payouts/pauses",
        json={"scope": scope, "value": value, "reason": "drill"},
        headers=as_("op", "operator", key=f"{scope}-{value}"),
    )
    assert (said.status_code, said.json()["code"]) == (422, "pause_value_unknown")
    for good in ("rail", "fake"), ("asset", "EURC"), ("campaign", "6F9619FF-8B86-4011-B42D-00C04FC964FF"):
        made = await client.post(
            "/api/admin/payouts/pauses",
            json={"scope": good[0], "value": good[1], "reason": "drill"},
            headers=as_("op", "operator", key=f"good-{good[0]}"),
        )
        assert made.status_code == 201
    listed = (await client.get("/api/admin/payouts/pauses", headers=as_("op", "operator"))).json()["items"]
    assert "6f9619ff-8b86-4011-b42d-00c04fc964ff" in {one["value"] for one in listed}


async def test_the_document_names_the_method_of_decisions(client: Client) -> None:
    """Decisions about payouts are PUT, those in rewards are POST."""
    paths = (await client.get("/schema/openapi.json")).json()["paths"]
    for decision in ("approve", "reject"):
        route = paths[f"/api/admin/payouts/{{payout_id}}/{decision}"]
        assert list(route) == ["put"]
        assert "Decisions in rewards are `POST`" in route["put"]["description"]
