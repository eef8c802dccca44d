"""The signer as a process, on real Kafka and PostgreSQL, under its own principal and runtime role."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from stellar_sdk import Asset

from prizewire_chassis.keys import load_message_key, load_trust
from prizewire_contracts.decode import decode
from prizewire_contracts.encode import EncodedEvent, encode
from prizewire_contracts.events.signing import (
    ClosedEvent,
    CloseRequestedEvent,
    SigningCompletedEvent,
    SigningRequestedEvent,
)
from prizewire_contracts.ids import slot_id
from prizewire_contracts.topics import SIGNING_REQUESTS, SIGNING_RESULTS
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.processes import ProcessSpec, Supervisor
from prizewire_devstack.components.stellar import PASSPHRASE, assets
from prizewire_devstack.home import repository_root
from prizewire_devstack.waiting import eventually
from prizewire_signer.settings import SignerSettings
from services.signer.tests import fakes


@pytest.fixture
async def producer(kafka_server: KafkaServer) -> AsyncIterator[AIOKafkaProducer]:
    login = kafka_server.login("payouts")
    made = AIOKafkaProducer(
        bootstrap_servers=login.bootstrap_servers,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=login.username,
        sasl_plain_password=login.password,
    )
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def results(kafka_server: KafkaServer) -> AsyncIterator[AIOKafkaConsumer]:
    login = kafka_server.login("payouts")
    consumer = AIOKafkaConsumer(
        SIGNING_RESULTS.name,
        bootstrap_servers=login.bootstrap_servers,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=login.username,
        sasl_plain_password=login.password,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    yield consumer
    await consumer.stop()


def requests_of(keyring: Keyring) -> tuple[list[EncodedEvent], str]:
    """A fitting signing request and the closing of a payout, by the keys of this stack."""
    now = datetime.now(UTC)
    now_s = int(now.timestamp())
    keys = keyring.stellar()
    payouts = load_message_key(keyring.message_key_file("payouts"))
    rewards = load_message_key(keyring.message_key_file("rewards"))
    (usdc,) = [one for one in assets(keys) if one.code == "USDC"]
    intent = fakes.intent(
        1,
        network=PASSPHRASE,
        issued_at=now_s,
        expires_at=now_s + 600,
        key_id=rewards.keyid,
    )
    operation = fakes.payment_of(intent, asset=Asset("USDC", usdc.issuer), source=keys.treasury.public_key)
    account = keys.channels[0].public_key
    envelope = fakes.transaction(
        [operation], source=account, network=PASSPHRASE, max_time=now_s + 300, sequence=7
    )
    ref = fakes.slot_ref(account=account, sequence=7).model_copy(
        update={"slot_id": slot_id(chain="stellar", network=PASSPHRASE, account=account, sequence=7)}
    )
    data = fakes.request(
        [intent],
        envelope=envelope,
        slot=ref,
        items=[fakes.signed_item(0, intent, key=rewards)],
        max_time=now_s + 300,
    )
    data = fakes.approve(data, key=payouts, key_id=payouts.keyid, network=PASSPHRASE)
    common: dict[str, Any] = {
        "service": "payouts",
        "version": 1,
        "causation_id": None,
        "now": now,
        "key": payouts,
    }
    slot = str(ref.slot_id)
    closing = fakes.close_requested(2)
    return [
        encode(SigningRequestedEvent, data, subject=slot, correlation_id=slot, **common),
        encode(
            CloseRequestedEvent,
            closing,
            subject=str(closing.payout_id),
            correlation_id="match-2",
            **common,
        ),
    ], envelope.hash_hex()


async def test_process_signs_what_comes_over_kafka(
    environment: dict[str, str],
    keyring: Keyring,
    producer: AIOKafkaProducer,
    results: AIOKafkaConsumer,
    devstack_directory: Path,
    devstack_supervisor: Supervisor,
) -> None:
    """Requests in, signed answers out, health and metrics over HTTP and nothing else, and a clean end on SIGTERM."""
    devstack_supervisor.start(
        ProcessSpec(
            name="signer",
            argv=(sys.executable, "-m", "prizewire_signer", "serve"),
            environment=environment,
            log_file=devstack_directory / "logs" / "signer.log",
            directory=devstack_directory,
        )
    )
    base = f"http://127.0.0.1:{environment['HTTP_PORT']}"
    await eventually(lambda: status(f"{base}/health/ready") == 200, deadline_s=600)
    messages, tx_hash = requests_of(keyring)
    for message in messages:
        await producer.send_and_wait(message.topic, key=message.key, value=message.value)
    assert messages[0].topic == SIGNING_REQUESTS.name
    found: dict[type, Any] = {}
    trust = load_trust(keyring.trust_file)
    async with asyncio.timeout(600):
        while len(found) < len(messages):
            record = await results.getone()
            event = decode(topic=SIGNING_RESULTS, value=record.value, trust=trust).event
            found[type(event)] = event
    assert found[SigningCompletedEvent].data.tx_hash == tx_hash
    assert len(found[SigningCompletedEvent].data.signatures) == 2
    asked = decode(topic=SIGNING_REQUESTS, value=messages[0].value, trust=trust).event.data
    assert found[SigningCompletedEvent].data.payout_ids == [item.payout_id for item in asked.items]
    assert found[SigningCompletedEvent].data.max_time == asked.max_time
    assert found[ClosedEvent].correlationid == "match-2"
    assert 'prizewire_signer_signatures_total{kind="payment"} 1.0' in read(f"{base}/metrics")
    assert status(f"{base}/api/services/signer/checks") == 404
    assert status(f"{base}/api/services/signer/stuck-events") == 404
    devstack_supervisor.stop("signer")
    log = (devstack_directory / "logs" / "signer.log").read_text()
    assert json.loads(log.splitlines()[-1])["message"] == "stopped"
    assert "invariant broken" not in log


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SIGNER_ALLOW_HOT_KEY", "false", "SIGNER_ALLOW_HOT_KEY=true"),
        ("PAYOUT_SOURCE_ACCOUNT", fakes.ATTACKER.public_key, "PAYOUT_SOURCE_ACCOUNT"),
        ("STELLAR_ASSETS", "USDC", "STELLAR_ASSETS"),
        ("SIGNER_POLICY_FILE", "none.yaml", "none.yaml"),
        ("PAYOUT_HOT_SIGNER_SECRET_FILE", "", "SIGNER_BACKEND=hot_key needs PAYOUT_HOT_SIGNER_SECRET_FILE"),
        ("SIGNER_BACKEND", "openbao", "OPENBAO_KEYS names no key"),
        (
            "STELLAR_NETWORK_PASSPHRASE",
            "Public Global Stellar Network ; September 2015",
            "SIGNER_ALLOW_HOT_KEY_ON_PUBLIC",
        ),
    ],
)
async def test_unsafe_configuration_does_not_start(
    environment: dict[str, str], tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    """The process ends with a sentence about the fault, and nothing was signed or stored."""
    from prizewire_chassis.lifecycle import ConfigurationError, open_runtime
    from prizewire_signer.app import build

    changed = {**environment, name: value}
    settings = SignerSettings(**{key.lower(): text for key, text in changed.items()})  # type: ignore[arg-type]  # texts, as from the environment
    async with open_runtime(settings, service="signer") as runtime:
        with pytest.raises(ConfigurationError, match=sentence):
            await build(runtime)


async def test_an_asset_with_other_decimals_does_not_start(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The decimals of an asset are fixed at the first start: limits and intents are counted in its smallest unit."""
    from prizewire_chassis.lifecycle import ConfigurationError, check_database, open_runtime
    from prizewire_signer.app import build

    assets = tmp_path / "assets.yaml"
    assets.write_text((repository_root() / "assets.yaml").read_text())
    changed = {**environment, "ASSETS_FILE": str(assets)}
    settings = SignerSettings(**{key.lower(): text for key, text in changed.items()})  # type: ignore[arg-type]  # texts, as from the environment
    async with open_runtime(settings, service="signer") as runtime:
        await check_database(runtime, await build(runtime))
        assets.write_text(assets.read_text().replace("SEASON: {decimals: 0", "SEASON: {decimals: 1"))
        with pytest.raises(ConfigurationError, match=r"assets\.yaml changed SEASON"):
            await check_database(runtime, await build(runtime))


def status(url: str) -> int:
    try:
        return httpx.get(url, timeout=600).status_code
    except httpx.TransportError:
        return 0


def read(url: str) -> str:
    return httpx.get(url, timeout=600).text
