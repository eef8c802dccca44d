"""An operator retries an ended payout: by whom, when, how rewards answers, and what is shown and published."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_payouts.metrics import RETRIES
from prizewire_payouts.payouts.storage.lineage import PayoutLineage
from services.payouts.tests.payouts.integration.test_announcing import (
    as_,
    cancelled,
    failed,
    held,
    paid_one,
    pending,
    rejected,
    returned,
    submitting,
    unknown,
    waits_for_the_signer,
)
from services.payouts.tests.rig import ASSETS, Rig

Client = httpx.AsyncClient
Made = Callable[[Rig, Client], Awaitable[UUID]]


async def retry(
    client: Client,
    payout_id: UUID,
    *,
    by: str = "olga",
    role: str = "operator",
    key: str | None = None,
    **body: Any,
) -> httpx.Response:
    return await client.post(
        f"/api/admin/payouts/{payout_id}/retry",
        json={"reason": "another account", **body},
        headers=as_(by, role, key=key),
    )


async def filed(rig: Rig, old: UUID, **changes: Any) -> UUID:
    """The new payout, as rewards requests it for olga."""
    payout = await rig.payout(old)
    method = await rig.method("ana", account=f"success+{uuid4().hex}")
    intent = rig.intent(method, amount=payout.amount.to_wire())
    fields = {"filed_by": "olga", "retry_of": str(old), **changes}
    await rig.feed(rig.requested(method, intent, **fields))
    return UUID(intent.payout_id)


def refusal(rig: Rig, old: UUID, *, version: int = 2, retry_no: int = 1) -> bytes:
    data = {
        "payout_id": str(old),
        "retry_no": retry_no,
        "code": "insufficient_balance",
        "detail": "the winnings do not cover it",
    }
    return rig.event("payout.retry_refused", data, version=version)


async def shown(client: Client, payout_id: UUID) -> dict[str, Any]:
    answer = await client.get(f"/api/payouts/{payout_id}", headers=as_("olga", "operator"))
    found: dict[str, Any] = answer.json()
    return found


def counted(step: str) -> float:
    return float(RETRIES.labels(step)._value.get())


@pytest.mark.parametrize("make", [failed, rejected, cancelled, returned])
async def test_a_retry_is_published_once(rig: Rig, client: Client, make: Made) -> None:
    """With the next version, the operator and the reason; repeated under its key it has the same answer and no second event."""
    before = counted("requested")
    old = await make(rig, client)
    last = (await rig.events(old))[-1].version
    key = uuid4().hex
    first, again = await retry(client, old, key=key), await retry(client, old, key=key)
    assert first.status_code == 202, first.text
    assert first.json() == again.json()
    [event] = [event for event in await rig.events(old) if event.type == "payout.retry_requested"]
    assert event.version == last + 1
    named = {
        name: event.data[name] for name in ("payout_id", "retry_no", "player", "by", "reason", "method_id")
    }
    assert named == {
        "payout_id": str(old),
        "retry_no": 1,
        "player": "ana",
        "by": "olga",
        "reason": "another account",
        "method_id": None,
    }
    assert event.data["competition"] == "spring-cup"
    [audited] = await rig.rows(
        "SELECT actor, target, reason FROM audit_log WHERE action = 'payout.retry_requested'"
    )
    assert tuple(audited) == ("olga", str(old), "another account")
    assert counted("requested") == before + 1


async def test_only_one_retry_is_open(rig: Rig, client: Client) -> None:
    """A second request is refused until rewards has answered, and after the new payout for ever."""
    old = await failed(rig, client)
    assert (await retry(client, old)).status_code == 202
    second = await retry(client, old, by="omar")
    assert (second.status_code, second.json()["code"]) == (409, "retry_open")
    await rig.feed(refusal(rig, old))
    assert (await retry(client, old, by="omar")).status_code == 202
    new = await filed(rig, old, filed_by="omar")
    third = await retry(client, old)
    assert (third.status_code, third.json()["code"]) == (409, "already_retried")
    assert str(new) in third.json()["detail"]
    assert await rig.stuck() == []
    assert await rig.breaches() == []


@pytest.mark.parametrize("make", [held, submitting, pending, unknown, waits_for_the_signer, paid_one])
async def test_a_payout_that_may_still_pay_is_not_retried(rig: Rig, client: Client, make: Made) -> None:
    """An open payout, one whose outcome is unknown and a paid one are refused with the state; nothing is published."""
    old = await make(rig, client)
    said = await retry(client, old)
    assert (said.status_code, said.json()["code"]) == (409, "not_retryable")
    assert (await rig.payout(old)).state in said.json()["detail"]
    assert "payout.retry_requested" not in await rig.event_types(old)
    assert await rig.rows("SELECT 1 FROM payout_retries") == []


async def test_an_end_without_proof_is_not_retried(rig: Rig, client: Client) -> None:
    """Somebody wrote in the database that an attempt had no effect: its money may have been paid."""
    old = await failed(rig, client)
    await rig.rows("UPDATE attempts SET mac = '\\x00' RETURNING payout_id")
    said = await retry(client, old)
    assert (said.status_code, said.json()["code"]) == (409, "attempt_unproved")


async def test_who_may_retry_and_to_which_method(rig: Rig, client: Client) -> None:
    """Operators and admins, with a reason and a key, to a method that the player has."""
    old = await failed(rig, client)
    foreign = await rig.method("bob")
    assert (await retry(client, old, role="approver")).status_code == 403
    assert (await retry(client, old, role="player")).status_code == 403
    assert (await retry(client, old, reason="")).status_code == 400
    headers = {"authorization": as_("olga", "operator")["authorization"]}
    path = f"/api/admin/payouts/{old}/retry"
    without = await client.post(path, json={"reason": "x"}, headers=headers)
    assert without.json()["code"] == "idempotency_key_required"
    said = await retry(client, old, method_id=str(foreign.method_id))
    assert (said.status_code, said.json()["code"]) == (422, "method_unknown")
    missing = await retry(client, uuid4())
    assert (missing.status_code, missing.json()["code"]) == (404, "payout_not_found")
    own = await rig.method("ana")
    assert (await retry(client, old, method_id=str(own.method_id))).status_code == 202
    assert (await rig.events(old))[-1].data["method_id"] == str(own.method_id)


async def test_the_new_payout_waits_for_another_person(rig: Rig, client: Client) -> None:
    """However small it is, it is held; the operator who retried is its filer and may not approve it."""
    old = await failed(rig, client)
    await retry(client, old)
    before = counted("filed")
    new = await filed(rig, old)
    payout = await rig.payout(new)
    assert (payout.state, payout.code, payout.retry_of) == ("held", "filed_by_operator", old)
    path = f"/api/admin/payouts/{new}/approve"
    own = await client.put(path, json={}, headers=as_("olga", "approver"))
    assert (own.status_code, own.json()["code"]) == (403, "approver_is_filer")
    other = await client.put(path, json={}, headers=as_("pat", "approver"))
    assert other.status_code == 202, other.text
    await rig.submit()
    assert (await rig.payout(new)).state == "paid"
    assert counted("filed") == before + 1
    assert await rig.breaches() == []


async def test_both_payouts_and_the_lineage_name_each_other(rig: Rig, client: Client) -> None:
    """The old one shows its retries with rewards' answers, the new one what it retries. A player sees the ids only."""
    old = await failed(rig, client)
    await retry(client, old)
    await rig.feed(refusal(rig, old))
    await retry(client, old, by="omar")
    new = await filed(rig, old, filed_by="omar")
    before, after = await shown(client, old), await shown(client, new)
    assert (before["retried_by"], after["retry_of"]) == (str(new), str(old))
    refused, done = before["retries"]
    assert (refused["asked_by"], refused["code"], refused["retried_by"]) == (
        "olga",
        "insufficient_balance",
        None,
    )
    assert (done["asked_by"], done["code"], done["retried_by"]) == ("omar", None, str(new))
    own = (await client.get(f"/api/payouts/{old}", headers=as_("ana", "player"))).json()
    assert (own["retried_by"], own["retries"]) == (str(new), None)
    async with rig.db.transaction() as tx:
        lineage = await PayoutLineage(assets=ASSETS)(tx, "corr-1")
    kinds = [entry.kind for entry in lineage if entry.id == str(old)]
    steps = [kind for kind in kinds if "retr" in kind]
    assert steps == [
        "payout.retry_requested",
        "payout.retry_refused",
        "payout.retry_requested",
        "payout.retried",
    ]


@pytest.mark.parametrize("wrong", ["unknown", "open", "another player", "more"])
async def test_a_retry_that_does_not_fit_its_payout_is_parked(rig: Rig, client: Client, wrong: str) -> None:
    """Rewards' key alone ties no payout to an open one, to another player's, or to less money; the payout is not made."""
    old = await (held if wrong == "open" else failed)(rig, client)
    method = await rig.method("bob" if wrong == "another player" else "ana", account="success+x")
    intent = rig.intent(method, amount="12.51" if wrong == "more" else "12.50")
    retry_of = uuid4() if wrong == "unknown" else old
    await rig.feed(rig.requested(method, intent, retry_of=str(retry_of)))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert (await rig.payout(old)).retried_by is None
    assert await rig.rows("SELECT 1 FROM payouts WHERE retry_of IS NOT NULL") == []


async def test_an_answer_that_comes_late_changes_nothing(rig: Rig, client: Client) -> None:
    """A payout that is retried stays so: rewards may answer a request that it reads again."""
    old = await failed(rig, client)
    await retry(client, old)
    new = await filed(rig, old)
    await rig.feed(refusal(rig, old))
    assert await rig.stuck() == []
    found = await shown(client, old)
    assert found["retried_by"] == str(new)
    assert [one["code"] for one in found["retries"]] == [None]


async def test_the_database_keeps_one_retry_of_a_payout(rig: Rig, client: Client) -> None:
    """It refuses a second live request, another answer, a second new payout, and a retry of a payout that has not ended."""
    old, waiting = await failed(rig, client), await held(rig, client)
    await retry(client, old)
    await filed(rig, old)
    again = (
        "INSERT INTO payout_retries (payout_id, retry_no, asked_by, reason, asked_at) "
        f"VALUES ('{old}', 2, 'eve', 'x', now()) RETURNING 1"
    )
    for statement in (
        again,
        "UPDATE payout_retries SET retried_by = gen_random_uuid() RETURNING 1",
        f"UPDATE payouts SET retried_by = gen_random_uuid() WHERE payout_id = '{old}' RETURNING 1",
        f"UPDATE payouts SET retried_by = gen_random_uuid() WHERE payout_id = '{waiting}' RETURNING 1",
    ):
        with pytest.raises(DBAPIError):
            await rig.rows(statement)


async def test_the_check_finds_a_retry_that_is_not_named(rig: Rig, client: Client) -> None:
    """A payout that names a retry which is not there is a breach."""
    old = await failed(rig, client)
    await rig.rows(f"UPDATE payouts SET retried_by = gen_random_uuid() WHERE payout_id = '{old}' RETURNING 1")
    assert any(str(old) in breach for breach in await rig.breaches())
