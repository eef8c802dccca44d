"""A whole service over the chassis: Kafka in, transaction, outbox, Kafka out, HTTP, and a shutdown that drains."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from litestar import get, post
from prometheus_client import REGISTRY
from sqlalchemy import text

from prizewire_chassis.auth import Role, require
from prizewire_chassis.checks import Check
from prizewire_chassis.http import LineageEntry
from prizewire_chassis.inbox import ConsumerSpec, strict
from prizewire_chassis.jobs import Job
from prizewire_chassis.lifecycle import Built, open_runtime, serve
from prizewire_chassis.lifecycle.process import _Process
from prizewire_chassis.testing import make_token
from prizewire_contracts.events.payouts import PayoutHeld, PayoutHeldEvent
from prizewire_contracts.topics import PAYOUTS
from prizewire_devstack.waiting import eventually


@get("/api/boom", guards=[require(Role.PLAYER)])
async def boom() -> None:
    raise RuntimeError("a secret cause")


async def _lineage(tx, correlation_id):
    from datetime import UTC, datetime

    return [LineageEntry(datetime.now(UTC), "rewards", "test", correlation_id, "seen")]


async def _breach(tx):
    return ["one is off"]


@pytest.fixture
async def service(settings, handler):
    spec = ConsumerSpec(f"rewards.test-{uuid4().hex[:8]}", PAYOUTS, handler, strict)
    async with _running(settings, [spec]) as running:
        yield running


@pytest.fixture
async def idle_service(settings):
    """A service without consumers: none of its stuck events are messages that other tests sent."""
    async with _running(settings, []) as running:
        yield running


@asynccontextmanager
async def _running(settings, specs):
    async with open_runtime(settings, service="rewards") as runtime:
        built = Built(controllers=[boom], lineage=_lineage, checks=[Check("sums", _breach)], specs=specs)
        process = _Process(runtime, built, frozenset({"http", "consumers", "relay", "jobs"}))
        await process.start()
        async with httpx.AsyncClient(
            timeout=600, base_url=f"http://127.0.0.1:{settings.http_port}"
        ) as client:
            await eventually(lambda: _ready(client))
            yield process, client
        await process.stop()


async def _ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


def login_of(kafka_server, principal: str) -> dict[str, str]:
    """How a client logs in."""
    login = kafka_server.login(principal)
    return {
        "bootstrap_servers": login.bootstrap_servers,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": login.username,
        "sasl_plain_password": login.password,
    }


async def sent(kafka_server, events) -> None:
    """Publish events of payouts."""
    producer = AIOKafkaProducer(**login_of(kafka_server, "payouts"))
    await producer.start()
    for event in events:
        await producer.send_and_wait(PAYOUTS.name, key=event.key, value=event.value)
    await producer.stop()


def auth(*roles: str) -> dict[str, str]:
    return {"authorization": f"Bearer {make_token(subject='p1', roles=roles)}"}


async def test_messages_become_effects_and_headers_cannot_stop_them(service, db, kafka_server, outbox):
    """Events from real Kafka are applied once, even with record headers that are not text."""
    producer = AIOKafkaProducer(**login_of(kafka_server, "payouts"))
    await producer.start()
    wanted = []
    for _ in range(20):
        payout = uuid4()
        event = outbox.event(
            PayoutHeldEvent, PayoutHeld(payout_id=payout, reason="x"), subject=str(payout), version=1, correlation_id="c"
        )  # fmt: skip
        wanted.append(event.event_id)
        for _ in range(2):
            await producer.send(PAYOUTS.name, key=b"c", value=event.value, headers=[("bad", b"\xff\xfe")])
    await producer.flush()
    await producer.stop()

    async def applied() -> bool:
        async with db.transaction() as tx:
            rows = await tx.execute(text("SELECT event_id FROM effects"))
            return sorted(row.event_id for row in rows) == sorted(wanted)

    await eventually(applied)


async def test_a_broker_that_answers_keeps_the_age_of_the_last_poll_small(service):
    """The real client stamps answers of idle topics too, and the gauge is served with the other metrics."""
    process, client = service
    (subscriber,) = process.broker.subscribers

    def answered() -> bool:
        consumer = subscriber.consumer
        return any(consumer.last_poll_timestamp(partition) for partition in consumer.assignment())

    await eventually(answered)
    (spec,) = process.built.specs
    text_ = (await client.get("/metrics")).text
    wanted = f'prizewire_consumer_poll_age_seconds{{consumer="{spec.name}"}} '
    (line,) = [line for line in text_.splitlines() if line.startswith(wanted)]
    assert float(line.removeprefix(wanted)) < 30


async def test_guarded_and_open_routes(idle_service):
    """Tokens, roles, problem details, lineage, checks, metrics and the OpenAPI document."""
    _, client = idle_service
    assert (await client.get("/api/services/rewards/checks")).json()["code"] == "unauthenticated"
    assert (await client.get("/api/services/rewards/checks", headers=auth("player"))).json()[
        "code"
    ] == "forbidden"
    bad = {"authorization": "Bearer " + make_token(subject="p", roles=["admin"], audience="other")}
    answer = await client.get("/api/services/rewards/checks", headers=bad)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    checks = (await client.get("/api/services/rewards/checks", headers=auth("operator"))).json()
    assert checks["checks"] == [
        {"name": "sums", "ok": False, "breaches": ["one is off"], "looked_at": None},
        {"name": "events.none_is_parked", "ok": True, "breaches": [], "looked_at": 0},
        {"name": "events.none_contradicts", "ok": True, "breaches": [], "looked_at": 0},
        {"name": "outbox.waiting_is_there", "ok": True, "breaches": [], "looked_at": 0},
        {"name": "audit.chain", "ok": True, "breaches": [], "looked_at": 0},
    ]
    lineage = (await client.get("/api/services/rewards/lineage/c-9", headers=auth("admin"))).json()
    assert lineage["entries"][0]["id"] == "c-9"
    missing = await client.get("/nowhere", headers=auth("admin"))
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.headers["content-type"] == "application/problem+json"
    failed = await client.get("/api/boom", headers=auth("player"))
    assert (failed.status_code, failed.json()["code"]) == (500, "internal_error")
    assert "secret" not in failed.text
    assert "/api/boom" in (await client.get("/schema/openapi.json")).json()["paths"]

    async def checked() -> bool:
        """The checks run as a job too."""
        metrics = (await client.get("/metrics")).text
        assert "prizewire_http_requests_total" in metrics
        gauges = ('breaches{name="sums"} 1.0', 'breaches{name="audit.chain"} 0.0')
        return all(f"prizewire_invariant_{gauge}" in metrics for gauge in gauges)

    await eventually(checked)
    stuck = await client.get("/api/services/rewards/stuck-events", headers=auth("operator"))
    assert stuck.json() == {"items": [], "next_cursor": None}
    lost = await client.post("/api/services/rewards/stuck-events/9/replay", headers=auth("operator"))
    assert (lost.status_code, lost.json()["code"]) == (404, "not_found")


async def test_a_batch_that_was_not_applied_is_delivered_again(
    settings, db, handler, make_spec, kafka_server, outbox
):
    """A service that stops while its database is unavailable ends soon, acknowledges nothing, and skips nothing: the next
    process of the group processes every event once.
    """
    payout = uuid4()
    events = [
        outbox.event(
            PayoutHeldEvent, PayoutHeld(payout_id=payout, reason="x"), subject=str(payout), version=version,
            correlation_id=str(payout),
        )
        for version in (1, 2, 3)
    ]  # fmt: skip
    mine = {event.event_id for event in events}
    await sent(kafka_server, events)
    seen: list[str] = []

    async def away(tx, batch):
        seen.extend(item.event.id for item in batch)
        if mine.intersection(seen):
            raise asyncpg.CannotConnectNowError("starting up")
        return {}

    group = f"rewards.test-{uuid4().hex[:8]}"
    spec = ConsumerSpec(group, PAYOUTS, away, strict)
    async with open_runtime(settings, service="rewards") as runtime:
        process = _Process(runtime, Built(specs=[spec]), frozenset({"consumers"}))
        await process.start()
        await eventually(lambda: len(mine.intersection(seen)) > 0)
        await asyncio.wait_for(process.stop(), timeout=600)
        assert await runtime.health.failing() == {"service": "stopping"}
    async with open_runtime(settings, service="rewards") as runtime:
        spec = ConsumerSpec(group, PAYOUTS, handler, strict)
        process = _Process(runtime, Built(specs=[spec]), frozenset({"consumers"}))
        await process.start()

        async def applied() -> list[str]:
            async with db.transaction() as tx:
                rows = await tx.execute(text("SELECT event_id FROM effects ORDER BY n"))
                return [row.event_id for row in rows if row.event_id in mine]

        async def all_are() -> bool:
            return len(await applied()) >= len(events)

        await eventually(all_are)
        await process.stop()
        assert await applied() == [event.event_id for event in events]


async def test_a_group_with_moved_offsets_misses_no_message(settings, db, handler, kafka_server, outbox):
    """A person with the login of a service may join its group, read and commit. The service starts at the offset of its
    database, processes all messages, and reports how far Kafka was ahead.
    """
    payout = uuid4()
    events = [
        outbox.event(
            PayoutHeldEvent, PayoutHeld(payout_id=payout, reason="x"), subject=str(payout), version=version,
            correlation_id=str(payout),
        )
        for version in (1, 2, 3)
    ]  # fmt: skip
    await sent(kafka_server, events)
    group = f"rewards.test-{uuid4().hex[:8]}"
    other = AIOKafkaConsumer(
        PAYOUTS.name, group_id=group, enable_auto_commit=False, **login_of(kafka_server, "rewards")
    )
    await other.start()
    await eventually(lambda: len(other.assignment()) == PAYOUTS.partitions)
    await other.commit(await other.end_offsets(other.assignment()))
    await other.stop()
    async with open_runtime(settings, service="rewards") as runtime:
        spec = ConsumerSpec(group, PAYOUTS, handler, strict)
        process = _Process(runtime, Built(specs=[spec]), frozenset({"consumers"}))
        await process.start()

        async def all_are() -> bool:
            async with db.transaction() as tx:
                rows = await tx.execute(text("SELECT event_id FROM effects ORDER BY n"))
                return {event.event_id for event in events} <= {row.event_id for row in rows}

        await eventually(all_are)
        await process.stop()
    assert REGISTRY.get_sample_value("prizewire_consumer_rewound_total", {"consumer": group}) >= len(events)


async def test_events_of_the_last_run_of_a_job_are_sent(settings, db, kafka_server):
    """A job that is under way when the stop comes is finished, and its events leave before the end."""
    begun, stopping = asyncio.Event(), asyncio.Event()
    async with open_runtime(settings, service="rewards") as runtime:

        async def run() -> bool:
            begun.set()
            await stopping.wait()
            async with runtime.db.transaction() as tx:
                await runtime.audit.record(tx, actor="op", action="x.done", target="t")
            return False

        process = _Process(runtime, Built(jobs=[Job("last", 3600.0, run)]), frozenset({"jobs", "relay"}))
        await process.start()
        await begun.wait()
        ending = asyncio.create_task(process.stop())
        await eventually(lambda: runtime.health.stopping)
        stopping.set()
        await ending
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 1
        assert (await tx.execute(text("SELECT count(*) FROM outbox_waiting"))).scalar_one() == 0


async def test_requests_are_answered_while_other_replicas_take_the_partitions(settings, db, handler):
    """At a stop consumers and jobs end at once. HTTP goes on for HTTP_DRAIN_S, and the relay publishes what it commits."""
    settings = settings.model_copy(update={"http_drain_s": 60.0})
    spec = ConsumerSpec(f"rewards.test-{uuid4().hex[:8]}", PAYOUTS, handler, strict)
    async with open_runtime(settings, service="rewards") as runtime:

        @post("/api/done", guards=[require(Role.PLAYER)], status_code=200)
        async def done() -> None:
            async with runtime.db.transaction() as tx:
                await runtime.audit.record(tx, actor="op", action="x.done", target="t")

        built = Built(controllers=[done], specs=[spec])
        process = _Process(runtime, built, frozenset({"http", "consumers", "relay", "jobs"}))
        await process.start()
        (subscriber,) = process.broker.subscribers
        assert subscriber.running
        stopping = asyncio.create_task(process.stop())
        await eventually(lambda: not subscriber.running)
        await eventually(lambda: all(task.done() for task in process.jobs._tasks))
        async with httpx.AsyncClient(
            timeout=600, base_url=f"http://127.0.0.1:{settings.http_port}"
        ) as client:
            assert (await client.get("/health/ready")).json()["failing"] == {"service": "stopping"}
            answer = await client.post("/api/done", headers=auth("player"))
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert not stopping.done()
        process.server.should_exit = True
        await stopping
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 1
        assert (await tx.execute(text("SELECT count(*) FROM outbox_waiting"))).scalar_one() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_service_after_the_work_under_way(settings, number):
    """SIGTERM and SIGINT end the process in order: the run of a job that began is finished."""
    handled: list[str] = []
    begun = asyncio.Event()
    before = signal.signal(number, lambda *_: handled.append("nobody listened"))
    try:
        async with open_runtime(settings, service="rewards") as runtime:

            async def run() -> bool:
                begun.set()
                await eventually(lambda: runtime.health.stopping)
                handled.append("finished")
                return False

            built = Built(jobs=[Job("last", 3600.0, run)])
            serving = asyncio.create_task(serve(runtime, built, roles=frozenset({"jobs"})))
            await begun.wait()
            os.kill(os.getpid(), number)
            await asyncio.wait_for(serving, timeout=600)
        assert handled == ["finished"]
    finally:
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, before)


async def test_the_outbox_is_drained_at_shutdown(settings, db, handler, kafka_server):
    """What was committed just before the stop is on Kafka when the service has ended."""
    spec = ConsumerSpec(f"rewards.test-{uuid4().hex[:8]}", PAYOUTS, handler, strict)
    async with open_runtime(settings, service="rewards") as runtime:
        process = _Process(runtime, Built(specs=[spec]), frozenset({"consumers", "relay"}))
        await process.start()
        async with runtime.db.transaction() as tx:
            await runtime.audit.record(tx, actor="op", action="x.done", target="t")
        await process.stop()
    async with db.transaction() as tx:
        row = (await tx.execute(text("SELECT value FROM outbox"))).one()
        assert (await tx.execute(text("SELECT count(*) FROM outbox_waiting"))).scalar_one() == 0
    assert orjson.loads(bytes(row.value))["type"] == "prizewire.audit.recorded.v1"
