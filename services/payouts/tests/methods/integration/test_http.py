"""Payout methods over HTTP. Details are never shown in full."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from stellar_sdk import MuxedAccount

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.testing import token_reader
from prizewire_payouts.methods.handlers import remove
from prizewire_payouts.methods.jobs import routing_job
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_railkit.method_types.installed import installed_method_types
from services.payouts.tests.http import Client, as_, create, stored
from services.payouts.tests.rig import ADDRESS, OWN, Rig
from tests.documented import Documented

MUXED = "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVAAAAAAAAAAAAAJLK"


CONTRACT = "CA3D5KRYM6CB7OWQ6TWYRR3Z4T7GNZLKERYNZGGA5SOAOPIFY6YQGAXE"


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


async def test_a_change_of_methods_does_not_hold_up_their_list(rig: Rig, client: Client) -> None:
    """Only changes of a player's methods wait for each other: the list is read while one of them is under way."""
    await create(client)
    async with rig.db.transaction() as tx:
        await MethodStorage(rig.unit_of_work(tx)).lock_player("ana")
        async with asyncio.timeout(600):
            listed = await client.get("/api/payout-methods", headers=as_("ana"))
    assert len(listed.json()["items"]) == 1


async def test_a_method_that_cannot_be_read_is_listed_and_removed(rig: Rig, client: Client) -> None:
    """Details that somebody changed in the database are not shown, and no quote is made for them. The other methods are shown, and the
    player removes this one and registers its destination again.
    """
    unread = (await create(client)).json()
    read = (await create(client, type="fake", details={"account": "ana"})).json()
    await rig.spoil_details(UUID(unread["id"]))
    listed = (await client.get("/api/payout-methods", headers=as_("ana"))).json()["items"]
    assert {one["id"]: one["destination"] for one in listed} == {
        read["id"]: read["destination"],
        unread["id"]: None,
    }
    wanted = {"asset": "EURC", "amount": "12.50", "method_id": unread["id"]}
    quoted = await client.post("/api/payout-quotes", json=wanted, headers=as_("ana"))
    assert (quoted.status_code, quoted.json()["code"]) == (409, "method_unreadable")
    back = await client.post(f"/api/payout-methods/{unread['id']}/default", headers=as_("ana"))
    gone = await client.delete(f"/api/payout-methods/{unread['id']}", headers=as_("ana"))
    assert [(one.status_code, one.json()["destination"]) for one in (back, gone)] == [(200, None)] * 2
    again = await create(client)
    assert (again.status_code, again.json()["destination"]) == (201, unread["destination"])


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


async def test_an_unknown_method_type_is_answered_with_those_that_there_are(client: Client) -> None:
    """Every type that the answer names can be registered."""
    answer = await create(client, type="pigeon", details={"address": ADDRESS})
    names = ", ".join(sorted(installed_method_types()))
    assert answer.json()["detail"] == f"there is no method type 'pigeon': use one of {names}"
    for type_, details in (("stellar", {"address": ADDRESS}), ("fake", {"account": "ana's own"})):
        assert (await create(client, type=type_, details=details)).status_code == 201


async def test_a_method_that_no_rail_pays_to_is_refused(rig: Rig, client: Client) -> None:
    """A known type without a configured rail has a code of its own; registered methods say which rails pay to them."""
    rig.rails[:] = [rail for rail in rig.rails if rail.name == "fake"]
    app = build_app(service="payouts", controllers=rig.controllers, health=Health(), tokens=token_reader())
    transport = httpx.ASGITransport(app=Documented(app))  # type: ignore[arg-type] # Litestar types its scope more narrowly
    async with httpx.AsyncClient(transport=transport, base_url="http://payouts") as only_fake:
        answer = await create(only_fake)
        assert (answer.status_code, answer.json()["code"]) == (422, "method_type_unserved")
        made = await create(only_fake, type="fake", details={"account": "ana"})
    (event,) = await rig.events(UUID(made.json()["id"]))
    assert event.data["rail_types"] == ["fake"]


async def test_a_new_configuration_routes_stored_methods(rig: Rig) -> None:
    """Each active method whose rails changed gets a new version and an event; once stored, nothing is left to do."""
    chain, fake = await rig.method(kind="stellar"), await rig.method()
    gone = await rig.method("bob", kind="stellar")
    await rig.run(
        lambda s: remove(s.methods, method_id=gone.method_id, player="bob", actor="bob", now=rig.clock.now())
    )
    job = routing_job(
        db=rig.db,
        unit_of_work=rig.unit_of_work,
        clock=rig.clock,
        served={"stellar": ("exchange", "stellar"), "fake": ("fake",)},
    )
    for _ in range(2):
        assert await job.run() is False
        published = [
            (event.type, event.version, event.data["rail_types"])
            for event in await rig.events(chain.method_id)
        ]
        assert published == [
            ("method.registered", 1, ["stellar"]),
            ("method.routed", 2, ["exchange", "stellar"]),
        ]
        assert await rig.event_types(fake.method_id) == ["method.registered"]
        assert await rig.event_types(gone.method_id) == ["method.registered", "method.removed"]


async def test_details_have_known_members_only(client: Client) -> None:
    """Another member is refused with those that there are, and what was sent is not repeated."""
    answer = await create(client, details={"address": ADDRESS, "iban": "DE89370400440532013000"})
    assert (answer.status_code, answer.json()["code"]) == (422, "details_malformed")
    assert answer.json()["detail"] == "details hold more than address, memo"
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


async def test_staff_names_the_player(client: Client) -> None:
    """Staff without the role player who names no player is refused on each route, and registers no method of its own."""
    made = (await create(client)).json()
    body = {"type": "fake", "details": {"account": "x"}}
    answers = [
        await client.post("/api/payout-methods", json=body, headers=as_("op", "operator")),
        await client.get("/api/payout-methods", headers=as_("op", "operator")),
        await client.post(f"/api/payout-methods/{made['id']}/default", headers=as_("op", "admin")),
        await client.delete(f"/api/payout-methods/{made['id']}", headers=as_("op", "admin")),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(422, "player_required")] * 4
    listed = await client.get("/api/payout-methods", params={"player": "op"}, headers=as_("op", "operator"))
    assert listed.json()["items"] == []
    both = await client.post("/api/payout-methods", json=body, headers=as_("op", "operator", "player"))
    assert (both.status_code, both.json()["player"]) == (201, "op")


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


async def test_a_removed_method_is_not_listed(rig: Rig, client: Client) -> None:
    """The event of a removal has the whole state, and no default is left; the destination may be registered again."""
    made = (await create(client)).json()
    gone = await client.delete(f"/api/payout-methods/{made['id']}", headers=as_("ana"))
    assert (gone.status_code, gone.json()["state"], gone.json()["is_default"]) == (200, "removed", False)
    assert (await rig.events(UUID(made["id"])))[-1].type == "method.removed"
    assert (await client.get("/api/payout-methods", headers=as_("ana"))).json()["items"] == []
    again = await client.delete(f"/api/payout-methods/{made['id']}", headers=as_("ana"))
    assert (again.status_code, again.json()["code"]) == (409, "method_removed")
    assert (await create(client)).json()["id"] != made["id"]
