"""The service as a process: migrate, serve, consume and publish over Kafka, SIGTERM."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError
from sqlalchemy import text

from prizewire_chassis.db import Database
from prizewire_contracts.topics import PAYOUTS, PLAYERS, REWARDS, SETTLEMENTS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.acl import IDENTITY_SOURCE
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.home import repository_root
from prizewire_devstack.ports import choose
from prizewire_devstack.stack.environment import Surroundings, serve_environment
from prizewire_devstack.testing import DatabaseFactory
from prizewire_devstack.waiting import eventually
from services.rewards.tests import rig
from services.rewards.tests.rig import START, Match, player_event

CONSUMERS = {"rewards.settlements": SETTLEMENTS, "rewards.payouts": PAYOUTS, "rewards.players": PLAYERS}


@dataclass
class Running:
    """A started service with its client."""

    process: subprocess.Popen[bytes]
    admin: httpx.AsyncClient
    log: Path


@pytest.fixture
async def running(
    make_database: DatabaseFactory, kafka_server: KafkaServer, keyring: Keyring, tmp_path: Path
) -> AsyncIterator[Running]:
    """The service with its own principal and role, over a migrated database."""
    database = make_database("rewards", migrated=True)
    await skip_existing_messages(kafka_server, database)
    port = choose(taken=set())
    environment = serve_environment(
        "rewards",
        around=Surroundings(
            keyring=keyring,
            assets_file=repository_root() / "assets.yaml",
            rails_file=tmp_path / "rails.yaml",
            stellar_url="http://127.0.0.1:1",
            log_level="INFO",
        ),
        database=database,
        kafka=kafka_server.login("rewards"),
        http_port=port,
    )
    log = tmp_path / "rewards.log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - started once, before anything else runs
            [sys.executable, "-m", "prizewire_rewards", "serve"], env=environment, stdout=out, stderr=out
        )
    headers = {"authorization": f"Bearer {keyring.token('admin', subject='boss')}"}
    async with httpx.AsyncClient(timeout=600, base_url=f"http://127.0.0.1:{port}", headers=headers) as admin:

        async def ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return (await admin.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready, deadline_s=600)
        yield Running(process, admin, log)
    if process.poll() is None:
        process.kill()
    process.wait(timeout=600)


async def skip_existing_messages(kafka_server: KafkaServer, database: DatabaseUrls) -> None:
    """Let the service's consumers begin after messages that tests of other services left on the shared broker."""
    begins = text(
        "INSERT INTO consumer_offsets (consumer, topic, partition, next_offset, last_hash, updated_at) "
        "VALUES (:consumer, :topic, :partition, :offset, :hash, now())"
    )
    db = Database(database.runtime, application_name="rewards-test", pool_size=1)
    consumer = AIOKafkaConsumer(**client_of(kafka_server, "rewards"), group_id=None)
    await consumer.start()
    try:
        for name, topic in CONSUMERS.items():
            places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            ends = {place: end for place, end in (await consumer.end_offsets(places)).items() if end}
            for place, offset in ends.items():
                consumer.assign([place])
                consumer.seek(place, offset - 1)
                last = await consumer.getone()
                values = {
                    "consumer": name,
                    "topic": place.topic,
                    "partition": place.partition,
                    "offset": offset,
                    "hash": hashlib.sha256(last.value or b"").digest(),
                }
                async with db.transaction() as tx:
                    await tx.execute(begins, values)
    finally:
        await consumer.stop()
        await db.close()


def client_of(kafka_server: KafkaServer, principal: str) -> dict[str, Any]:
    login = kafka_server.login(principal)
    return {
        "bootstrap_servers": login.bootstrap_servers,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": login.username,
        "sasl_plain_password": login.password,
    }


async def test_a_settled_round_on_kafka_becomes_winnings_and_an_event(
    running: Running, kafka_server: KafkaServer, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed settlement is credited and published on Kafka, facts of players come only from their source, and SIGTERM
    ends the service cleanly.
    """
    identity = MessageKey.from_json(keyring.message_key_file("identity").read_text())
    key = MessageKey.from_json(keyring.message_key_file("settlement").read_text())
    monkeypatch.setattr(rig, "make_key", lambda _: key)
    admin = running.admin
    campaign = (
        await admin.post(
            "/api/campaigns",
            json={"name": "cup", "asset": "USDC", "delivery": "wallet"},
            headers={"Idempotency-Key": "campaign-1"},
        )
    ).json()["id"]
    await admin.post(
        f"/api/campaigns/{campaign}/fund",
        json={"amount": "100.00", "reference": "wire"},
        headers={"Idempotency-Key": "fund-1"},
    )
    await admin.post(f"/api/campaigns/{campaign}/activate")
    match = Match(UUID(campaign), [("ann", "60.00"), ("bob", "30.00")], platform="10.00")
    producer = AIOKafkaProducer(**client_of(kafka_server, "settlement"), enable_idempotence=True, acks="all")
    await producer.start()
    for value in match.events():
        await producer.send_and_wait(SETTLEMENTS.name, key=match.correlation_id.encode(), value=value)
    await producer.stop()
    hours = (datetime.now(UTC) - START) / timedelta(hours=1)
    facts = player_event("ann", source=IDENTITY_SOURCE, hours=hours, device_hash="ab" * 32, key=identity)
    games = AIOKafkaProducer(**client_of(kafka_server, "game-server"))
    await games.start()
    with pytest.raises(TopicAuthorizationFailedError):
        await games.send_and_wait(PLAYERS.name, key=b"ann", value=facts)
    await games.stop()
    identity_source = AIOKafkaProducer(**client_of(kafka_server, "identity"))
    await identity_source.start()
    forged = player_event("ann", source=IDENTITY_SOURCE, hours=hours, kyc_state="verified", key=None)
    for value in (forged, facts):
        await identity_source.send_and_wait(PLAYERS.name, key=b"ann", value=value)
    await identity_source.stop()

    async def credited() -> bool:
        wallet = (await admin.get("/api/wallet", params={"player": "ann"})).json()
        return [balance["winnings"] for balance in wallet["balances"]] == ["60.00"]

    await eventually(credited, deadline_s=600)

    async def known() -> bool:
        return bool((await admin.get("/api/players/ann")).json().get("device_known"))

    await eventually(known, deadline_s=600)
    assert (await admin.get("/api/players/ann")).json()["kyc_state"] is None
    consumer = AIOKafkaConsumer(
        REWARDS.name, **client_of(kafka_server, "payouts"), auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    seen: list[str] = []

    async def published() -> bool:
        for batch in (await consumer.getmany(timeout_ms=500)).values():
            seen.extend(orjson.loads(message.value)["type"] for message in batch)
        return "prizewire.reward.allocated.v1" in seen

    await eventually(published, deadline_s=600)
    await consumer.stop()
    assert "prizewire.campaign.funded.v1" in seen
    checks = (await admin.get("/api/services/rewards/checks")).json()["checks"]
    assert [one for one in checks if not one["ok"]] == []
    assert "events.none_is_parked" in {one["name"] for one in checks}
    os.kill(running.process.pid, signal.SIGTERM)
    assert running.process.wait(timeout=600) == 0, running.log.read_text()


def test_settings_are_listed_as_json() -> None:
    """Every variable has its default and description, secrets no value."""
    done = subprocess.run(
        [sys.executable, "-m", "prizewire_rewards", "settings"], capture_output=True, text=True, check=True
    )
    rows = {row["name"]: row for row in orjson.loads(done.stdout)}
    assert rows["STELLAR_NETWORK_PASSPHRASE"]["description"]
    assert rows["STELLAR_NETWORK_PASSPHRASE"]["required"], (
        "an intent without a configured network would be useless"
    )
    assert rows["STELLAR_NETWORK_PASSPHRASE"]["default"] is None
    assert rows["DATABASE_URL"]["secret"]
    assert rows["DATABASE_URL"]["default"] is None
