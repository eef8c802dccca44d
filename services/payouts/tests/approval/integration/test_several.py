"""Decisions about several payouts in one request."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import Rig

APPROVE = "/api/admin/payouts/approve"
REJECT = "/api/admin/payouts/reject"


async def held(rig: Rig, player: str = "ana", amount: str = "5000.00") -> str:
    return str(await rig.request(await rig.method(player), amount=amount))


def lines(answer: Any) -> list[tuple[str | None, str | None]]:
    """Code and state of each line."""
    assert answer.status_code == 200, answer.text
    return [(one["code"], one["state"]) for one in answer.json()["items"]]


async def test_each_line_is_decided_by_itself(rig: Rig, client: Client) -> None:
    """A payout that is unknown, of the approver, or over already undoes none of the others; each has its audit record."""
    first, own, two, paid = (
        await held(rig),
        await held(rig, "pat"),
        await held(rig, "bob", "10000.01"),
        str(await rig.request(await rig.method("cid"))),
    )
    ids = [first, own, str(uuid4()), two, paid, await held(rig, "eve")]
    body = {"ids": ids, "note": "checked"}
    said = await client.post(APPROVE, json=body, headers=as_("pat", "approver", key="k1"))
    assert lines(said) == [
        (None, "approved"),
        ("approver_is_payee", None),
        ("payout_not_found", None),
        (None, "held"),
        ("not_held", None),
        (None, "approved"),
    ]
    assert [one["payout_id"] for one in said.json()["items"]] == ids
    waits = said.json()["items"][3]
    assert (waits["approvers"], waits["approvers_needed"]) == (["pat"], 2)
    records = await rig.rows(
        "SELECT target, reason FROM audit_log WHERE action = 'payout.approved' ORDER BY sequence"
    )
    assert [(row.target, row.reason) for row in records] == [(one, "checked") for one in (first, two, ids[5])]
    assert await rig.breaches() == []


async def test_a_repeated_request_decides_nothing_twice(rig: Rig, client: Client) -> None:
    """The same request gives the same answer for what was decided, and tries the rest again; another request under its key is
    refused line by line.
    """
    ids = [await held(rig), str(uuid4()), await held(rig, "bob", "10000.01")]
    headers = as_("pat", "approver", key="k1")
    first = await client.post(APPROVE, json={"ids": ids}, headers=headers)
    again = await client.post(APPROVE, json={"ids": ids}, headers=headers)
    assert lines(first) == lines(again) == [(None, "approved"), ("payout_not_found", None), (None, "held")]
    assert len(await rig.rows("SELECT 1 FROM approvals")) == 2
    assert await rig.event_types(UUID(ids[0])) == ["payout.held", "payout.approved"]
    other = await client.post(APPROVE, json={"ids": ids[:1], "note": "other"}, headers=headers)
    assert lines(other) == [("idempotency_conflict", None)]
    newer = await client.post(APPROVE, json={"ids": ids}, headers=as_("pat", "approver", key="k2"))
    assert [code for code, _ in lines(newer)] == ["not_held", "payout_not_found", "already_approved"]


async def test_several_are_rejected_with_a_reason(rig: Rig, client: Client) -> None:
    """Each ends, and gives its money back by its own event."""
    ids = [await held(rig), await held(rig, "bob")]
    headers = as_("pat", "approver", key="k1")
    assert (await client.post(REJECT, json={"ids": ids}, headers=headers)).status_code == 400
    said = await client.post(REJECT, json={"ids": ids, "reason": "no contract"}, headers=headers)
    assert lines(said) == [(None, "rejected"), (None, "rejected")]
    for payout_id in ids:
        assert (await rig.events(UUID(payout_id)))[-1].data["reason"] == "no contract"


@pytest.mark.parametrize(
    ("count", "twice", "key", "code"),
    [
        (0, False, "k", "invalid_request"),
        (201, False, "k", "invalid_request"),
        (1, True, "k", "invalid_request"),
        (1, False, None, "idempotency_key_required"),
    ],
)
async def test_what_is_no_list_of_payouts_decides_nothing(
    rig: Rig, client: Client, count: int, twice: bool, key: str | None, code: str
) -> None:
    """An empty or too long list, a payout named twice, or a missing key."""
    payout_id = await held(rig)
    ids = ([payout_id] + [str(uuid4()) for _ in range(count - 1)] if count else []) + [payout_id] * twice
    said = await client.post(APPROVE, json={"ids": ids}, headers=as_("pat", "approver", key=key))
    assert (said.status_code, said.json()["code"]) == (400, code)
    assert (await rig.payout(UUID(payout_id))).state == "held"


async def test_only_approvers_decide_about_several(rig: Rig, client: Client) -> None:
    """As about one."""
    body = {"ids": [await held(rig)]}
    for role in ("operator", "player", "organizer"):
        assert (await client.post(APPROVE, json=body, headers=as_("op", role, key="k"))).status_code == 403
