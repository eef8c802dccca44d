"""One effect for each idempotency key; an audit chain in which a changed row shows."""

import asyncio
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from prizewire_chassis.audit import GENESIS, Audit, link_hash, verify_chain
from prizewire_chassis.auth import Role
from prizewire_chassis.db import Database
from prizewire_chassis.idempotency import idempotent
from prizewire_chassis.problems import Problem
from prizewire_contracts.events.audit import AuditRecorded


async def once(
    db: Database, clock, *, key: str | None, body: dict[str, Any], actor: str = "a", route: str = "POST /x"
):
    async with db.transaction() as tx:

        async def work(identifier):
            await tx.execute(text("INSERT INTO effects (event_id) VALUES (:id)"), {"id": str(identifier)})
            return 201, {"id": str(identifier)}

        return await idempotent(tx, actor=actor, route=route, key=key, body=body, now=clock.now(), work=work)


async def count(db: Database) -> int:
    async with db.transaction() as tx:
        return (await tx.execute(text("SELECT count(*) FROM effects"))).scalar_one()


async def test_fifty_at_once_have_one_effect(db, clock):
    """Concurrent calls with one key and body all get the first one's answer."""
    answers = await asyncio.gather(*(once(db, clock, key="k:1", body={"amount": "1.00"}) for _ in range(50)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert await count(db) == 1


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_required"),
        ("", "idempotency_key_invalid"),
        ("a b", "idempotency_key_invalid"),
        ("k\n", "idempotency_key_invalid"),
        ("k\x00", "idempotency_key_invalid"),
        ("clé", "idempotency_key_invalid"),
        ("k" * 256, "idempotency_key_invalid"),
    ],
)
async def test_a_missing_or_malformed_key_is_refused(db, clock, key, code):
    """A request that moves money needs a usable key."""
    with pytest.raises(Problem) as refused:
        await once(db, clock, key=key, body={})
    assert (refused.value.status, refused.value.code) == (400, code)
    assert await count(db) == 0


async def test_another_body_under_a_key_is_a_conflict(db, clock):
    """The same key with another body changes nothing."""
    await once(db, clock, key="k", body={"amount": "1.00"})
    with pytest.raises(Problem) as refused:
        await once(db, clock, key="k", body={"amount": "2.00"})
    assert (refused.value.status, refused.value.code) == (409, "idempotency_conflict")
    assert await count(db) == 1


async def test_a_key_of_full_length_is_taken(db, clock):
    """255 characters of the allowed kinds are a key."""
    assert (await once(db, clock, key="Az9:_-" + "k" * 249, body={})).status == 201


async def test_a_repeated_request_gets_the_stored_answer(db, clock):
    """The second answer is the first one's, said to be a replay; an order of members makes no other body."""
    first = await once(db, clock, key="k", body={"a": "1", "b": "2"})
    again = await once(db, clock, key="k", body={"b": "2", "a": "1"})
    assert (again.status, again.body, again.replayed) == (first.status, first.body, True)
    assert await count(db) == 1


async def test_a_key_belongs_to_one_caller_and_route(db, clock):
    """The same key of another caller, or on another route, is another request with an id of its own."""
    answers = [
        await once(db, clock, key="k", body={}, actor=actor, route=route)
        for actor, route in (("a", "POST /x"), ("b", "POST /x"), ("a", "POST /y"))
    ]
    assert len({answer.body["id"] for answer in answers}) == 3
    assert await count(db) == 3


async def test_work_that_fails_uses_up_no_key(db, clock):
    """When the work raises nothing is stored, and the same key may be sent again."""
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:

            async def work(identifier):
                raise ZeroDivisionError

            await idempotent(tx, actor="a", route="POST /x", key="k", body={}, now=clock.now(), work=work)
    assert not (await once(db, clock, key="k", body={})).replayed


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amount": 1.5}, "invalid_request"),
        ({"n": 2**53}, "number_out_of_range"),
        ({"clé": "x"}, "invalid_request"),
    ],
)
async def test_a_body_without_canonical_form_is_the_callers_mistake(db, clock, body, code):
    """What cannot be compared exactly is refused with 400 and without effect."""
    with pytest.raises(Problem) as refused:
        await once(db, clock, key="k", body=body)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert await count(db) == 0


@pytest.fixture
def audit(outbox, clock) -> Audit:
    return Audit(service="payouts", outbox=outbox, clock=clock)


async def five_records(db: Database, audit: Audit) -> None:
    for number in range(1, 6):
        async with db.transaction() as tx:
            await audit.record(
                tx, actor="op", action="x.done", target=str(number), detail={"n": number, "role": Role.ADMIN}
            )


async def test_each_audit_record_is_an_event_too(db, audit):
    """The chain verifies, and every link left with its hash: what stands on Kafka anchors the chain."""
    await five_records(db, audit)
    async with db.transaction() as tx:
        assert await verify_chain(tx, service="payouts") == []
        links = [row.hash for row in await tx.execute(text("SELECT hash FROM audit_log ORDER BY sequence"))]
        sent = [row.value for row in await tx.execute(text("SELECT value FROM outbox ORDER BY id"))]
    data = [orjson.loads(bytes(value))["data"] for value in sent]
    assert [item["hash"] for item in data] == links
    assert [item["prev_hash"] for item in data] == ["0" * 64, *links[:-1]]
    assert [link_hash(item) for item in data] == links, "readers of the topic can verify the chain themselves"


@pytest.mark.parametrize("role", ["service", "owner"])
@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
async def test_audit_rows_cannot_be_changed(db, owner, audit, role, statement):
    """The database refuses to change or remove a record, for the service and for the tables' owner."""
    await five_records(db, audit)
    with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
        async with (db if role == "service" else owner).transaction() as tx:
            await tx.execute(text(statement))


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE audit_log SET actor = 'x' WHERE sequence = 3", ["3"]),
        ("UPDATE audit_log SET detail = '{}' WHERE sequence = 5", ["5"]),
        ("UPDATE audit_log SET correlation_id = 'x' WHERE sequence = 2", ["2"]),
        ("UPDATE audit_log SET at = at + interval '1 second' WHERE sequence = 1", ["1"]),
        ("UPDATE audit_log SET sequence = 9 WHERE sequence = 5", ["9"]),
        ("DELETE FROM audit_log WHERE sequence = 1", ["2"]),
        ("DELETE FROM audit_log WHERE sequence = 3", ["4"]),
        ("UPDATE audit_log SET prev_hash = repeat('0', 64) WHERE sequence = 4", ["4"]),
    ],
)
async def test_a_changed_audit_row_shows(db, owner, audit, tampering, found):
    """A person who disables the trigger and changes, moves or removes a record leaves a breach."""
    await five_records(db, audit)
    await tamper(owner, tampering)
    assert await breaches(db) == [f"audit record {sequence} breaks the chain" for sequence in found]


@pytest.mark.parametrize(
    ("newest", "missing"),
    [
        (5, "audit record 5 is missing at the end of the chain, although it was published"),
        (1, "audit records 1 to 5 are missing at the end of the chain, although they were published"),
    ],
)
async def test_a_missing_newest_record_shows_and_refuses_the_next(db, owner, audit, newest, missing):
    """The event of a record that was deleted from the end of the chain is in the outbox: the check reports it, and what
    would take its number is refused with a code.
    """
    await five_records(db, audit)
    await tamper(owner, f"DELETE FROM audit_log WHERE sequence >= {newest}")
    assert await breaches(db) == [missing]
    with capture_logs() as lines, pytest.raises(Problem) as refused:
        async with db.transaction() as tx:
            await audit.record(tx, actor="op", action="x.done", target="6")
    assert (refused.value.status, refused.value.code) == (503, "audit_chain_broken")
    assert f"audit record {newest} is missing" in refused.value.detail
    assert [(line["event"], line["missing"]) for line in lines] == [("audit chain broken", newest)]


def hashed(record: dict[str, object]) -> str:
    """The hash that a record on the topic would have."""
    return link_hash(AuditRecorded.model_validate({**record, "hash": GENESIS}).model_dump(mode="json"))


async def test_a_rewritten_record_breaks_the_next_link(db, owner, audit):
    """A record that was rewritten together with its hash no longer is the one that the next record names."""
    await five_records(db, audit)
    async with db.transaction() as tx:
        row = (await tx.execute(text("SELECT * FROM audit_log WHERE sequence = 3"))).one()
    record = {
        "service": "payouts", "sequence": 3, "at": row.at, "actor": "somebody", "action": row.action,
        "target": row.target, "reason": row.reason, "detail": row.detail,
        "correlation_id": row.correlation_id, "prev_hash": row.prev_hash,
    }  # fmt: skip
    change = f"UPDATE audit_log SET actor = 'somebody', hash = '{hashed(record)}' WHERE sequence = 3"
    await tamper(owner, change)
    assert await breaches(db) == [
        "audit record 4 breaks the chain",
        "audit record 3 is not the record that was published",
    ]


async def test_a_hole_with_mended_links_shows(db, owner, audit):
    """Links that fit do not hide that a number is missing."""
    await five_records(db, audit)
    async with db.transaction() as tx:
        first = (await tx.execute(text("SELECT hash FROM audit_log WHERE sequence = 1"))).scalar_one()
        row = (await tx.execute(text("SELECT * FROM audit_log WHERE sequence = 3"))).one()
    record = {
        "service": "payouts", "sequence": 3, "at": row.at, "actor": row.actor, "action": row.action,
        "target": row.target, "reason": row.reason, "detail": row.detail,
        "correlation_id": row.correlation_id, "prev_hash": first,
    }  # fmt: skip
    await tamper(
        owner,
        "DELETE FROM audit_log WHERE sequence IN (2, 4, 5)",
        f"UPDATE audit_log SET prev_hash = '{first}', hash = '{hashed(record)}' WHERE sequence = 3",
    )
    assert await breaches(db) == [
        "audit record 3 breaks the chain",
        "audit record 3 is not the record that was published",
        "audit records 4 to 5 are missing at the end of the chain, although they were published",
    ]


async def test_another_services_records_are_no_chain_of_ours(db, audit):
    """The service's name stands under each hash."""
    await five_records(db, audit)
    async with db.transaction() as tx:
        assert len(await verify_chain(tx, service="rewards")) == 5


async def tamper(owner: Database, *statements: str) -> None:
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        for statement in statements:
            await tx.execute(text(statement))
        await tx.execute(text("ALTER TABLE audit_log ENABLE TRIGGER USER"))


async def breaches(db: Database) -> list[str]:
    async with db.transaction() as tx:
        return await verify_chain(tx, service="payouts")


async def test_concurrent_audit_records_make_one_chain(db, audit):
    """Records written at the same time queue behind each other instead of forking the chain."""

    async def record(number: int) -> None:
        async with db.transaction() as tx:
            await audit.record(tx, actor="op", action="x.done", target=str(number))

    await asyncio.gather(*(record(number) for number in range(12)))
    async with db.transaction() as tx:
        assert await verify_chain(tx, service="payouts") == []
