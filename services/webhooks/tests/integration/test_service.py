"""The whole service as its own process, on real Kafka and PostgreSQL."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from standardwebhooks import Webhook

from prizewire_chassis.clock import ManualClock, SystemClock
from prizewire_chassis.db import Database
from prizewire_chassis.keys import load_message_key, load_trust
from prizewire_chassis.outbox import HEADERS, Outbox
from prizewire_contracts.events.payouts import PayoutPaidEvent
from prizewire_contracts.topics import PAYOUTS, PROVIDER_WEBHOOKS
from prizewire_devstack.home import repository_root
from prizewire_devstack.ports import choose
from prizewire_devstack.stack.environment import Surroundings, rails, serve_environment
from prizewire_devstack.waiting import eventually
from prizewire_rail_fake import signed_webhook
from prizewire_rail_fake.journal import Entry
from prizewire_webhooks.outbound.adapters.secrets import SecretBox
from prizewire_webhooks.outbound.adapters.sender import AddressGuard, HttpSender
from prizewire_webhooks.outbound.domain.decisions import LEASE
from prizewire_webhooks.outbound.domain.invariants import Invariant
from prizewire_webhooks.outbound.jobs import Deliverer
from prizewire_webhooks.outbound.messages import EventVerifier
from prizewire_webhooks.outbound.storage import open_unit_of_work
from services.webhooks.tests.conftest import ANY_TARGET, paid_event
from services.webhooks.tests.fakes import Receiver


class Service:
    """One `serve` process with its surroundings."""

    def __init__(self, environment: dict[str, str], log: Path, *, token: str) -> None:
        self.environment = environment
        self.log = log
        self.database_url = Path(environment["DATABASE_URL_FILE"]).read_text().strip()
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{environment['HTTP_PORT']}"
        self.client = httpx.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=600
        )

    async def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [sys.executable, "-m", "prizewire_webhooks", "serve"],
                env=self.environment, stdout=output, stderr=output,
            )  # fmt: skip
        await eventually(self.ready)

    async def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return (await self.client.get("/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=600)


@pytest.fixture
async def service(make_database, kafka_server, keyring, tmp_path) -> AsyncIterator[Service]:
    rails_file = tmp_path / "rails.yaml"
    rails_file.write_text(rails(tmp_path, webhook_secret_file=keyring.fake_webhook_secret_file))
    environment = serve_environment(
        "webhooks",
        around=Surroundings(
            keyring=keyring,
            assets_file=repository_root() / "assets.yaml",
            rails_file=rails_file,
            stellar_url="http://127.0.0.1:1",
            log_level="INFO",
        ),
        database=make_database("webhooks", migrated=True),
        kafka=kafka_server.login("webhooks"),
        http_port=choose(taken=set()),
    )
    made = Service(environment, tmp_path / "serve.log", token=keyring.token("admin", subject="studio"))
    await made.start()
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    await made.client.aclose()


@pytest.fixture
async def publish(kafka_server, keyring):
    """Publishes payout.paid as payouts does, signed with this session's key of payouts."""
    login = kafka_server.login("payouts")
    producer = AIOKafkaProducer(
        bootstrap_servers=login.bootstrap_servers, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=login.username, sasl_plain_password=login.password, enable_idempotence=True,
    )  # fmt: skip
    await producer.start()
    outbox = Outbox(
        service="payouts", key=load_message_key(keyring.message_key_file("payouts")), clock=SystemClock()
    )

    async def send(correlation_id: str) -> str:
        data = PayoutPaidEvent.model_validate_json(paid_event(correlation_id=correlation_id).value).data
        event = outbox.event(
            PayoutPaidEvent, data, subject=str(data.payout_id), version=1, correlation_id=correlation_id
        )
        await producer.send_and_wait(event.topic, key=event.key, value=event.value, headers=HEADERS)
        return event.event_id

    yield send
    await producer.stop()


async def test_from_kafka_to_the_subscriber(service: Service, publish, receiver: Receiver):
    """A subscription over HTTP, payout.paid on Kafka: the subscriber verifies it; lineage and checks show it."""
    subscription = {"url": receiver.url, "event_types": ["payout.paid"]}
    made = (await service.client.post("/api/webhooks", json=subscription)).json()
    lane = f"lane-{uuid4()}"
    sent = [await publish(lane) for _ in range(5)]
    await eventually(lambda: len([r for r in receiver.seen if r.event_id in sent]) == 5)
    mine = [request for request in receiver.seen if request.event_id in sent]
    assert [request.event_id for request in mine] == sent
    for request in mine:
        assert Webhook(made["secret"]).verify(request.body, dict(request.headers))["correlationid"] == lane

    async def published() -> bool:
        answer = await service.client.get(f"/api/services/webhooks/lineage/{lane}")
        states = [entry["detail"]["state"] for entry in answer.json()["entries"]]
        return states == ["delivered"] * 5

    await eventually(published)
    checks = (await service.client.get("/api/services/webhooks/checks")).json()["checks"]
    every_services = {
        "events.none_is_parked",
        "events.none_contradicts",
        "outbox.waiting_is_there",
        "audit.chain",
    }
    assert {check["name"] for check in checks} == {*Invariant, *every_services}
    assert [check for check in checks if not check["ok"]] == []
    metrics = (await service.client.get("/metrics")).text
    assert 'prizewire_webhook_attempts_total{outcome="delivered"}' in metrics
    unknown = await service.client.post("/api/payments/webhook/stellar", content=b"{}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "rail_unknown")
    assert service.end(signal.SIGTERM) == 0
    log = service.log.read_text()
    assert made["secret"] not in log


async def test_kill_9_in_the_middle_of_a_delivery_loses_nothing(
    service: Service, publish, receiver: Receiver, keyring
):
    """The subscriber saw a request whose sender was killed: once the lease ends it comes again, same webhook-id."""
    import asyncio

    subscription = {"url": receiver.url, "event_types": ["payout.paid"]}
    made = (await service.client.post("/api/webhooks", json=subscription)).json()
    forever = asyncio.Event()

    async def never_answer(_):
        await forever.wait()
        return 204, {}, b""

    receiver.answer = never_answer
    event_id = await publish(f"lane-{uuid4()}")
    await eventually(lambda: event_id in [request.event_id for request in receiver.seen])
    service.end(signal.SIGKILL)
    forever.set()
    receiver.answer = lambda _: (204, {}, b"")
    clock = ManualClock(datetime.now(UTC))
    db = Database(service.database_url, application_name="test")
    sender = HttpSender(
        box=SecretBox(keyring.webhook_encryption_key_file.read_text().strip()),
        guard=AddressGuard(allow_loopback=True, rules=ANY_TARGET),
        clock=clock,
        connections=4,
    )
    verifier = EventVerifier(load_trust(keyring.trust_file))
    other = Deliverer(
        db=db,
        unit_of_work=open_unit_of_work,
        verifier=verifier,
        sender=sender,
        clock=clock,
        audit=None,
        slots=4,
    )
    await other.run()
    assert [request.event_id for request in receiver.seen].count(event_id) == 1
    clock.advance(LEASE)
    await other.run()
    await other.idle()
    again = [request for request in receiver.seen if request.event_id == event_id]
    assert len(again) == 2
    assert Webhook(made["secret"]).verify(again[1].body, dict(again[1].headers))["id"] == event_id
    await sender.close()
    await db.close()


def test_the_topic_is_the_one_consumed():
    """The consumer's group begins with the service's principal, as the broker's access table wants it."""
    from prizewire_webhooks.outbound.consumers import consumer_specs

    specs = consumer_specs(unit_of_work=open_unit_of_work, clock=SystemClock(), wake=lambda: None)
    assert [(spec.name, spec.topic) for spec in specs] == [("webhooks.payouts", PAYOUTS)]


async def test_a_signed_webhook_becomes_an_event(service: Service, keyring, kafka_server):
    """What the fake rail signs is verified without a token, stored before the answer, and published once, under the
    rail's name.
    """
    paid = Entry(
        key=uuid4(), payout_id=uuid4(), attempt_no=1, asset="EURC", amount="5.00", state="paid", code=None,
        scenario="success", looks=0,
    )  # fmt: skip
    secret = keyring.fake_webhook_secret_file.read_text().strip()
    body, headers = signed_webhook(entry=paid, secret=secret, at=datetime.now(UTC))
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=600) as vendor:
        for _ in range(2):
            answer = await vendor.post("/api/payments/webhook/fake", content=body, headers=headers)
            assert (answer.status_code, answer.json()) == (200, {"received": True})
        stale, old = signed_webhook(entry=paid, secret=secret, at=datetime.now(UTC) - timedelta(minutes=6))
        answer = await vendor.post("/api/payments/webhook/fake", content=stale, headers=old)
        assert (answer.status_code, answer.json()["code"]) == (401, "timestamp_stale")
        answer = await vendor.post("/api/payments/webhook/stellar", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "rail_unknown")
    login = kafka_server.login("payouts")
    consumer = AIOKafkaConsumer(
        PROVIDER_WEBHOOKS.name, bootstrap_servers=login.bootstrap_servers, security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512", sasl_plain_username=login.username, sasl_plain_password=login.password,
        auto_offset_reset="earliest",
    )  # fmt: skip
    await consumer.start()
    try:
        published: list[tuple[str, str | None]] = []

        async def arrived() -> bool:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                data = [orjson.loads(record.value)["data"] for record in batch]
                published.extend((one["provider"], one["provider_key"]) for one in data)
            return ("fake", str(paid.key)) in published

        await eventually(arrived, deadline_s=600)
        assert published.count(("fake", str(paid.key))) == 1
    finally:
        await consumer.stop()
