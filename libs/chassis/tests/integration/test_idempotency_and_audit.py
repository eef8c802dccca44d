"""One effect for each idempotency key; an audit chain in which a changed row shows."""

import asyncio

import pytest
from sqlalchemy import text

from prizewire_chassis.audit import Audit, verify_chain
from prizewire_chassis.auth import Role
from prizewire_chassis.db import Database
from prizewire_chassis.idempotency import idempotent
from prizewire_chassis.problems import Problem


async def once(db: Database, clock, *, key: str | None, body: dict[str, str]):
    async with db.transaction() as tx:

        async def work(identifier):
            await tx.execute(text("INSERT INTO effects (event_id) VALUES (:id)"), {"id": str(identifier)})
            return 201, {"id": str(identifier)}

        return await idempotent(
            tx, actor="a", route="POST /x", key=key, body=body, now=clock.now(), work=work
        )


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
    [(None, "idempotency_key_required"), ("a b", "idempotency_key_invalid"), ("", "idempotency_key_invalid")],
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


async def test_a_changed_audit_row_shows(db, outbox, clock, make_database):
    """The chain verifies, cannot be changed by the service, and a change by the owner is found."""
    audit = Audit(service="payouts", outbox=outbox, clock=clock)
    for number in range(3):
        async with db.transaction() as tx:
            await audit.record(
                tx, actor="op", action="x.done", target=str(number), detail={"n": number, "role": Role.ADMIN}
            )
    async with db.transaction() as tx:
        assert await verify_chain(tx, service="payouts") == []
        assert (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 3
    for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(Exception, match=r"append-only|permission denied"):
            async with db.transaction() as tx:
                await tx.execute(text(statement))


async def test_concurrent_audit_records_make_one_chain(db, outbox, clock):
    """Records written at the same time queue behind each other instead of forking the chain."""
    audit = Audit(service="payouts", outbox=outbox, clock=clock)

    async def record(number: int) -> None:
        async with db.transaction() as tx:
            await audit.record(tx, actor="op", action="x.done", target=str(number))

    await asyncio.gather(*(record(number) for number in range(12)))
    async with db.transaction() as tx:
        assert await verify_chain(tx, service="payouts") == []
