"""The routes of the audit chain, over a real database."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from prizewire_chassis.audit import Audit, AuditTable, ChainReader, link_hash, newest_published
from prizewire_chassis.audit.reading import no_correlation
from prizewire_chassis.health import Health
from prizewire_chassis.http import LineageEntry, build_app
from prizewire_chassis.http.audit_routes import audit_controller
from prizewire_chassis.http.paging import encode_cursor
from prizewire_chassis.http.service_routes import service_controller
from prizewire_chassis.testing import make_token, token_reader
from tests.documented import Documented

ROOT = "/api/services/payouts/audit"


@pytest.fixture
def audit(outbox, clock):
    return Audit(service="payouts", outbox=outbox, clock=clock)


@pytest.fixture
def began(clock):
    return clock.now()


@pytest.fixture
async def client(db, make_stuck, make_spec, audit, began):
    async def lineage(tx, correlation_id):
        step = LineageEntry(began, "payouts", "payout.approved", "p-1", "p-1: held → approved by ana")
        return [step] if correlation_id == "c-1" else []

    table = AuditTable("payouts", newest_published("payouts"))
    controllers = [
        service_controller(
            service="payouts", db=db, stuck=make_stuck(make_spec()), lineage=lineage, checks=(), audit=audit
        ),
        audit_controller(db=db, table=table),
    ]
    app = build_app(service="payouts", controllers=controllers, health=Health(), tokens=token_reader())
    transport = httpx.ASGITransport(app=Documented(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as opened:
        yield opened


def auth(*roles: str) -> dict[str, str]:
    return {"authorization": f"Bearer {make_token(subject='ana', roles=roles)}"}


@pytest.fixture
async def written(db, audit, clock, began):
    """Three records, a minute apart: two by ana, of which the second has a correlation id; one by bob."""
    for actor, action, target, reason, correlation in (
        ("ana", "payouts.paused", "p-0", "the bank is closed", None),
        ("ana", "payout.approved", "p-1", None, "c-1"),
        ("bob", "payout.rejected", "p-2", "a wrong name", "c-2"),
    ):
        async with db.transaction() as tx:
            await audit.record(
                tx,
                actor=actor,
                action=action,
                target=target,
                reason=reason,
                detail={"lines": 2, "text": "ü"},
                correlation_id=correlation,
            )
        clock.advance(timedelta(minutes=1))
    return began


async def asked(client, **params):
    answer = await client.get(f"{ROOT}/", params=params, headers=auth("admin"))
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", ["/", "/head", "/published"])
async def test_the_chain_is_for_admins(client, path):
    """Operators and approvers, who are in the chain, do not read it; nor does anybody else."""
    assert (await client.get(ROOT + path)).status_code == 401
    for role in ("player", "organizer", "approver", "operator"):
        assert (await client.get(ROOT + path, headers=auth(role))).status_code == 403


async def test_records_are_as_they_were_published(client, db, written):
    """Each has its hash, which a reader computes from the other members; the topic has the same record."""
    items = (await asked(client))["items"]
    assert [item["sequence"] for item in items] == [1, 2, 3]
    reader = ChainReader("payouts")
    for item in items:
        assert link_hash(item) == item["hash"]
        reader.read(item)
    assert reader.breaks == []
    async with db.transaction() as tx:
        values = (
            await tx.execute(text("SELECT convert_from(value, 'UTF8')::jsonb FROM outbox ORDER BY id"))
        ).scalars()
        assert [value["data"] for value in values] == items


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"actor": "ana"}, [1, 2]),
        ({"action": "payout.rejected"}, [3]),
        ({"target": "p-1"}, [2]),
        ({"correlation_id": "c-2"}, [3]),
        ({"actor": "ana", "action": "payout.rejected"}, []),
        ({"order": "newest"}, [3, 2, 1]),
        ({"order": "newest", "actor": "ana"}, [2, 1]),
    ],
    ids=["actor", "action", "target", "correlation", "both", "newest", "newest-of-actor"],
)
async def test_filters_choose_records(client, written, params, found):
    """Each filter compares the whole value, and several hold together."""
    assert [item["sequence"] for item in (await asked(client, **params))["items"]] == found


async def test_from_is_included_and_to_is_not(client, written):
    """A record of the time `from` is shown, one of the time `to` is not; a time without an offset is refused."""
    second, third = (written + timedelta(minutes=minutes) for minutes in (1, 2))
    found = await asked(client, **{"from": second.isoformat(), "to": third.isoformat()})
    assert [item["sequence"] for item in found["items"]] == [2]
    naive = await client.get(f"{ROOT}/", params={"from": "2026-05-01T12:00:00"}, headers=auth("admin"))
    assert (naive.status_code, naive.json()["code"]) == (400, "period_invalid")


@pytest.mark.parametrize("order", ["oldest", "newest"])
async def test_pages_follow_each_other(client, written, order):
    """A cursor leads through all records in both orders, without a repeated or left out one."""
    seen, cursor = [], None
    while True:
        wanted = {"limit": "1", "order": order, **({"cursor": cursor} if cursor else {})}
        page = await asked(client, **wanted)
        seen += [item["sequence"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ([1, 2, 3] if order == "oldest" else [3, 2, 1])


@pytest.mark.parametrize(
    "params",
    [
        {"cursor": encode_cursor(["x"])},
        {"cursor": encode_cursor([1])},
        {"cursor": encode_cursor([1, "x"])},
        {"cursor": encode_cursor([1, "(4294967296,1)"])},
        {"cursor": encode_cursor([1, "(1,65536)"])},
        {"cursor": encode_cursor([2**63, "(1,1)"])},
        {"limit": "0"},
        {"order": "sideways"},
        {"from": "yesterday"},
        {"actor": "a\x00b"},
    ],
    ids=["cursor", "half", "no-place", "no-block", "no-row", "no-number", "limit", "order", "time", "nul"],
)
async def test_foreign_arguments_are_the_callers_mistake(client, params):
    """An argument of another form is refused, never a 500."""
    assert (await client.get(f"{ROOT}/", params=params, headers=auth("admin"))).status_code == 400


@pytest.mark.parametrize(
    "key", [["x"], [1], [1, "x"], [1, "(4294967296,1)"], [1, "(1,65536)"], [2**63, "(1,1)"]], ids=str
)
async def test_a_cursor_of_another_form_never_reaches_the_database(client, key):
    """It has its own code."""
    answer = await client.get(f"{ROOT}/", params={"cursor": encode_cursor(key)}, headers=auth("admin"))
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")


async def test_the_head_shows_records_that_were_cut(client, owner, written):
    """Two deleted records at the end have nothing behind them: the outbox knows that they were published."""
    head = (await client.get(f"{ROOT}/head", headers=auth("admin"))).json()
    assert (head["sequence"], head["published"]) == (3, 3)
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        await tx.execute(text("DELETE FROM audit_log WHERE sequence > 1"))
    head = (await client.get(f"{ROOT}/head", headers=auth("admin"))).json()
    assert (head["sequence"], head["published"]) == (1, 3)


async def test_published_hashes_are_served_page_by_page(client, written):
    """The newest first; each is the hash of its record."""
    items = {item["sequence"]: item["hash"] for item in (await asked(client))["items"]}
    seen, cursor = [], None
    while True:
        wanted = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await client.get(f"{ROOT}/published", params=wanted, headers=auth("admin"))).json()
        seen += [(item["sequence"], item["hash"]) for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [(number, items[number]) for number in (3, 2, 1)]
    for bad in ({"cursor": encode_cursor([-1])}, {"limit": "0"}):
        refused = await client.get(f"{ROOT}/published", params=bad, headers=auth("admin"))
        assert refused.status_code == 400


async def test_a_row_that_no_service_wrote_is_shown_and_found(client, owner, written):
    """A row with a time that nobody can read hides no other record, and its hash is wrong."""
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        await tx.execute(text("UPDATE audit_log SET at = 'infinity' WHERE sequence = 2"))
    reader = ChainReader("payouts")
    for item in (await asked(client))["items"]:
        reader.read(item)
    assert [(one.sequence, one.kind) for one in reader.breaks] == [(2, "changed")]


async def test_records_are_steps_of_the_lineage(client, written):
    """Who decided, and why, stands behind the steps of the decision; details of the record are not shown."""
    answer = await client.get("/api/services/payouts/lineage/c-1", headers=auth("operator"))
    own, record = answer.json()["entries"]
    assert own["kind"] == "payout.approved"
    assert (record["kind"], record["id"], record["summary"]) == (
        "audit.payout.approved",
        "p-1",
        "payout approved by ana",
    )
    assert set(record["detail"]) == {"audit_record", "actor", "action", "target", "reason", "hash"}
    other = await client.get("/api/services/payouts/lineage/c-2", headers=auth("operator"))
    assert [step["summary"] for step in other.json()["entries"]] == ["payout rejected by bob: a wrong name"]


@pytest.mark.usefixtures("written")
async def test_records_of_no_match_are_in_no_lineage(client, db, audit):
    """Only admins read them. They are neither in their own service's lineage nor, as records about another service's, in this one's."""
    own, other = no_correlation("payouts"), no_correlation("signer")
    async with db.transaction() as tx:
        await audit.record(tx, actor="ana", action="x.done", target="t", correlation_id=other)
    for correlation_id in (own, other):
        (record,) = (await asked(client, correlation_id=correlation_id))["items"]
        assert record["correlation_id"] == correlation_id
        answer = await client.get(f"/api/services/payouts/lineage/{correlation_id}", headers=auth("operator"))
        assert (answer.status_code, answer.json()["entries"]) == (200, [])
