"""The checks of a service as a job."""

import time
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from libs.chassis.tests.integration.inbox_rig import TOPIC, held
from prizewire_chassis.checks import Check, checks_job, rows_of, service_checks
from prizewire_chassis.checks.service_checks import outbox_check
from prizewire_chassis.db import Database
from prizewire_contracts.decode import MESSAGE_BYTES_MAX


def breaches(name):
    return REGISTRY.get_sample_value("prizewire_invariant_breaches", {"name": name})


def checked_at(name):
    return REGISTRY.get_sample_value("prizewire_invariant_checked_timestamp_seconds", {"name": name})


async def test_the_job_reports_breaches_as_a_metric(db):
    """What is broken is counted, and what is mended is zero again."""
    found = ["one", "two"]

    async def run(tx):
        await tx.execute(text("SELECT 1"))
        return list(found)

    job = checks_job(db=db, checks=[Check("reported", run)], interval_s=1)
    before = time.time()
    assert await job.run() is False
    assert breaches("reported") == 2
    assert before <= checked_at("reported") <= time.time()
    found.clear()
    await checks_job(db=db, checks=[Check("reported", run)], interval_s=1).run()
    assert breaches("reported") == 0


async def test_a_check_that_fails_does_not_keep_the_others_from_their_turn(db):
    """The rest is looked at, and the job fails, so that it is counted as one that does."""

    async def broken(tx):
        await tx.execute(text("SELECT 1 FROM nowhere"))
        return []

    async def run(_):
        return ["off"]

    job = checks_job(db=db, checks=[Check("broken", broken), Check("after", run)], interval_s=1)
    with pytest.raises(ExceptionGroup):
        await job.run()
    assert breaches("after") == 1
    assert breaches("broken") is None
    assert checked_at("broken") is None, "a check that failed has found nothing"


async def test_a_check_may_take_longer_than_other_transactions(urls, db):
    """It reads whole tables, and no limit ends it."""
    brief = Database(urls.runtime, application_name="brief", transaction_max_s=1.0)

    async def long(tx):
        await tx.execute(text("SELECT pg_sleep(1.2)"))
        return ["read"]

    await checks_job(db=brief, checks=[Check("long", long)], interval_s=1).run()
    await brief.close()
    assert breaches("long") == 1


async def test_a_slow_check_waits_longer_before_it_runs_again(db, monkeypatch):
    """One that took a while is not asked again at the next turn; a quick one is."""
    asked = []

    def named(name):
        async def run(_):
            asked.append(name)
            return []

        return Check(name, run)

    now = [100.0]
    monkeypatch.setattr(service_checks.time, "monotonic", lambda: now[0])

    async def slow(_):
        asked.append("slow")
        now[0] += 10
        return []

    job = checks_job(db=db, checks=[Check("slow", slow), named("quick")], interval_s=1)
    await job.run()
    now[0] += 150
    await job.run()
    assert asked == ["slow", "quick", "quick"]
    now[0] += 60
    await job.run()
    assert asked[-2:] == ["slow", "quick"]


async def test_an_event_that_was_to_be_published_is_missed(db, owner, outbox):
    """An event that was deleted before it was published is a breach; the others are not."""
    async with db.transaction() as tx:
        await outbox.add(tx, [held(outbox, uuid4(), 1), held(outbox, uuid4(), 1)])
    check = outbox_check("payouts")
    async with db.transaction() as tx:
        assert await check.run(tx) == []
        assert await check.count(tx) == 2
    async with owner.transaction() as tx:
        await tx.execute(text("DELETE FROM outbox WHERE id = (SELECT max(id) FROM outbox)"))
    async with db.transaction() as tx:
        [breach] = await check.run(tx)
    assert breach.endswith("of the outbox was not published, and its row is missing")


@pytest.mark.parametrize(
    ("topic", "size"),
    [("prizewire.nowhere.v1", 10), ("prizewire.rewards.v1", 10), (TOPIC, MESSAGE_BYTES_MAX + 1)],
)
async def test_an_event_that_kafka_refuses_is_a_breach(db, outbox, topic, size):
    """A topic that is unknown or of another service, or too many bytes: the sentence names the row."""
    insert = (
        "WITH made AS (INSERT INTO outbox (topic, key, value, event_id, created_at) VALUES "
        "(:topic, 'k', convert_to(repeat('x', :size), 'UTF8'), 'e-1', now()) RETURNING id) "
        "INSERT INTO outbox_waiting (id) SELECT id FROM made"
    )
    async with db.transaction() as tx:
        await outbox.add(tx, [held(outbox, uuid4(), 1)])
        await tx.execute(text(insert), {"topic": topic, "size": size})
        number = (await tx.execute(text("SELECT id FROM outbox WHERE event_id = 'e-1'"))).scalar_one()
    async with db.transaction() as tx:
        [breach] = await outbox_check("payouts").run(tx)
    assert breach.startswith(
        f"event {number} of the outbox (e-1, {size} bytes, topic {topic!r}) cannot be published"
    )


async def test_rows_are_counted(db):
    """As many as the table has."""
    async with db.transaction() as tx:
        await tx.execute(text("INSERT INTO effects (note) VALUES ('a'), ('b')"))
        assert await rows_of("effects")(tx) == 2
