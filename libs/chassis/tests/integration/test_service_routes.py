"""The routes that each service serves about itself, over a real database."""

from uuid import uuid4

import httpx
import pytest
from litestar import get
from sqlalchemy import text

from libs.chassis.tests.integration.inbox_rig import effects, held, returned, signed_unreadable
from prizewire_chassis.audit import Audit, AuditTable, newest_published
from prizewire_chassis.checks import Check
from prizewire_chassis.db import Database
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.audit_routes import audit_controller
from prizewire_chassis.http.paging import encode_cursor
from prizewire_chassis.http.service_routes import service_controller
from prizewire_chassis.inbox import Refusal
from prizewire_chassis.testing import make_token, records, token_reader
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.topics import AUDIT, PAYOUTS
from tests.documented import Documented

ROOT = "/api/services/payouts"


async def _no_lineage(tx, correlation_id):
    return []


@pytest.fixture
def spec(make_spec):
    return make_spec()


@pytest.fixture
async def client(db, make_stuck, spec, outbox, clock):
    about = service_controller(
        service="payouts", db=db, stuck=make_stuck(spec), lineage=_no_lineage, checks=(),
        audit=Audit(service="payouts", outbox=outbox, clock=clock),
    )  # fmt: skip
    app = build_app(
        service="payouts",
        controllers=[
            about,
            audit_controller(db=db, table=AuditTable("payouts", newest_published("payouts"))),
        ],
        health=Health(),
        tokens=token_reader(),
    )
    transport = httpx.ASGITransport(app=Documented(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as opened:
        yield opened


def auth(*roles: str) -> dict[str, str]:
    return {"authorization": f"Bearer {make_token(subject='ana', roles=roles)}"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/lineage/c-1"),
        ("GET", "/stuck-events"),
        ("GET", "/stuck-events/1"),
        ("POST", "/stuck-events/1/replay"),
        ("GET", "/checks"),
    ],
)
async def test_every_route_is_for_operators(client, method, path):
    """Callers without a token, players, organizers and approvers neither see nor replay anything."""
    assert (await client.request(method, ROOT + path)).status_code == 401
    for role in ("player", "organizer", "approver"):
        assert (await client.request(method, ROOT + path, headers=auth(role))).status_code == 403


async def test_checks_may_take_longer_than_other_transactions(urls, db, make_stuck, spec, outbox, clock):
    """They read whole tables, and no limit ends them."""
    brief = Database(urls.runtime, application_name="brief", transaction_max_s=1.0)

    async def long(tx):
        await tx.execute(text("SELECT pg_sleep(1.2)"))
        return []

    about = service_controller(
        service="payouts", db=brief, stuck=make_stuck(spec), lineage=_no_lineage, checks=[Check("long", long)],
        audit=Audit(service="payouts", outbox=outbox, clock=clock),
    )  # fmt: skip
    app = build_app(service="payouts", controllers=[about], health=Health(), tokens=token_reader())
    transport = httpx.ASGITransport(app=Documented(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as opened:
        answer = await opened.get(f"{ROOT}/checks", headers=auth("operator"))
    await brief.close()
    assert answer.status_code == 200, answer.text
    assert answer.json()["checks"][0] == {"name": "long", "ok": True, "breaches": [], "looked_at": None}


async def test_a_check_that_fails_hides_no_other(db, make_stuck, spec, outbox, clock):
    """It is a breach itself, and the checks after it are answered."""

    async def reads_a_bad_row(tx):
        raise ValueError("'weird' is not a valid AttemptState")

    async def holds(tx):
        return []

    about = service_controller(
        service="payouts", db=db, stuck=make_stuck(spec), lineage=_no_lineage,
        checks=[Check("bad", reads_a_bad_row), Check("good", holds)],
        audit=Audit(service="payouts", outbox=outbox, clock=clock),
    )  # fmt: skip
    app = build_app(service="payouts", controllers=[about], health=Health(), tokens=token_reader())
    transport = httpx.ASGITransport(app=Documented(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as opened:
        answer = await opened.get(f"{ROOT}/checks", headers=auth("operator"))
    assert answer.status_code == 200, answer.text
    bad, good, *_ = answer.json()["checks"]
    assert (bad["name"], bad["ok"], good["name"], good["ok"]) == ("bad", False, "good", True)
    assert bad["breaches"] == [
        "the check could not be run (ValueError): a row may be unreadable; see the service's log"
    ]


async def test_a_replay_is_audited(client, db, processor, handler, spec, outbox):
    """The person who replayed a stuck event is in the audit chain and at the event; the list does not show it any more."""
    event = held(outbox, uuid4(), 1)
    handler.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(event, topic=PAYOUTS.name))
    handler.refuse.clear()
    listed = (await client.get(f"{ROOT}/stuck-events", headers=auth("operator"))).json()["items"]
    answer = await client.post(f"{ROOT}/stuck-events/{listed[0]['id']}/replay", headers=auth("admin"))
    assert (answer.status_code, answer.json()["state"]) == (200, "replayed")
    async with db.transaction() as tx:
        rows = await tx.execute(text("SELECT actor, action, target FROM audit_log"))
        assert [tuple(row) for row in rows] == [("ana", "stuck_event.replayed", str(listed[0]["id"]))]
    assert (await client.get(f"{ROOT}/stuck-events", headers=auth("operator"))).json()["items"] == []
    again = await client.post(f"{ROOT}/stuck-events/{listed[0]['id']}/replay", headers=auth("admin"))
    assert (again.status_code, again.json()["code"]) == (409, "already_replayed")


@pytest.mark.parametrize(
    ("topic", "roles", "shown"),
    [
        (AUDIT.name, ["operator"], False),
        (AUDIT.name, ["admin"], True),
        (AUDIT.name, ["operator", "admin"], True),
        (PAYOUTS.name, ["operator"], True),
    ],
)
async def test_the_message_of_an_audit_record_is_for_admins(client, processor, spec, topic, roles, shown):
    """Operators see why the record is stuck, and not its details."""
    await processor.process(spec, records(b"{secret", topic=topic))
    (listed,) = (await client.get(f"{ROOT}/stuck-events", headers=auth(*roles))).json()["items"]
    answer = await client.get(f"{ROOT}/stuck-events/{listed['id']}", headers=auth(*roles))
    assert (answer.status_code, answer.json()["reason"]) == (200, listed["reason"])
    instead = "not shown: the message is an audit record, which only an admin may read"
    assert answer.json()["message"] == ("{secret" if shown else instead)
    assert ("secret" in answer.text) == shown


async def test_pages_follow_each_other(client, processor, spec):
    """A cursor leads from page to page, and every stuck event is on one of them."""
    await processor.process(spec, records(b"{", b"[", b"7", topic=PAYOUTS.name))
    seen, cursor = [], None
    for _ in range(3):
        wanted = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await client.get(f"{ROOT}/stuck-events", params=wanted, headers=auth("operator"))).json()
        seen += [item["offset"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [0, 1, 2]


async def test_a_number_past_all_ids_is_no_event(client):
    """An id that no event can have is not found, and cannot be sent again."""
    answer = await client.post(f"{ROOT}/stuck-events/{2**63}/replay", headers=auth("operator"))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/stuck-events", {"cursor": encode_cursor(["x"])}, 400),
        ("/stuck-events", {"cursor": encode_cursor([None])}, 400),
        ("/stuck-events", {"cursor": encode_cursor([1.5])}, 400),
        ("/stuck-events", {"cursor": encode_cursor([2**63])}, 400),
        ("/stuck-events", {"cursor": "!"}, 400),
        ("/stuck-events", {"limit": "0"}, 400),
        ("/stuck-events", {"limit": "x"}, 400),
        (f"/stuck-events/{2**63}", {}, 404),
        ("/stuck-events/99999999999999999999", {}, 404),
        ("/stuck-events/-1", {}, 404),
        ("/stuck-events", {"cursor": "WyJhYmMiXQ"}, 400),
        ("/stuck-events/0", {}, 404),
        ("/stuck-events", {"correlation_id": "a\x00b"}, 400),
        ("/stuck-events", {"state": "a\x00b"}, 400),
        ("/stuck-events", {"state": "lost"}, 400),
    ],
)
async def test_foreign_arguments_are_the_callers_mistake(client, path, params, status):
    """A cursor, number or name that this service never gave is refused, never a 500."""
    answer = await client.get(ROOT + path, params=params, headers=auth("operator"))
    assert answer.status_code == status


async def test_a_changed_audit_record_is_a_breach_of_every_service(client, db, owner, outbox, clock):
    """Whatever else a service checks, its audit chain is verified with it."""
    audit = Audit(service="payouts", outbox=outbox, clock=clock)
    for target in ("1", "2"):
        async with db.transaction() as tx:
            await audit.record(tx, actor="op", action="x.done", target=target)
    whole = (await client.get(f"{ROOT}/checks", headers=auth("operator"))).json()
    assert whole["checks"] == [
        {"name": "events.none_is_parked", "ok": True, "breaches": [], "looked_at": 0},
        {"name": "events.none_contradicts", "ok": True, "breaches": [], "looked_at": 0},
        {"name": "outbox.waiting_is_there", "ok": True, "breaches": [], "looked_at": 2},
        {"name": "audit.chain", "ok": True, "breaches": [], "looked_at": 2},
    ]
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        await tx.execute(text("UPDATE audit_log SET actor = 'another' WHERE sequence = 1"))
    found = (await client.get(f"{ROOT}/checks", headers=auth("operator"))).json()
    assert found["checks"][3:] == [
        {
            "name": "audit.chain",
            "ok": False,
            "breaches": ["audit record 1 breaks the chain"],
            "looked_at": 2,
        }
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "a\x00b"),
        ("text", "\ud800"),
        ("jsonb", '{"a": "b\\u0000"}'),
        ("bigint", 2**63),
        ("bigint", -(10**30)),
        ("uuid", "no uuid"),
    ],
)
async def test_a_value_that_the_database_refuses_is_a_400(db, kind, value):
    """Wherever a value is bound that PostgreSQL or its driver cannot take, the answer is 400."""

    @get("/bound")
    async def bound() -> None:
        async with db.transaction() as tx:
            await tx.execute(text(f"SELECT CAST(:value AS {kind})"), {"value": value})

    app = build_app(
        service="payouts",
        controllers=[bound],
        health=Health(),
        tokens=token_reader(),
    )
    transport = httpx.ASGITransport(app=Documented(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as opened:
        answer = await opened.get("/bound")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_a_replay_that_cannot_be_audited_is_not_made(
    client, db, owner, processor, handler, spec, outbox
):
    """Effect and audit record are one transaction: without the record there is no effect, and the event stays stuck."""
    event = held(outbox, uuid4(), 1)
    handler.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(event, topic=PAYOUTS.name))
    handler.refuse.clear()
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log ADD CONSTRAINT closed CHECK (false)"))
    (listed,) = (await client.get(f"{ROOT}/stuck-events", headers=auth("operator"))).json()["items"]
    with pytest.raises(AssertionError, match="500 is not documented"):
        await client.post(f"{ROOT}/stuck-events/{listed['id']}/replay", headers=auth("operator"))
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM effects"))).scalar_one() == 0
        assert (await tx.execute(text("SELECT state FROM stuck_events"))).scalars().all() == ["parked"]


async def test_each_event_that_a_replay_released_is_audited(client, db, processor, handler, spec, outbox):
    """Followers are sent again by the same person, and each has a record that says behind which it waited."""
    payout = uuid4()
    first, second = held(outbox, payout, 1), held(outbox, payout, 2)
    handler.refuse[first.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(first, second, topic=PAYOUTS.name))
    handler.refuse.clear()
    listed = (await client.get(f"{ROOT}/stuck-events", headers=auth("operator"))).json()["items"]
    head, follower = (str(item["id"]) for item in listed)
    answer = await client.post(f"{ROOT}/stuck-events/{head}/replay", headers=auth("operator"))
    assert answer.json()["released"] == 1
    async with db.transaction() as tx:
        rows = await tx.execute(text("SELECT target, detail->>'behind' FROM audit_log ORDER BY sequence"))
        assert [tuple(row) for row in rows] == [(head, None), (follower, head)]


async def parked(processor, spec, handler, *events) -> None:
    """The first event is refused for good and parked, the others wait behind it."""
    handler.refuse[events[0].event_id] = Refusal(RefusalCode.HANDLER_ERROR, "a NUL", park=True)
    await processor.process(spec, records(*events, topic=PAYOUTS.name))


async def discard(client, stuck_id, *roles, reason="it was sent again"):
    return await client.post(
        f"{ROOT}/stuck-events/{stuck_id}/discard", json={"reason": reason}, headers=auth(*roles)
    )


async def listed(client, **params):
    answer = await client.get(f"{ROOT}/stuck-events", params=params, headers=auth("operator"))
    return answer.json()["items"]


async def test_a_discarded_event_lets_its_subject_go_on(client, db, processor, handler, spec, outbox):
    """The head is discarded with a reason and an audit record; events that waited behind it are applied at once, and what comes
    later too. The event stays, and the same message delivered again does not come back.
    """
    subject = uuid4()
    events = [held(outbox, subject, version) for version in (1, 2, 3)]
    await parked(processor, spec, handler, *events[:2])
    first, second = await listed(client)
    behind = await discard(client, second["id"], "operator")
    assert (behind.status_code, behind.json()["code"]) == (409, "not_head")
    answer = await discard(client, first["id"], "operator", reason="  cafe\u0301 ")
    assert answer.json() == {
        "state": "discarded", "type": first["type"], "subject": str(subject),
        "correlation_id": first["correlation_id"], "holds_money": False, "versions_skipped": 0, "released": 1,
    }  # fmt: skip
    await processor.process(spec, records(events[2], topic=PAYOUTS.name, start=2))
    assert await effects(db) == [events[1].event_id, events[2].event_id]
    await processor.process(spec, records(events[0], topic=PAYOUTS.name))
    assert await listed(client) == []
    (kept,) = await listed(client, state="discarded")
    shown = (await client.get(f"{ROOT}/stuck-events/{kept['id']}", headers=auth("operator"))).json()
    assert (shown["discarded_by"], shown["discard_reason"]) == ("ana", "caf\u00e9")
    async with db.transaction() as tx:
        found = await tx.execute(
            text("SELECT action, target, reason, detail FROM audit_log ORDER BY sequence")
        )
        record, follower = found.all()
    assert (record.action, record.target, record.reason) == (
        "stuck_event.discarded", str(first["id"]), "caf\u00e9",
    )  # fmt: skip
    assert (record.detail["event_id"], record.detail["holds_money"]) == (events[0].event_id, False)
    assert (follower.action, follower.detail["behind"]) == ("stuck_event.replayed", str(first["id"]))
    for again in (await discard(client, first["id"], "admin"), await client.post(
        f"{ROOT}/stuck-events/{first['id']}/replay", headers=auth("admin")
    )):  # fmt: skip
        assert (again.status_code, again.json()["code"]) == (409, "already_discarded")


async def test_only_an_admin_gives_up_what_money_may_wait_for(client, processor, handler, spec, outbox):
    """An operator gets the refusal, and nothing changes; the answer to the admin says what the event was."""
    event = returned(outbox, uuid4(), 1)
    await parked(processor, spec, handler, event)
    (entry,) = await listed(client)
    refused = await discard(client, entry["id"], "operator")
    assert (refused.status_code, refused.json()["code"]) == (403, "admin_needed")
    assert [one["state"] for one in await listed(client)] == ["parked"]
    assert (await discard(client, entry["id"], "admin")).json()["holds_money"] is True


async def test_versions_that_never_arrived_are_named_and_need_an_admin(client, db, processor, spec, outbox):
    """An event that waits for a gap takes the gap with it: the answer has the number of skipped versions."""
    subject = uuid4()
    events = [held(outbox, subject, version) for version in (1, 3, 4)]
    await processor.process(spec, records(*events, topic=PAYOUTS.name))
    gap, _ = await listed(client)
    assert (await discard(client, gap["id"], "operator")).json()["code"] == "admin_needed"
    answer = (await discard(client, gap["id"], "admin")).json()
    assert (answer["versions_skipped"], answer["released"]) == (1, 1)
    assert await effects(db) == [events[0].event_id, events[2].event_id]


async def test_an_unreadable_event_counts_as_its_version_only_where_its_producer_signed_it(
    client, db, processor, spec, outbox
):
    """A signed event that fits no schema is discarded and later events are applied; a forged one has no effect."""
    subject = uuid4()
    unreadable = signed_unreadable(outbox, subject, 1)
    forged = unreadable.replace(b'"aggregateversion":1', b'"aggregateversion":2')
    follower = held(outbox, subject, 2)
    await processor.process(spec, records(forged, unreadable, follower, topic=PAYOUTS.name))
    lie, unread, waiting = await listed(client)
    assert [one["state"] for one in (lie, unread, waiting)] == ["dead", "parked", "parked"]
    assert (await discard(client, lie["id"], "operator")).json()["released"] == 0
    assert await effects(db) == []
    assert (await discard(client, unread["id"], "operator")).json()["released"] == 1
    assert await effects(db) == [follower.event_id]


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": " "}, {"reason": "a\x00b"}, {"reason": "x" * 501}]
)
async def test_a_discard_has_a_reason(client, processor, handler, spec, outbox, body):
    """Without a valid reason no event is discarded."""
    await parked(processor, spec, handler, held(outbox, uuid4(), 1))
    (entry,) = await listed(client)
    answer = await client.post(f"{ROOT}/stuck-events/{entry['id']}/discard", json=body, headers=auth("admin"))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert len(await listed(client)) == 1
