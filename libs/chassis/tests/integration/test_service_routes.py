"""The routes that each service serves about itself, over a real database."""

from uuid import uuid4

import httpx
import pytest
from litestar import get
from sqlalchemy import text

from libs.chassis.tests.integration.inbox_rig import held
from prizewire_chassis.audit import Audit
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app, encode_cursor
from prizewire_chassis.http.service_routes import service_controller
from prizewire_chassis.inbox import Refusal
from prizewire_chassis.testing import make_token, records, token_reader
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.topics import PAYOUTS
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
        controllers=[about],
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
    """Nobody without a token, and no player, organizer or approver, sees or replays anything."""
    assert (await client.request(method, ROOT + path)).status_code == 401
    for role in ("player", "organizer", "approver"):
        assert (await client.request(method, ROOT + path, headers=auth(role))).status_code == 403


async def test_a_replay_is_audited(client, db, processor, handler, spec, outbox):
    """Who sent a stuck event again stands in the audit chain and at the event; the list no longer shows it."""
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
    ],
)
async def test_foreign_arguments_are_the_callers_mistake(client, path, params, status):
    """A cursor, number or name that this service never gave is refused, never a failure of ours."""
    answer = await client.get(ROOT + path, params=params, headers=auth("operator"))
    assert answer.status_code == status


async def test_a_changed_audit_record_is_a_breach_of_every_service(client, db, owner, outbox, clock):
    """Whatever else a service checks, its audit chain is verified with it."""
    audit = Audit(service="payouts", outbox=outbox, clock=clock)
    for target in ("1", "2"):
        async with db.transaction() as tx:
            await audit.record(tx, actor="op", action="x.done", target=target)
    whole = (await client.get(f"{ROOT}/checks", headers=auth("operator"))).json()
    assert whole["checks"] == [{"name": "audit.chain", "ok": True, "breaches": [], "looked_at": 2}]
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        await tx.execute(text("UPDATE audit_log SET actor = 'another' WHERE sequence = 1"))
    found = (await client.get(f"{ROOT}/checks", headers=auth("operator"))).json()
    assert found["checks"] == [
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
async def test_what_the_database_takes_for_no_value_is_the_callers_mistake(db, kind, value):
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
