"""The queue of payouts: filters, orders with their cursors, and what each line shows."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.payouts.tests.http import Client, as_, pages
from services.payouts.tests.rig import Rig

QUEUE = "/api/admin/payouts"
STAFF = as_("op", "operator")
CAMPAIGN = "22222222-2222-4222-8222-222222222222"


async def filled(rig: Rig) -> list[dict[str, Any]]:
    """Seven held payouts of three players, two assets and two rails, a minute apart; two requests share each moment."""
    made: list[dict[str, Any]] = []
    plan = [
        ("ana", "fake", "2000.00"),
        ("cid", "stellar", "3000.00"),
        ("bob", "fake", "1500.00"),
        ("ana", "fake", "2000.00"),
        ("cid", "stellar", "20000.00"),
        ("bob", "fake", "1000.01"),
    ]
    for number, (player, kind, amount) in enumerate(plan):
        if number % 2 == 0:
            rig.clock.advance(timedelta(minutes=1))
        method = await rig.method(player, kind=kind)
        intent = rig.intent(method, amount=amount, campaign=CAMPAIGN if number == 0 else str(uuid4()))
        await rig.feed(rig.requested(method, intent))
        payout = await rig.payout(UUID(intent.payout_id))
        made.append(
            {
                "id": intent.payout_id,
                "age": payout.requested_at,
                "amount": payout.amount.minor,
                "rail": payout.rail or "",
                "asset": payout.amount.asset.code,
                "player": player,
            }
        )
    return made


async def test_the_queue_shows_masked_destinations(rig: Rig, client: Client) -> None:
    """Each line of the queue has the masked destination that the single view has; no line has a detail of it."""
    made = await filled(rig)
    listed = await client.get(QUEUE, params={"state": "held"}, headers=STAFF)
    shown = {
        one["payout_id"]: (one["destination"], one["destination_memo"]) for one in listed.json()["items"]
    }
    single: dict[str, tuple[Any, Any]] = {}
    for one in made:
        found = (await client.get(f"/api/payouts/{one['id']}", headers=STAFF)).json()
        single[one["id"]] = (found["destination"], found["destination_memo"])
    assert shown == single
    assert all(destination for destination, _ in shown.values())
    assert "account of" not in listed.text


@pytest.mark.parametrize("sort", ["age", "amount", "rail", "asset", "player"])
@pytest.mark.parametrize("sign", ["", "-"])
async def test_every_sort_has_a_stable_cursor(rig: Rig, client: Client, sort: str, sign: str) -> None:
    """Page by page the queue is the whole queue in its order, also where many lines have one name or one moment."""
    made = await filled(rig)

    def key(one: dict[str, Any]) -> tuple[Any, ...]:
        first = (one["age"],) if sort == "age" else (one[sort],)
        moment = () if sort in ("age", "amount") else (one["age"],)
        return (*first, *moment, UUID(one["id"]))

    wanted = [one["id"] for one in sorted(made, key=key, reverse=sign == "-")]
    params = {"state": "held", "asset": "EURC", "sort": f"{sign}{sort}"}
    for limit in ("1", "2", "4"):
        assert await pages(client, QUEUE, STAFF, **params, limit=limit) == wanted
    assert len({one["rail"] for one in made}) == 2


async def test_the_queue_is_filtered(rig: Rig, client: Client) -> None:
    """By the code of the hold, campaign, rail that would pay, and amount; `status` is another name of `state`."""
    made = await filled(rig)
    small = await rig.request(await rig.method("eve"))
    for params, wanted in (
        ({"code": "above_automatic_limit"}, made),
        ({"code": "one_person_chain"}, []),
        ({"campaign": CAMPAIGN}, made[:1]),
        ({"rail": "stellar", "state": "held"}, [made[1], made[4]]),
        ({"asset": "EURC", "state": "held", "amount_from": "2000.00"}, [made[0], made[1], made[3], made[4]]),
        (
            {"asset": "EURC", "state": "held", "amount_from": "1500.00", "amount_to": "2000.00"},
            [*made[0:4:3], made[2]],
        ),
        ({"status": "held", "player": "bob"}, [made[2], made[5]]),
        ({"status": "approved"}, [{"id": str(small)}]),
    ):
        page = await client.get(QUEUE, params=params, headers=STAFF)
        assert {one["payout_id"] for one in page.json()["items"]} == {one["id"] for one in wanted}, params


async def test_a_line_shows_its_age_its_approvals_and_who_may_not_decide(rig: Rig, client: Client) -> None:
    """An approver sees in the queue whether there is something to do for them."""
    parties = [{"role": "reporter", "subject": "ron"}]
    method = await rig.method()
    intent = rig.intent(method, amount="10000.01")
    await rig.feed(rig.requested(method, intent, parties=parties))
    rig.clock.advance(timedelta(minutes=20))
    path = f"{QUEUE}/{intent.payout_id}/approve"
    assert (await client.put(path, json={}, headers=as_("pat", "approver"))).status_code == 202
    (line,) = (await client.get(QUEUE, headers=STAFF)).json()["items"]
    assert (line["age_s"], line["approvers"], line["approvers_needed"], line["rail"]) == (
        1200,
        ["pat"],
        2,
        "fake",
    )
    assert {(one["role"], one["subject"]) for one in line["parties"]} == {
        ("filer", "rewards"),
        ("payee", "ana"),
        ("reporter", "ron"),
    }
    shown = (await client.get(f"/api/payouts/{intent.payout_id}", headers=STAFF)).json()
    mine = (await client.get(f"/api/payouts/{intent.payout_id}", headers=as_("ana"))).json()
    assert (shown["approvers"], mine["approvers"]) == (["pat"], None)
    assert "approvers" not in (await client.get("/api/payouts", headers=as_("ana"))).json()["items"][0]


_NOT_TOGETHER = {
    "state_given_twice",
    "sort_needs_asset",
    "needs_open_states",
    "amount_needs_asset",
    "amount_invalid",
}
"""Codes of values that are known, and do not fit together."""


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"state": "held", "status": "held"}, "state_given_twice"),
        ({"status": "lost"}, "state_unknown"),
        ({"state": "held", "sort": "luck"}, "sort_unknown"),
        ({"state": "held", "sort": "amount"}, "sort_needs_asset"),
        ({"sort": "player"}, "needs_open_states"),
        ({"state": "held,paid", "sort": "rail"}, "needs_open_states"),
        ({"asset": "EURC", "amount_from": "1.00"}, "needs_open_states"),
        ({"state": "held", "amount_to": "1.00"}, "amount_needs_asset"),
        ({"state": "held", "asset": "EURC", "amount_to": "1.005"}, "amount_invalid"),
        ({"state": "held", "sort": "player", "cursor": "x"}, "cursor_invalid"),
        ({"code": "No code"}, "invalid_request"),
        ({"campaign": "spring"}, "invalid_request"),
    ],
)
async def test_a_queue_that_cannot_be_shown_is_refused(
    client: Client, params: dict[str, str], code: str
) -> None:
    """With a code and a sentence, before the database reads anything."""
    said = await client.get(QUEUE, params=params, headers=STAFF)
    assert (said.status_code, said.json()["code"]) == (422 if code in _NOT_TOGETHER else 400, code)


async def test_staff_has_filters_that_a_player_has_not(client: Client) -> None:
    """A player's list is theirs, newest first."""
    for params in ({"sort": "age"}, {"code": "held"}, {"amount_from": "1.00"}):
        said = await client.get("/api/payouts", params=params, headers=as_("ana"))
        assert (said.status_code, said.json()["code"]) == (400, "parameter_unknown")
