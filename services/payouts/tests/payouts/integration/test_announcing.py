"""The events of a payout's end are published again: by whom, for which payouts, with which data, and once for each request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.testing import make_token, token_reader
from prizewire_contracts.rails import Outcome
from prizewire_money import Amount
from services.payouts.tests.payouts.integration.test_closing import answer, deliver
from services.payouts.tests.payouts.integration.test_closing import failed as closing
from services.payouts.tests.payouts.integration.test_lifecycle import (
    TX_HASH,
    commit_only,
    on_chain,
    paid,
    said,
)
from services.payouts.tests.rig import EURC, Rig
from tests.documented import Documented

Client = httpx.AsyncClient
Made = Callable[[Rig, Client], Awaitable[UUID]]


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[Client]:
    app = build_app(service="payouts", controllers=rig.controllers, health=Health(), tokens=token_reader())
    transport = httpx.ASGITransport(app=Documented(app))  # type: ignore[arg-type] # Litestar types its scope more narrowly
    async with httpx.AsyncClient(transport=transport, base_url="http://payouts") as made:
        yield made


def as_(subject: str, role: str, *, key: str | None = None) -> dict[str, str]:
    token = make_token(subject=subject, roles=[role])
    return {"authorization": f"Bearer {token}", "idempotency-key": key or uuid4().hex}


async def announce(
    client: Client, payout_id: UUID, *, headers: dict[str, str] | None = None, reason: str = "discarded"
) -> httpx.Response:
    path = f"/api/admin/payouts/{payout_id}/announce"
    return await client.post(path, json={"reason": reason}, headers=headers or as_("boss", "admin"))


async def paid_one(rig: Rig, _: Client) -> UUID:
    """Paid on a chain, with a fee that the player bears."""
    payout_id = await on_chain(rig)
    fee = Amount(EURC, 3)
    rig.chain.answers.append(replace(paid(), fee=fee, fee_borne_by="recipient"))
    await rig.submit("stellar")
    return payout_id


async def paid_at_the_second_attempt(rig: Rig, _: Client) -> UUID:
    payout_id = await on_chain(rig)
    rig.chain.answers.extend([said(Outcome.NO_EFFECT, "rail_unavailable"), paid()])
    await rig.submit("stellar")
    due = (await rig.payout(payout_id)).due_at
    assert due is not None
    rig.clock.advance(due - rig.clock.now())
    await rig.submit("stellar")
    return payout_id


async def returned(rig: Rig, _: Client) -> UUID:
    payout_id = await rig.request(await rig.method(account="returned+ana"))
    await rig.submit()
    for _ in range(3):
        await rig.watch()
    return payout_id


async def failed(rig: Rig, _: Client) -> UUID:
    payout_id = await rig.request(await rig.method(account="failure+ana"))
    await rig.submit()
    return payout_id


async def failed_with_the_signers_word(rig: Rig, _: Client) -> UUID:
    payout_id = await closing(rig)
    await deliver(rig, answer(payout_id, "closed"))
    return payout_id


async def cancelled(rig: Rig, _: Client) -> UUID:
    payout_id = await rig.request(await rig.method())
    await rig.feed(rig.cancel_asked(payout_id))
    return payout_id


async def rejected(rig: Rig, client: Client) -> UUID:
    payout_id = await held(rig, client)
    path = f"/api/admin/payouts/{payout_id}/reject"
    said_no = await client.put(path, json={"reason": "no"}, headers=as_("pat", "approver"))
    assert said_no.status_code == 202, said_no.text
    return payout_id


async def held(rig: Rig, _: Client) -> UUID:
    return await rig.request(await rig.method(), amount="5000.00")


async def approved(rig: Rig, _: Client) -> UUID:
    return await rig.request(await rig.method())


async def submitting(rig: Rig, _: Client) -> UUID:
    payout_id = await rig.request(await rig.method())
    await commit_only(rig)
    return payout_id


async def under_way(rig: Rig, outcome: Outcome) -> UUID:
    payout_id = await on_chain(rig)
    rig.chain.answers.append(said(outcome))
    await rig.submit("stellar")
    return payout_id


async def pending(rig: Rig, _: Client) -> UUID:
    return await under_way(rig, Outcome.PENDING)


async def unknown(rig: Rig, _: Client) -> UUID:
    return await under_way(rig, Outcome.UNKNOWN)


async def waits_for_the_signer(rig: Rig, _: Client) -> UUID:
    return await closing(rig)


async def rows_of(rig: Rig) -> list[dict[str, Any]]:
    """Payouts, attempts and histories as they are stored, but for what counts the events."""
    query = (
        "SELECT to_jsonb(p) - 'version' - 'stored_at' AS row FROM payouts p UNION ALL "
        "SELECT to_jsonb(a) FROM attempts a UNION ALL SELECT to_jsonb(t) FROM payout_transitions t"
    )
    return [row.row for row in await rig.rows(query)]


@pytest.mark.parametrize(
    ("make", "types"),
    [
        (paid_one, ["payout.paid"]),
        (paid_at_the_second_attempt, ["payout.paid"]),
        (returned, ["payout.paid", "payout.returned"]),
        (failed, ["payout.failed"]),
        (failed_with_the_signers_word, ["payout.failed"]),
        (cancelled, ["payout.cancelled"]),
        (rejected, ["payout.rejected"]),
    ],
)
async def test_each_end_is_published_with_the_same_data(
    rig: Rig, client: Client, make: Made, types: list[str]
) -> None:
    """Under the next versions, with a cause of its own. Nothing else of the payout changes, and no rail is asked."""
    payout_id = await make(rig, client)
    before, stored = await rig.events(payout_id), await rows_of(rig)
    firsts = [event for event in before if event.type in types]
    rig.clock.advance(timedelta(hours=1))
    last = max(event.version for event in before if event.type.startswith("payout."))
    answered = await announce(client, payout_id)
    assert (answered.status_code, answered.json()["state"]) == (202, types[-1].removeprefix("payout."))
    published = (await rig.events(payout_id))[len(before) :]
    assert [event.type for event in published] == types == [event.type for event in firsts]
    assert [event.data for event in published] == [event.data for event in firsts]
    assert [event.version for event in published] == list(range(last + 1, last + 1 + len(types)))
    assert {event.raw["causationid"] for event in published} == {"announcement:boss"}
    assert {event.raw["id"] for event in published}.isdisjoint(event.raw["id"] for event in before)
    assert await rows_of(rig) == stored
    assert await rig.breaches() == []
    again = await announce(client, payout_id)
    assert (again.status_code, len(await rig.events(payout_id))) == (202, len(before) + 2 * len(types))


async def test_a_payment_is_published_as_it_was_made(rig: Rig, client: Client) -> None:
    """With the attempt that paid, what the rail took and from whom, its proof, and when that was: at first and again."""
    expected = (
        (paid_one, {"attempt_no": 1, "fee": "0.03", "fee_borne_by": "recipient"}),
        (paid_at_the_second_attempt, {"attempt_no": 2, "fee": "0.00", "fee_borne_by": "platform"}),
    )
    for make, members in expected:
        payout_id = await make(rig, client)
        at = rig.clock.now().isoformat().replace("+00:00", "Z")
        rig.clock.advance(timedelta(hours=1))
        assert (await announce(client, payout_id)).status_code == 202
        *_, first, again = await rig.events(payout_id)
        for event in (first, again):
            assert event.type == "payout.paid"
            assert event.data == {
                "payout_id": str(payout_id),
                "campaign": "11111111-1111-4111-8111-111111111111",
                "competition": "spring-cup",
                "source": "/games/arena",
                "rail": "stellar",
                "rail_type": "stellar",
                "player": "ana",
                "asset": "EURC",
                "amount": "12.50",
                "fee_asset": "EURC",
                "proof": {"tx_hash": TX_HASH, "ledger": 41, "op": 0, "reference": None},
                "paid_at": at,
                **members,
            }


@pytest.mark.parametrize("make", [held, approved, submitting, pending, unknown, waits_for_the_signer])
async def test_a_payout_that_has_not_ended_is_not_announced(rig: Rig, client: Client, make: Made) -> None:
    """It is refused with the state, publishes nothing and is not audited; an unknown payout has no end."""
    payout_id = await make(rig, client)
    before = await rig.event_types(payout_id)
    early = await announce(client, payout_id)
    assert (early.status_code, early.json()["code"]) == (409, "not_ended")
    assert (await rig.payout(payout_id)).state in early.json()["detail"]
    missing = await announce(client, uuid4())
    assert (missing.status_code, missing.json()["code"]) == (404, "payout_not_found")
    assert await rig.event_types(payout_id) == before
    assert await rig.rows("SELECT 1 FROM audit_log WHERE action = 'payout.announced'") == []


async def test_only_admins_announce_and_each_time_is_audited(rig: Rig, client: Client) -> None:
    """With a reason, which the record keeps with the actor and the payout."""
    payout_id = await failed(rig, client)
    before = await rig.event_types(payout_id)
    for role in ("player", "operator", "approver"):
        refused = await announce(client, payout_id, headers=as_("ana", role))
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), role
    nobody = await announce(client, payout_id, headers={"idempotency-key": "n"})
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")
    unsaid = await announce(client, payout_id, reason="")
    assert (unsaid.status_code, unsaid.json()["code"]) == (400, "invalid_request")
    assert await rig.event_types(payout_id) == before
    assert (await announce(client, payout_id, reason="rewards lost it")).status_code == 202
    [record] = await rig.rows("SELECT * FROM audit_log")
    assert (record.actor, record.action, record.target, record.reason, record.correlation_id) == (
        "boss",
        "payout.announced",
        str(payout_id),
        "rewards lost it",
        "corr-1",
    )
    assert record.detail == {"state": "failed"}


async def test_one_request_announces_once(rig: Rig, client: Client) -> None:
    """The same key gets the stored answer, with another body a refusal; without a key nothing is published."""
    payout_id = await failed(rig, client)
    before = await rig.event_types(payout_id)
    unkeyed = as_("boss", "admin")
    del unkeyed["idempotency-key"]
    none = await announce(client, payout_id, headers=unkeyed)
    assert (none.status_code, none.json()["code"]) == (400, "idempotency_key_required")
    key = as_("boss", "admin", key="a-1")
    first, again = [await announce(client, payout_id, headers=key) for _ in range(2)]
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = await announce(client, payout_id, headers=key, reason="another")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert await rig.event_types(payout_id) == [*before, "payout.failed"]
    assert len(await rig.rows("SELECT 1 FROM audit_log")) == 1
