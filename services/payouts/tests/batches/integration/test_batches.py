"""Batches of payouts: what arrived, and one person's decision about all lines."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_money import Amount
from prizewire_payouts.batches.http import controller
from prizewire_payouts.gates.domain import GateLimits
from prizewire_payouts.metrics import BATCH_LINES
from services.payouts.tests.http import Client, as_, pages
from services.payouts.tests.rig import EURC, Rig

BATCHES = "/api/admin/payouts/batches"
PLAYERS = ("ana", "bob", "cid")


class Killed(BaseException):
    """The process died."""


async def line(
    rig: Rig, batch_id: UUID, number: int, *, lines: int = 3, amount: str = "5000.00", filed_by: str = "olga"
) -> UUID:
    """One payout of a batch, to a player of its own."""
    method = await rig.method(f"{PLAYERS[number % 3]}-{number}")
    intent = rig.intent(method, amount=amount)
    batch = {"batch_id": str(batch_id), "line": number, "lines": lines}
    await rig.feed(rig.requested(method, intent, filed_by=filed_by, batch=batch))
    return UUID(intent.payout_id)


async def whole(rig: Rig, *amounts: str) -> tuple[UUID, list[UUID]]:
    """A batch with these amounts, all lines of which arrived in another order."""
    batch_id, made = uuid4(), dict[int, UUID]()
    for number, amount in reversed(list(enumerate(amounts, 1))):
        made[number] = await line(rig, batch_id, number, lines=len(amounts), amount=amount)
    return batch_id, [made[number] for number in sorted(made)]


async def decide(
    client: Client,
    batch_id: UUID,
    *,
    by: str = "pat",
    verb: str = "approve",
    key: str | None = None,
    role: str = "approver",
    **body: Any,
) -> Any:
    shown = (await client.get(f"{BATCHES}/{batch_id}", headers=as_(by, "approver"))).json()
    seen = {
        "lines": shown["lines"],
        "totals": {one["asset"]: one["amount"] for one in shown["totals"]},
        **({"reason": "the list was sent twice"} if verb == "reject" else {}),
    }
    headers = as_(by, role, key=key or uuid4().hex)
    return await client.post(f"{BATCHES}/{batch_id}/{verb}", json={**seen, **body}, headers=headers)


def outcomes(answer: Any) -> list[str]:
    """The outcome of each line, or its code."""
    assert answer.status_code == 200, answer.text
    return [one["outcome"] or one["code"] for one in answer.json()["items"]]


def counts(items: Any) -> dict[str, int]:
    return {one["name"]: one["payouts"] for one in items}


async def test_one_approval_approves_all_lines(rig: Rig, client: Client) -> None:
    """Each line has its approval, its audit record and its event. The same request again, and one under another key, has the same answer
    and changes nothing.
    """
    before = BATCH_LINES.labels("approved")._value.get()
    batch_id, ids = await whole(rig, "5000.00", "6000.00", "7000.00")
    said = await decide(client, batch_id, key="k1", note="compared with the list")
    assert outcomes(said) == ["approved"] * 3
    assert [one["payout_id"] for one in said.json()["items"]] == [str(one) for one in ids]
    assert BATCH_LINES.labels("approved")._value.get() == before + 3
    await rig.submit()
    again = await decide(client, batch_id, key="k1", note="compared with the list")
    assert again.json() == said.json()
    assert outcomes(await decide(client, batch_id)) == ["approved"] * 3
    assert len(await rig.rows("SELECT 1 FROM approvals")) == 3
    assert len(await rig.rows("SELECT 1 FROM audit_log WHERE action = 'payout.approved'")) == 3
    assert {(await rig.payout(one)).state for one in ids} == {"paid"}
    assert await rig.breaches() == []


async def test_two_persons_where_an_amount_needs_two(rig: Rig, client: Client) -> None:
    """The first person's approval waits on the large line, and does not count twice; the second person's completes it."""
    batch_id, ids = await whole(rig, "5000.00", "10000.01")
    assert outcomes(await decide(client, batch_id)) == ["approved", "needs_another"]
    assert outcomes(await decide(client, batch_id)) == ["approved", "needs_another"]
    shown = (await client.get(f"{BATCHES}/{batch_id}", headers=as_("olga", "operator"))).json()
    assert (counts(shown["approvers"]), counts(shown["states"])) == ({"pat": 2}, {"approved": 1, "held": 1})
    assert outcomes(await decide(client, batch_id, by="kim")) == ["not_held", "approved"]
    assert (await rig.payout(ids[1])).state == "approved"


async def test_no_party_approves_a_line(rig: Rig, client: Client) -> None:
    """Who filed the batch decides about none of its lines, and a payee not about the own one."""
    batch_id, _ = await whole(rig, "5000.00", "5000.00")
    assert outcomes(await decide(client, batch_id, by="olga")) == ["approver_is_filer"] * 2
    assert outcomes(await decide(client, batch_id, by="bob-1")) == ["approver_is_payee", "approved"]
    assert (await decide(client, batch_id, role="operator")).status_code == 403


async def test_a_batch_is_decided_once_it_is_whole(rig: Rig, client: Client) -> None:
    """Missing lines, other sums or another number of lines decide nothing; nor does a batch whose lines contradict each other."""
    batch_id = uuid4()
    await line(rig, batch_id, 1)
    await line(rig, batch_id, 3)
    for verb in ("approve", "reject"):
        assert (await decide(client, batch_id, verb=verb)).json()["code"] == "batch_incomplete"
    await line(rig, batch_id, 2)
    for wrong in (
        {"lines": 2},
        {"totals": {"EURC": "15000.01"}},
        {"totals": {"EURC": "15000.00", "XLM": "1.0000000"}},
        {"totals": {"GOLD": "15000.00"}},
    ):
        for verb in ("approve", "reject"):
            said = await decide(client, batch_id, verb=verb, **wrong)
            assert (said.status_code, said.json()["code"]) == (409, "batch_differs"), said.text
    named = await decide(client, batch_id, also=[str(uuid4())])
    assert (named.status_code, named.json()["code"]) == (422, "payout_not_in_batch")
    unknown = await client.post(
        f"{BATCHES}/{uuid4()}/approve",
        json={"lines": 1, "totals": {"EURC": "1.00"}},
        headers=as_("pat", "approver", key="k1"),
    )
    assert (unknown.status_code, unknown.json()["code"]) == (404, "batch_unknown")
    assert await rig.rows("SELECT 1 FROM approvals") == []
    assert await rig.breaches() == []
    await line(rig, batch_id, 2)
    assert (await decide(client, batch_id)).json()["code"] == "batch_inconsistent"
    assert any("line 2 of batch" in one for one in await rig.breaches())


async def test_a_line_at_a_gate_is_named(rig: Rig, client: Client) -> None:
    """What a gate holds is not approved with the file unseen: the request names the payout, or it is approved by itself."""
    batch_id, ids = await whole(rig, "5000.00", "9000.00")
    rig.limits = GateLimits(new_destination_above={"EURC": Amount(EURC, 600_000)})
    gated_id, gated = await whole(rig, "5000.00", "9000.00")
    said = await decide(client, gated_id)
    assert outcomes(said) == ["approved", "held_by_gate"]
    assert said.json()["items"][1]["gates"] == ["new_destination"]
    assert (await rig.payout(gated[1])).state == "held"
    shown = (await client.get(f"{BATCHES}/{gated_id}", headers=as_("pat", "approver"))).json()
    assert (counts(shown["holds"]), counts(shown["gates"])) == (
        {"new_destination": 1},
        {"new_destination": 1},
    )
    assert outcomes(await decide(client, gated_id, also=[str(gated[1])])) == ["approved", "approved"]
    assert outcomes(await decide(client, batch_id)) == ["approved", "approved"]
    await rig.submit()
    late = await rig.payout(ids[1])
    assert (late.state, late.code) == ("held", "new_destination")
    assert outcomes(await decide(client, batch_id, by="kim")) == ["not_held", "held_by_gate"]


async def test_a_batch_is_rejected(rig: Rig, client: Client) -> None:
    """Each line that is held ends with the reason; one that was paid before stays. A repeated request has the same answer. A retry of a
    line is of no batch.
    """
    batch_id, ids = await whole(rig, "12.50", "5000.00", "6000.00")
    await rig.submit()
    for _ in range(2):
        said = await decide(client, batch_id, verb="reject")
        assert outcomes(said) == ["not_held", "rejected", "rejected"]
    assert [(await rig.payout(one)).state for one in ids] == ["paid", "rejected", "rejected"]
    assert (await rig.events(ids[1]))[-1].data["reason"] == "the list was sent twice"
    assert len(await rig.rows("SELECT 1 FROM audit_log WHERE action = 'payout.rejected'")) == 2
    own = await whole(rig, "5000.00")
    assert outcomes(await decide(client, own[0], by="olga", verb="reject")) == ["approver_is_filer"]
    method = await rig.method("cid-2")
    retry = rig.intent(method, amount="5000.00", player=method.player)
    batch = {"batch_id": str(batch_id), "line": 2, "lines": 3}
    await rig.feed(rig.requested(method, retry, filed_by="kim", retry_of=str(ids[1]), batch=batch))
    assert (await rig.payout(UUID(retry.payout_id))).batch is None


async def test_a_decision_goes_on_where_it_was_killed(
    rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed before the process died stays; the same request decides the rest, and nothing twice."""
    monkeypatch.setattr(controller, "AT_ONCE", 2)
    batch_id, ids = await whole(rig, *["5000.00"] * 5)
    real, calls = controller.approve_lines, 0

    async def dies(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        decided = await real(*given, **named)
        if calls == 2:
            raise Killed
        return decided

    monkeypatch.setattr(controller, "approve_lines", dies)
    with pytest.raises(Killed):
        await decide(client, batch_id, key="k1")
    assert len(await rig.rows("SELECT 1 FROM approvals")) == 2
    assert outcomes(await decide(client, batch_id, key="k1")) == ["approved"] * 5
    assert calls == 4
    assert len(await rig.rows("SELECT 1 FROM approvals")) == 5
    assert {(await rig.payout(one)).state for one in ids} == {"approved"}


async def test_batches_and_their_lines_are_listed(rig: Rig, client: Client) -> None:
    """The newest batch first; lines by number; the queue and each payout name the batch."""
    first, ids = await whole(rig, "5000.00", "6000.00", "7000.00")
    second = (await whole(rig, "12.50"))[0]
    staff = as_("olga", "operator")
    found = (await client.get(BATCHES, headers=staff)).json()
    assert [one["batch_id"] for one in found["items"]] == [
        str(one) for one in sorted((first, second), reverse=True)
    ]
    page = (await client.get(BATCHES, params={"limit": 1}, headers=staff)).json()
    rest = (
        await client.get(BATCHES, params={"limit": 1, "cursor": page["next_cursor"]}, headers=staff)
    ).json()
    assert page["items"] + rest["items"] == found["items"]
    one = (await client.get(f"{BATCHES}/{first}", headers=staff)).json()
    assert (one["lines"], one["arrived"], one["filed_by"]) == (3, 3, "olga")
    assert one["totals"] == [{"asset": "EURC", "amount": "18000.00"}]
    assert (counts(one["states"]), counts(one["holds"])) == ({"held": 3}, {"above_automatic_limit": 3})
    wanted = [str(one) for one in ids]
    assert await pages(client, f"{BATCHES}/{first}/lines", staff, limit="2") == wanted
    assert set(await pages(client, "/api/admin/payouts", staff, batch=str(first), limit="2")) == set(wanted)
    shown = (await client.get(f"/api/payouts/{wanted[1]}", headers=staff)).json()
    assert (shown["batch_id"], shown["batch_line"]) == (str(first), 2)
    assert (await client.get(f"{BATCHES}/{uuid4()}/lines", headers=staff)).status_code == 404
    assert (await client.get(BATCHES, headers=as_("ana"))).status_code == 403
