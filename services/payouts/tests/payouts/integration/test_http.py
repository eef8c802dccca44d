"""HTTP: a player's methods and payouts, and what approvers may do. Details are never shown in full."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy.exc import DBAPIError
from stellar_sdk import MuxedAccount

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.paging import encode_cursor
from prizewire_chassis.testing import make_token, token_reader
from prizewire_payouts.methods.domain import Method
from services.payouts.tests.rig import ADDRESS, OWN, Rig
from tests.documented import Documented
from tests.hostile import send_with, try_everything

MUXED = "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVAAAAAAAAAAAAAJLK"
CONTRACT = "CA3D5KRYM6CB7OWQ6TWYRR3Z4T7GNZLKERYNZGGA5SOAOPIFY6YQGAXE"
Client = httpx.AsyncClient


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[Client]:
    tokens = token_reader()
    app = build_app(service="payouts", controllers=rig.controllers, health=Health(), tokens=tokens)
    transport = httpx.ASGITransport(app=Documented(app))  # type: ignore[arg-type] # Litestar types its scope more narrowly
    async with httpx.AsyncClient(transport=transport, base_url="http://payouts") as made:
        yield made


def as_(subject: str, *roles: str, key: str | None = None) -> dict[str, str]:
    token = make_token(subject=subject, roles=roles or ("player",))
    return {"authorization": f"Bearer {token}", **({"idempotency-key": key} if key else {})}


async def create(client: Client, player: str = "ana", key: str | None = None, **body: Any) -> Any:
    given = {"type": "stellar", "details": {"address": ADDRESS}, **body}
    return await client.post("/api/payout-methods", json=given, headers=as_(player, key=key))


async def test_the_first_method_becomes_the_default(rig: Rig, client: Client) -> None:
    """The event of a new method has its full state; the address is shown masked and stored encrypted."""
    answer = await create(client)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["is_default"], body["version"], body["type"]) == (True, 1, "stellar")
    assert body["destination"] == "GA5Z…KZVN"
    assert ADDRESS not in answer.text
    (event,) = await rig.events(UUID(body["id"]))
    assert (event.type, event.version) == ("method.registered", 1)
    assert event.data["address"] == ADDRESS
    assert event.data["is_default"] is True
    (row,) = await rig.rows("SELECT details FROM payout_methods")
    assert ADDRESS.encode() not in bytes(row.details)


async def test_another_default_unsets_the_first(rig: Rig, client: Client) -> None:
    """There is one default: another default publishes events of both, each with its next version, in one partition."""
    first = (await create(client)).json()
    second = (await create(client, type="fake", details={"account": "ana"}, default=True)).json()
    one, two = await rig.events(UUID(first["id"])), await rig.events(UUID(second["id"]))
    assert [(event.type, event.version, event.data["is_default"]) for event in one] == [
        ("method.registered", 1, True),
        ("method.defaulted", 2, False),
    ]
    assert [(event.type, event.data["is_default"]) for event in two] == [("method.registered", True)]
    assert one[0].correlation_id == two[0].correlation_id
    assert two[0].data["address"] is None
    assert len(two[0].data["commitment"]) == 64
    back = await client.post(f"/api/payout-methods/{first['id']}/default", headers=as_("ana"))
    assert (back.status_code, back.json()["version"]) == (200, 3)
    assert await rig.breaches() == []


async def test_the_same_destination_is_the_same_method(rig: Rig, client: Client) -> None:
    """Registering again answers what is there; another memo or another player is another method."""
    first = await create(client, details={"address": ADDRESS, "memo": "77"})
    again = await create(client, details={"address": ADDRESS, "memo": "77"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = await create(client, details={"address": ADDRESS, "memo": "78"})
    assert other.status_code == 201
    await create(client, player="eve", details={"address": ADDRESS, "memo": "77"})
    listed = await client.get("/api/payout-methods", params={"player": "ana"}, headers=as_("op", "operator"))
    assert sorted(item["shared_with"] for item in listed.json()["items"]) == [0, 1]


async def test_an_idempotency_key_is_honoured(client: Client) -> None:
    """The same key and body replay the answer; another body under it is a conflict."""
    first = await create(client, key="k1")
    again = await create(client, key="k1")
    assert first.json() == again.json()
    assert again.status_code == 201
    other = await create(client, key="k1", details={"address": ADDRESS, "memo": "1"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"details": {"address": ADDRESS[:-1] + "A"}}, "address_invalid"),
        (
            {"details": {"address": "SBPQUZ6G4FZNWFHKUWC5BEYWF6R52E3SEP7R3GWYSM2XTKGF5LNTWW4R"}},
            "address_invalid",
        ),
        ({"details": {"address": ADDRESS, "memo": "x" * 29}}, "memo_too_long"),
        ({"details": {"address": ADDRESS, "memo": "é" * 15}}, "memo_too_long"),
        ({"details": {"address": ADDRESS, "memo": ""}}, "memo_too_long"),
        ({"details": {"address": MUXED, "memo": "1"}}, "memo_not_possible"),
        ({"details": {"address": CONTRACT}}, "address_not_supported"),
        ({"details": {"address": OWN}}, "address_not_allowed"),
        ({"details": {"address": MuxedAccount(OWN, 7).account_muxed}}, "address_not_allowed"),
        ({"details": {}}, "details_malformed"),
        ({"details": {"address": ADDRESS, "account": "ana's own"}}, "details_malformed"),
        ({"type": "fake", "details": {"account": "x" * 129}}, "account_invalid"),
        ({"type": "pigeon", "details": {"address": ADDRESS}}, "method_type_unknown"),
    ],
)
async def test_bad_details_are_refused_and_not_repeated(
    client: Client, body: dict[str, Any], code: str
) -> None:
    """Each kind of bad detail has its code, and no answer repeats what was sent."""
    answer = await create(client, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    for value in body["details"].values():
        assert len(value) < 8 or value not in answer.text


async def test_details_have_known_members_only(client: Client) -> None:
    """Another member is named, and what was sent is not repeated."""
    answer = await create(client, details={"address": ADDRESS, "iban": "DE89370400440532013000"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "iban" in answer.text
    assert "DE89370400440532013000" not in answer.text
    assert ADDRESS not in answer.text


@pytest.mark.parametrize("address", [ADDRESS, MUXED])
async def test_accounts_and_muxed_accounts_are_addresses(client: Client, address: str) -> None:
    """G… and M… addresses are taken."""
    assert (await create(client, details={"address": address})).status_code == 201


async def test_methods_are_the_players_own(client: Client) -> None:
    """A player neither sees nor changes another's methods; an operator may act for a player."""
    made = (await create(client)).json()
    assert (await client.get("/api/payout-methods")).status_code == 401
    peek = await client.get("/api/payout-methods", params={"player": "ana"}, headers=as_("eve"))
    assert (peek.status_code, peek.json()["code"]) == (403, "forbidden")
    assert (await client.delete(f"/api/payout-methods/{made['id']}", headers=as_("eve"))).status_code == 404
    body = {"type": "fake", "details": {"account": "x"}, "player": "bob"}
    assert (await client.post("/api/payout-methods", json=body, headers=as_("eve"))).status_code == 403
    acting = await client.post("/api/payout-methods", json=body, headers=as_("op", "operator"))
    assert acting.json()["player"] == "bob"


async def test_a_method_of_the_staff_waits_for_somebody_else(rig: Rig, client: Client) -> None:
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


async def test_a_player_confirms_a_method_of_the_staff(rig: Rig, client: Client) -> None:
    """Registered again with the player's own token, the same method is confirmed by the player: an event says so, and it is paid at once."""
    body = {"type": "fake", "details": {"account": "x"}, "player": "bob"}
    made = (await client.post("/api/payout-methods", json=body, headers=as_("op", "operator"))).json()
    again = await client.post("/api/payout-methods", json=body, headers=as_("op", "operator"))
    assert (again.json()["registered_by"], again.json()["version"]) == ("staff", 1)
    mine = await client.post("/api/payout-methods", json=body, headers=as_("bob"))
    assert (mine.status_code, mine.json()["id"]) == (200, made["id"])
    assert (mine.json()["registered_by"], mine.json()["version"]) == ("player", 2)
    published = [(event.type, event.data["registered_by"]) for event in await rig.events(UUID(made["id"]))]
    assert published == [("method.registered", "staff"), ("method.registered", "player")]
    payout_id = await rig.request(await stored(rig, made["id"]))
    assert (await rig.payout(payout_id)).state == "approved"
    rows = await rig.rows("SELECT change, actor FROM payout_method_changes ORDER BY version")
    assert [(row.change, row.actor) for row in rows] == [("registered", "op"), ("registered", "bob")]
    audited = await rig.rows("SELECT action FROM audit_log ORDER BY sequence")
    assert [row.action for row in audited] == ["payout_method.registered", "payout_method.confirmed"]


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


async def stored(rig: Rig, method_id: str) -> Method:
    key = UUID(method_id)
    return (await rig.run(lambda storages: storages.methods.find([key])))[key]


async def test_a_removed_method_is_gone(rig: Rig, client: Client) -> None:
    """The event of a removal has the whole state, and no default is left; the destination may be registered again."""
    made = (await create(client)).json()
    gone = await client.delete(f"/api/payout-methods/{made['id']}", headers=as_("ana"))
    assert (gone.status_code, gone.json()["state"], gone.json()["is_default"]) == (200, "removed", False)
    assert (await rig.events(UUID(made["id"])))[-1].type == "method.removed"
    assert (await client.get("/api/payout-methods", headers=as_("ana"))).json()["items"] == []
    again = await client.delete(f"/api/payout-methods/{made['id']}", headers=as_("ana"))
    assert (again.status_code, again.json()["code"]) == (409, "method_removed")
    assert (await create(client)).json()["id"] != made["id"]


PARTIES = {
    "ana": "payee",
    "oscar": "filer",
    "fay": "funder",
    "wes": "rule_writer",
    "ron": "reporter",
    "ivy": "importer",
    "rita": "releaser",
}


async def test_an_approver_is_nobody_concerned(rig: Rig, client: Client) -> None:
    """Nobody behind the money, its request or its payee approves or rejects, nor does a role that may not."""
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


async def pages(client: Client, path: str, headers: dict[str, str], **params: str) -> list[str]:
    """The ids of all payouts of a list, page by page."""
    seen: list[str] = []
    cursor: str | None = None
    while True:
        wanted = {**params, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(path, params=wanted, headers=headers)).json()
        seen += [item["payout_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return seen


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
    """Whom they pay how much; those that are not known are left out."""
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
async def test_a_payout_whose_intent_was_changed_hides_no_other(
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
        ({"rail": "fake", "asset": "EURC"}, 5),
        ({"rail": "stellar"}, 0),
        ({"asset": "XLM"}, 0),
        ({"method_id": str(first.method_id)}, 5),
        ({"method_id": str(other.method_id), "state": "approved"}, 0),
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
            assert own.json()["items"] == mine, params


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
        ({"status": "held"}, "parameter_unknown"),
    ],
)
async def test_a_filter_that_means_nothing_is_named(
    client: Client, params: dict[str, str], code: str
) -> None:
    """A misspelt filter does not answer an empty list."""
    for path, headers in (("/api/admin/payouts", as_("op", "operator")), ("/api/payouts", as_("ana"))):
        said = await client.get(path, params=params, headers=headers)
        assert (said.status_code, said.json()["code"]) == (400, code)


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


async def test_hostile_requests_are_refused_with_a_code(client: Client) -> None:
    """To every route, in every part of a request: none is a failure of the service."""
    document = (await client.get("/schema/openapi.json")).json()
    send = send_with(client, lambda subject: as_(subject, "admin", "approver"))
    assert await try_everything(document=document, send=send) == []
