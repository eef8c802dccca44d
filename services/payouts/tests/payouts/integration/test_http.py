"""Payouts over HTTP: lists, filters, cancels, and what a player may read."""

from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from prizewire_chassis.http.paging import encode_cursor
from services.payouts.tests.http import Client, as_, pages
from services.payouts.tests.rig import Rig


async def test_cancel_over_http_is_idempotent(rig: Rig, client: Client) -> None:
    """A cancel needs a key, acts once for it, and says no when there is nothing left to cancel."""
    payout_id = await rig.request(await rig.method())
    path = f"/api/admin/payouts/{payout_id}/cancel"
    body = {"reason": "fraud"}
    bare = await client.post(path, json=body, headers=as_("op", "operator"))
    assert (bare.status_code, bare.json()["code"]) == (400, "idempotency_key_required")
    first = await client.post(path, json=body, headers=as_("op", "operator", key="c1"))
    again = await client.post(path, json=body, headers=as_("op", "operator", key="c1"))
    assert (first.status_code, first.json()["state"]) == (202, "cancelled")
    assert (first.json()["code"], first.json()["reason"]) == ("cancelled_by_operator", "fraud")
    assert first.json() == again.json()
    late = await client.post(path, json=body, headers=as_("op", "operator", key="c2"))
    assert (late.status_code, late.json()["code"]) == (409, "not_cancellable")


async def test_a_player_sees_only_their_payouts(rig: Rig, client: Client) -> None:
    """A payout of somebody else answers as if it did not exist."""
    payout_id = await rig.request(await rig.method(), debit_amount="13.00")
    await rig.submit()
    own = await client.get(f"/api/payouts/{payout_id}", headers=as_("ana"))
    assert (own.json()["debit_amount"], own.json()["player_fee"]) == ("13.00", "0.50")
    assert (own.json()["rail_fee"], own.json()["rail_fee_borne_by"]) == ("0.00", "platform")
    assert (own.json()["state"], own.json()["pay_amount"], len(own.json()["attempt_list"])) == (
        "paid",
        "12.50",
        1,
    )
    assert own.json()["proof"]["reference"]
    missing = await client.get(f"/api/payouts/{payout_id}", headers=as_("eve"))
    assert (missing.status_code, missing.json()["code"]) == (404, "payout_not_found")
    assert "has not arrived here yet" in missing.json()["detail"]
    assert (await client.get(f"/api/payouts/{payout_id}", headers=as_("op", "operator"))).status_code == 200
    assert (await client.get("/api/admin/payouts", headers=as_("ana"))).status_code == 403
    assert (await client.get("/api/payouts", headers=as_("eve"))).json()["items"] == []


async def test_lists_are_newest_first(rig: Rig, client: Client) -> None:
    """Payouts by the time of their request, of one moment by id; a cursor goes on where the page ended. Methods and pauses
    too.
    """
    methods = [await rig.method("ana")]
    requested: list[str] = []
    for _ in range(3):
        intents = [rig.intent(methods[0]) for _ in range(2)]
        await rig.feed(*(rig.requested(methods[0], intent) for intent in intents))
        requested = sorted((intent.payout_id for intent in intents), reverse=True) + requested
        rig.clock.advance(timedelta(seconds=1))
        methods.insert(0, await rig.method("ana", account=f"account {rig.clock.now().second}"))
    staff = as_("op", "operator")
    assert await pages(client, "/api/admin/payouts", staff, limit="1") == requested
    assert await pages(client, "/api/admin/payouts", staff, limit="4", state="approved") == requested
    assert await pages(client, "/api/payouts", as_("ana"), limit="3") == requested
    listed = (await client.get("/api/payout-methods", headers=as_("ana"))).json()["items"]
    assert [item["id"] for item in listed] == [str(method.method_id) for method in methods]
    made = []
    for number, (scope, value) in enumerate((("rail", "fake"), ("asset", "EURC"))):
        body = {"scope": scope, "value": value, "reason": "drill"}
        said = await client.post(
            "/api/admin/payouts/pauses", json=body, headers=as_("op", "operator", key=f"p{number}")
        )
        made.insert(0, said.json()["id"])
        rig.clock.advance(timedelta(seconds=1))
    paused = (await client.get("/api/admin/payouts/pauses", headers=staff)).json()["items"]
    assert [item["id"] for item in paused] == made


async def test_payouts_are_listed_by_their_ids(rig: Rig, client: Client) -> None:
    """Payee and amount are shown; unknown ids are left out."""
    method = await rig.method("ana")
    intents = [rig.intent(method) for _ in range(3)]
    await rig.feed(*(rig.requested(method, intent) for intent in intents))
    ids = [intent.payout_id for intent in intents[:2]]
    path, staff = "/api/admin/payouts/known", as_("op", "operator")
    answer = await client.get(path, params={"ids": ",".join([*ids, str(uuid4())])}, headers=staff)
    found = {one["payout_id"]: one for one in answer.json()["items"]}
    assert set(found) == set(ids)
    assert {(one["player"], one["pay_amount"], one["state"]) for one in found.values()} == {
        ("ana", intents[0].pay_amount, "approved")
    }
    assert (await client.get(path, params={"ids": "p1"}, headers=staff)).status_code == 400
    assert (await client.get(path, params={"ids": ids[0]}, headers=as_("ana"))).status_code == 403


@pytest.mark.parametrize(
    "intent",
    [
        "'{}'",
        "'null'",
        "'[1]'",
        "intent - 'debit_amount'",
        """intent || '{"debit_amount": 13}'""",
        """intent || '{"debit_amount": "much"}'""",
        """intent || '{"debit_amount": "-1.00"}'""",
        """intent || '{"debit_amount": "12.49"}'""",
    ],
)
async def test_a_payout_with_a_changed_intent_does_not_hide_others(
    rig: Rig, client: Client, intent: str
) -> None:
    """In lists, by its id, and for who decides: what its row says is shown, what only its intent says is not."""
    method = await rig.method()
    payout_id = await rig.request(method, amount="5000.00")
    await rig.feed(rig.cancel_asked(await rig.request(method)))
    other = await rig.request(method)
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute("ALTER TABLE payouts DISABLE TRIGGER USER")
    await owner.execute(f"UPDATE payouts SET intent = {intent} WHERE payout_id = '{payout_id}'")
    await owner.close()
    staff, mine, path = as_("op", "operator"), as_("ana"), f"/api/payouts/{payout_id}"
    for answer in (
        await client.get("/api/admin/payouts", headers=staff),
        await client.get("/api/payouts", headers=mine),
    ):
        shown = {one["payout_id"]: one for one in answer.json()["items"]}
        assert (len(shown), shown[str(other)]["debit_amount"]) == (3, "12.50")
        changed = shown[str(payout_id)]
        assert (changed["pay_amount"], changed["state"]) == ("5000.00", "held")
        assert (changed["debit_amount"], changed["player_fee"]) == (None, None)
    for headers in (staff, mine):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["player_fee"]) == (200, None)
    known = await client.get("/api/admin/payouts/known", params={"ids": str(payout_id)}, headers=staff)
    assert known.json()["items"][0]["pay_amount"] == "5000.00"
    refused = await client.put(
        f"/api/admin/payouts/{payout_id}/reject", json={"reason": "changed"}, headers=as_("pat", "approver")
    )
    assert (refused.status_code, refused.json()["state"]) == (202, "rejected")


async def test_payouts_are_listed_by_their_last_change(rig: Rig, client: Client) -> None:
    """By the database's clock, whatever time a writer gives; page by page, from a moment on, for staff alone."""
    method = await rig.method("ana")
    ids = [str(await rig.request(method)) for _ in range(3)]
    path, staff = "/api/admin/payouts/known/changed", as_("op", "operator")
    owner = await asyncpg.connect(rig.urls.migration)
    early = "requested_at - interval '1 year'"
    chosen = f"changed_at = {early}, stored_at = {early}"
    await owner.execute(f"UPDATE payouts SET {chosen} WHERE payout_id = '{ids[0]}'")
    await owner.close()
    first = (await client.get(path, params={"limit": 2}, headers=staff)).json()
    rest = await client.get(path, params={"limit": 2, "cursor": first["next_cursor"]}, headers=staff)
    found = [*first["items"], *rest.json()["items"]]
    assert [one["payout_id"] for one in found] == [ids[0], ids[2], ids[1]]
    assert {(one["player"], one["state"]) for one in found} == {("ana", "approved")}
    since = {"since": found[0]["stored_at"]}
    later = (await client.get(path, params=since, headers=staff)).json()["items"]
    assert [one["payout_id"] for one in later] == [ids[0]]
    assert (await client.get(path, params={"since": "soon"}, headers=staff)).json()[
        "code"
    ] == "period_invalid"
    assert (await client.get(path, params={"cursor": "x"}, headers=staff)).json()["code"] == "cursor_invalid"
    assert (await client.get(path, headers=as_("ana"))).status_code == 403


async def test_lists_are_filtered(rig: Rig, client: Client) -> None:
    """Filters narrow a list, alone and together; earlier systems' pages still work."""
    first, other = await rig.method("ana"), await rig.method("bob")
    for _ in range(5):
        await rig.request(first)
    noon = rig.clock.now()
    rig.clock.advance(timedelta(hours=1))
    await rig.request(other, amount="5000.00")
    staff = as_("op", "operator")
    later = (noon + timedelta(minutes=1)).isoformat()
    for params, count in (
        ({"state": "held,closing"}, 1),
        ({"state": "approved,held"}, 6),
        ({"correlation_id": "corr-1"}, 6),
        ({"correlation_id": "corr-2"}, 0),
        ({"player": "eve"}, 0),
        ({"player": "bob"}, 1),
        ({"rail": "fake", "asset": "EURC"}, 6),
        ({"rail": "stellar"}, 0),
        ({"asset": "XLM"}, 0),
        ({"method_id": str(first.method_id)}, 5),
        ({"method_id": str(other.method_id), "state": "approved"}, 0),
        ({"campaign": "11111111-1111-4111-8111-111111111111"}, 6),
        ({"campaign": str(first.method_id)}, 0),
        ({"competition": "spring-cup", "player": "bob"}, 1),
        ({"competition": "autumn-cup"}, 0),
        ({"source": "/games/arena"}, 6),
        ({"source": "/games/chess"}, 0),
        ({"from": later}, 1),
        ({"to": later}, 5),
        ({"from": noon.isoformat(), "to": later}, 5),
        ({"from": noon.date().isoformat()}, 6),
        ({"to": noon.date().isoformat()}, 0),
        ({"page": "2", "limit": "4"}, 2),
    ):
        page = await client.get("/api/admin/payouts", params=params, headers=staff)
        assert len(page.json()["items"]) == count, params
        if not {"player", "page"} & params.keys():
            own = await client.get("/api/payouts", params=params, headers=as_("ana"))
            mine = [item for item in page.json()["items"] if item["player"] == "ana"]
            assert len(own.json()["items"]) == len(mine), params
            for shown, queued in zip(own.json()["items"], mine, strict=True):
                # how many persons must approve shows a limit, which players do not see
                assert shown.pop("approvers_needed") is None
                assert {name: queued[name] for name in shown} == shown


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"state": "lost"}, "state_unknown"),
        ({"state": ""}, "state_unknown"),
        ({"state": "held, paid"}, "state_unknown"),
        ({"asset": "MOON"}, "asset_unknown"),
        ({"rail": "pigeon"}, "rail_unknown"),
        ({"method_id": "first"}, "invalid_request"),
        ({"correlation_id": ""}, "invalid_request"),
        ({"correlation_id": "a b"}, "invalid_request"),
        ({"from": "yesterday"}, "period_invalid"),
        ({"to": "2026-01-01T00:00:00"}, "period_invalid"),
        ({"from": "2026-01-02", "to": "2026-01-01"}, "period_invalid"),
        ({"from": "2026-01-01", "to": "2026-01-01T01:00:00+01:00"}, "period_invalid"),
        ({"cursor": "x"}, "cursor_invalid"),
        ({"cursor": encode_cursor(["2026-01-01T00:00:00", str(UUID(int=1))])}, "cursor_invalid"),
        ({"limit": "0"}, "limit_invalid"),
        ({"status": "lost"}, "state_unknown"),
        ({"status": "held", "state": "held"}, "state_given_twice"),
        ({"stat": "held"}, "parameter_unknown"),
    ],
)
async def test_a_filter_that_means_nothing_is_named(
    client: Client, params: dict[str, str], code: str
) -> None:
    """A misspelt filter does not answer an empty list."""
    for path, headers in (("/api/admin/payouts", as_("op", "operator")), ("/api/payouts", as_("ana"))):
        said = await client.get(path, params=params, headers=headers)
        status = 422 if code == "state_given_twice" else 400
        assert (said.status_code, said.json()["code"]) == (status, code)
        if code in ("asset_unknown", "rail_unknown", "state_unknown"):
            assert "use one " in said.json()["detail"]


async def test_pages_and_players_are_filters_of_staff(client: Client) -> None:
    """A player has one's own list only."""
    for params in ({"page": "1"}, {"player": "ana"}):
        own = await client.get("/api/payouts", params=params, headers=as_("ana"))
        assert (own.status_code, own.json()["code"]) == (400, "parameter_unknown")
    for params, code in (({"page": "0"}, "page_invalid"), ({"player": ""}, "invalid_request")):
        said = await client.get("/api/admin/payouts", params=params, headers=as_("op", "operator"))
        assert (said.status_code, said.json()["code"]) == (400, code)


async def test_payouts_of_a_rail_that_is_gone_are_found(rig: Rig, client: Client) -> None:
    """The filter takes rails of the configuration, and those that payouts were routed to before."""
    payout_id = await rig.request(await rig.method())
    await rig.rows("UPDATE payouts SET rail = 'bank' RETURNING payout_id")
    page = await client.get("/api/admin/payouts", params={"rail": "bank"}, headers=as_("op", "operator"))
    assert [item["payout_id"] for item in page.json()["items"]] == [str(payout_id)]
