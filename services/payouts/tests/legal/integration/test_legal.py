"""A rail that needs a legal approval pays only while one is in force."""

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import IntegrityError

from prizewire_chassis.metrics import CREDENTIAL_EXPIRES
from prizewire_payouts.legal.domain import LEGAL_EDGES
from prizewire_payouts.legal.storage import measure_legal_approvals
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import START, Rig

PATH = "/api/admin/legal-approvals"


async def filed(client: Client, by: str = "lena", days: int = 30, **changes: Any) -> Any:
    body = {
        "scope": "rail_type",
        "value": "fake",
        "reference": "Legal-7",
        "jurisdictions": ["DE"],
        "ends_at": (START + timedelta(days=days)).isoformat(),
        **changes,
    }
    return await client.post(PATH, json=body, headers=as_(by, "admin"))


async def confirm(client: Client, approval: str, by: str) -> Any:
    return await client.post(f"{PATH}/{approval}/confirm", headers=as_(by, "admin"))


async def off(client: Client) -> list[str]:
    answer = await client.get(PATH, headers=as_("lena", "admin"))
    return list(answer.json()["rails_off"])


async def test_a_rail_is_off_until_two_persons_recorded_an_approval(rig: Rig, client: Client) -> None:
    """The payout waits with a code, and is paid once another person than the filer has confirmed; never before."""
    rig.require_legal_approval("fake")
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, rig.journal.effects(payout_id)) == (
        "approved",
        "rail_not_approved",
        0,
    )
    assert await off(client) == ["fake"]
    approval = (await filed(client)).json()["id"]
    same = await confirm(client, approval, "lena")
    assert (same.status_code, same.json()["code"]) == (403, "same_person")
    rig.clock.advance(timedelta(minutes=1))
    await rig.submit()
    assert rig.journal.effects(payout_id) == 0
    answer = await confirm(client, approval, "omar")
    assert (answer.status_code, answer.json()["in_force"], answer.json()["state"]) == (
        200,
        True,
        "confirmed",
    )
    assert await off(client) == []
    rig.clock.advance(timedelta(minutes=1))
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert rig.journal.effects(payout_id) == 1
    assert await rig.breaches() == []


async def test_an_approval_ends_by_itself_and_by_a_person(rig: Rig, client: Client) -> None:
    """Past its end, and once a person has ended it, nothing more is paid under an approval."""
    rig.require_legal_approval("fake")
    first = (await filed(client, days=1)).json()["id"]
    await confirm(client, first, "omar")
    second = (await filed(client, days=3, scope="rail")).json()["id"]
    await confirm(client, second, "omar")
    rig.clock.advance(timedelta(days=1))
    assert await off(client) == []
    ended = await client.delete(f"{PATH}/{second}", headers=as_("lena", "admin"))
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    assert await off(client) == ["fake"]
    late = await confirm(client, second, "omar")
    assert (late.status_code, late.json()["code"]) == (409, "legal_approval_ended")
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    assert rig.journal.effects(payout_id) == 0


async def test_the_end_of_an_approval_is_shown(rig: Rig, client: Client) -> None:
    """The last end of what two persons recorded for a rail that needs it. It stays past its time, and goes once a person has
    ended the approval.
    """
    rig.require_legal_approval("fake")

    async def shown(scope: str = "rail_type") -> float | None:
        async with rig.db.transaction() as tx:
            await measure_legal_approvals(tx, rails=rig.rails)
        labels = {"kind": "approval", "name": f"{scope}:fake"}
        return REGISTRY.get_sample_value("prizewire_credential_expires_timestamp_seconds", labels)

    CREDENTIAL_EXPIRES.labels("certificate", "of another part").set(1)
    first = (await filed(client, days=1)).json()["id"]
    assert await shown() is None
    await confirm(client, first, "omar")
    assert await shown() == (START + timedelta(days=1)).timestamp()
    second = (await filed(client, days=3)).json()["id"]
    await confirm(client, second, "omar")
    assert await shown() == (START + timedelta(days=3)).timestamp()
    rig.clock.advance(timedelta(days=9))
    assert await shown() == (START + timedelta(days=3)).timestamp()
    for one in (first, second):
        await client.delete(f"{PATH}/{one}", headers=as_("lena", "admin"))
    assert await shown() is None
    assert await shown("rail") is None
    of_another = {"kind": "certificate", "name": "of another part"}
    assert REGISTRY.get_sample_value("prizewire_credential_expires_timestamp_seconds", of_another) == 1
    CREDENTIAL_EXPIRES.remove("certificate", "of another part")


async def test_what_cannot_be_recorded_is_refused(rig: Rig, client: Client) -> None:
    """A rail that is not configured, an end that is past, a second confirmation and an operator are refused by code."""
    assert (await filed(client, value="unknown")).json()["code"] == "rail_unknown"
    assert (await filed(client, days=-1)).json()["code"] == "ends_at_past"
    approval = (await filed(client)).json()["id"]
    await confirm(client, approval, "omar")
    assert (await confirm(client, approval, "omar")).json()["code"] == "legal_approval_confirmed"
    missing = await confirm(client, "11111111-1111-4111-8111-111111111111", "omar")
    assert (missing.status_code, missing.json()["code"]) == (404, "legal_approval_not_found")
    assert (await client.get(PATH, headers=as_("op", "operator"))).status_code == 403


async def test_the_database_holds_to_two_persons_and_the_edges(rig: Rig, client: Client) -> None:
    """Not even the service's own login confirms what the same person filed, or brings an ended approval back."""
    approval = (await filed(client)).json()["id"]
    one = "UPDATE legal_approvals SET state = 'confirmed', confirmed_by = 'lena', confirmed_at = filed_at"
    with pytest.raises(IntegrityError, match="legal_approvals_by_two_persons"):
        await rig.rows(one)
    await client.delete(f"{PATH}/{approval}", headers=as_("lena", "admin"))
    back = "UPDATE legal_approvals SET state = 'filed', ended_by = NULL, ended_at = NULL"
    with pytest.raises(IntegrityError, match="ended -> filed is not allowed"):
        await rig.rows(back)
    edges = await rig.rows("SELECT * FROM legal_approvals_state_edges WHERE from_state <> ''")
    assert {(row.from_state, row.to_state) for row in edges} == {
        (str(old), str(new)) for old, new in LEGAL_EDGES
    }
