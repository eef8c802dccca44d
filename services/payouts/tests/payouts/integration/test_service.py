"""The service as a process: migrate, serve, Kafka in and out, kill -9, SIGTERM."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from prizewire_chassis.clock import ManualClock
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.keys import read_secret
from prizewire_chassis.lifecycle import ConfigurationError, check_database, command, main, open_runtime
from prizewire_chassis.testing import token_reader
from prizewire_contracts.topics import PAYOUTS, REWARDS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.stellar import PASSPHRASE
from prizewire_devstack.home import repository_root
from prizewire_devstack.ports import choose
from prizewire_devstack.stack.environment import Surroundings, serve_environment
from prizewire_devstack.testing import DatabaseFactory
from prizewire_devstack.waiting import eventually
from prizewire_payouts.app import build
from prizewire_payouts.files import check_files
from prizewire_payouts.methods.adapters import DetailsVault
from prizewire_payouts.payouts.storage.counting import Beginning
from prizewire_payouts.settings import PayoutSettings
from prizewire_rail_fake import Journal
from services.payouts.tests import rig as rigs
from services.payouts.tests.http import as_, create
from services.payouts.tests.rig import Rig

PAYOUTS_N = 60
LATENCY_MS = 40


class Service:
    """The process, which a test may kill and start again."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = environment
        self.log = folder / "payouts.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{environment['HTTP_PORT']}"

    async def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
                [sys.executable, "-m", "prizewire_payouts", "serve"],
                env=self.environment,
                stdout=out,
                stderr=out,
            )
        await eventually(self._ready, deadline_s=600)

    async def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        async with httpx.AsyncClient(timeout=600, base_url=self.url) as client:
            try:
                return (await client.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=600)


@pytest.fixture
async def service(
    make_database: DatabaseFactory,
    kafka_server: KafkaServer,
    keyring: Keyring,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[Service, Rig]]:
    """The service with one rail that keeps its book in a file, and a rig over the same database."""
    urls = make_database("payouts", migrated=True)
    rails = [
        {"name": "fake", "provider": "fake", "journal": str(tmp_path / "book"), "latency_ms": LATENCY_MS}
    ]
    (tmp_path / "rails.yaml").write_text(yaml.safe_dump({"rails": rails}))
    around = Surroundings(
        keyring=keyring,
        assets_file=repository_root() / "assets.yaml",
        rails_file=tmp_path / "rails.yaml",
        stellar_url="http://127.0.0.1:1",
        log_level="INFO",
    )
    environment = serve_environment(
        "payouts",
        around=around,
        database=urls,
        kafka=kafka_server.login("payouts"),
        http_port=choose(taken=set()),
    )
    made = Service({**environment, "PAYOUTS_CALL_TIMEOUT_MS": "1000"}, tmp_path)
    await made.start()
    key = MessageKey.from_json(keyring.message_key_file("rewards").read_text())
    rig = Rig(urls)
    rig.clock = ManualClock(datetime.now(UTC))
    monkeypatch.setattr(rigs, "make_key", lambda _: key)
    yield made, rig
    await rig.close()
    made.end(signal.SIGKILL)


def login(kafka_server: KafkaServer, principal: str) -> dict[str, Any]:
    found = kafka_server.login(principal)
    return {
        "bootstrap_servers": found.bootstrap_servers,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": found.username,
        "sasl_plain_password": found.password,
    }


def headers(keyring: Keyring, subject: str, role: str) -> dict[str, str]:
    return {"authorization": f"Bearer {keyring.token(role, subject=subject)}"}


async def test_killed_while_it_pays_it_pays_each_once(
    service: tuple[Service, Rig], kafka_server: KafkaServer, keyring: Keyring, tmp_path: Path
) -> None:
    """Killed without warning while calls are under way, and started again: every payout is paid, none twice, and
    the events of each are on Kafka in order and without gaps; SIGTERM then ends it cleanly.
    """
    running, rig = service
    async with httpx.AsyncClient(timeout=600, base_url=running.url) as client:
        body = {"type": "fake", "details": {"account": "ana's account"}}
        answer = await client.post(
            "/api/payout-methods", json=body, headers=headers(keyring, "ana", "player")
        )
        assert answer.status_code == 201, answer.text
    method_id = UUID(answer.json()["id"])
    method = (await rig.run(lambda storages: storages.methods.find([method_id])))[method_id]
    intents = [rig.intent(method, amount=f"{n}.25", network=PASSPHRASE) for n in range(1, PAYOUTS_N + 1)]
    producer = AIOKafkaProducer(**login(kafka_server, "rewards"), enable_idempotence=True)
    await producer.start()
    for intent in intents:
        await producer.send(REWARDS.name, key=b"corr-1", value=rig.requested(method, intent))
    await producer.flush()
    await producer.stop()
    book = Journal(tmp_path / "book")

    for least in (5, 25):
        await eventually(lambda least=least: book.effects() >= least, deadline_s=600)
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
        await running.start()

    async def all_paid() -> bool:
        rows = await rig.rows("SELECT count(*) AS n FROM payouts WHERE state = 'paid'")
        return bool(rows[0].n == PAYOUTS_N)

    await eventually(all_paid, deadline_s=600)
    assert [book.effects(UUID(intent.payout_id)) for intent in intents] == [1] * PAYOUTS_N
    rig.vault = DetailsVault(key_hex=read_secret(keyring.method_encryption_key_file))
    assert await rig.breaches() == []
    await published_in_order(kafka_server, {intent.payout_id for intent in intents})
    async with httpx.AsyncClient(
        timeout=600, base_url=running.url, headers=headers(keyring, "op", "operator")
    ) as client:
        lineage = (await client.get("/api/services/payouts/lineage/corr-1")).json()["entries"]
        assert sum(entry["kind"] == "payout.paid" for entry in lineage) == PAYOUTS_N
        checks = (await client.get("/api/services/payouts/checks")).json()["checks"]
        assert all(check["ok"] for check in checks)
        # the sum of 1.25 to 60.25 EURC, of the 100000000.00 that the local stack lets pass in a day
        ratio = f'prizewire_payouts_automatic_used_ratio{{asset="EURC"}} {184_500 / 10_000_000_000}'

        async def measured() -> bool:
            return ratio in (await client.get("/metrics")).text

        await eventually(measured, deadline_s=600)
    assert running.end(signal.SIGTERM) == 0
    assert "ana's account" not in running.log.read_text()
    book.close()


async def published_in_order(kafka_server: KafkaServer, wanted: set[str]) -> None:
    """Every payout's events stand on Kafka with versions 1…n, and end with payout.paid."""
    consumer = AIOKafkaConsumer(
        PAYOUTS.name, **login(kafka_server, "rewards"), auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    versions: dict[str, list[int]] = {}
    ended: set[str] = set()

    async def read() -> bool:
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            for record in batch:
                event = orjson.loads(record.value)
                if event["subject"] in wanted:
                    seen = versions.setdefault(event["subject"], [])
                    if event["aggregateversion"] not in seen:
                        seen.append(event["aggregateversion"])
                    if event["type"] == "prizewire.payout.paid.v1":
                        ended.add(event["subject"])
        return ended == wanted

    await eventually(read, deadline_s=600)
    await consumer.stop()
    assert all(seen == list(range(1, len(seen) + 1)) for seen in versions.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"PAYOUTS_SIGN_WITH_HOT_KEY": "true"}, "chain keys live in the signer"),
        (
            {"PRIZEWIRE_ENVIRONMENT": "production", "PAYOUTS_LEGAL_APPROVAL_WAIVED": "false"},
            "may not run in production",
        ),
        (
            {"PRIZEWIRE_ENVIRONMENT": "production", "PAYOUTS_LEGAL_APPROVAL_WAIVED": "true"},
            "PAYOUTS_LEGAL_APPROVAL_WAIVED must be false in production",
        ),
        ({"PAYOUTS_AUTO_APPROVE_UP_TO": "EURC"}, "PAYOUTS_AUTO_APPROVE_UP_TO"),
        (
            {"PAYOUTS_AUTO_APPROVE_UP_TO": "EURC=5.00,XLM=5"},
            "PAYOUTS_AUTO_APPROVE_PER_DAY lacks EURC, XLM: an asset needs a limit in both settings",
        ),
        (
            {
                "PAYOUTS_AUTO_APPROVE_UP_TO": "XLM=5",
                "PAYOUTS_AUTO_APPROVE_PER_DAY": "EURC=5.00,USDC=5",
            },
            "PAYOUTS_AUTO_APPROVE_UP_TO lacks EURC, USDC and PAYOUTS_AUTO_APPROVE_PER_DAY lacks XLM: an asset",
        ),
        (
            {"PAYOUTS_AUTO_APPROVE_UP_TO": "bank:EURC=5.00", "PAYOUTS_AUTO_APPROVE_PER_DAY": "EURC=5.00"},
            "names the rail 'bank', which RAILS_FILE does not have: use one of fake",
        ),
        (
            {
                "PAYOUTS_AUTO_APPROVE_UP_TO": "fake:EURC=5.00,fake:EURC=6.00",
                "PAYOUTS_AUTO_APPROVE_PER_DAY": "EURC=5.00",
            },
            "names the rail fake and the asset EURC twice",
        ),
        ({"PAYOUTS_AUTO_APPROVE_UP_TO": "fake:EURC=5.00"}, "PAYOUTS_AUTO_APPROVE_PER_DAY lacks EURC"),
        ({"RAILS_FILE": "no-such-file.yaml"}, "RAILS_FILE"),
        ({"PAYOUTS_MAX_ATTEMPTS": "none"}, "PAYOUTS_MAX_ATTEMPTS"),
    ],
)
def test_wrong_settings_stop_it_with_a_sentence(
    keyring: Keyring,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    said: str,
) -> None:
    """What must not be is said in one sentence, with exit code 2, before anything is connected."""
    (tmp_path / "rails.yaml").write_text("rails: [{name: fake, provider: fake}]")
    environment = {
        "PRIZEWIRE_ENVIRONMENT": "development",
        "DATABASE_URL": "postgresql://x:x@127.0.0.1:1/x",
        "KAFKA_SASL_PASSWORD": "unused",
        "MESSAGE_KEY_FILE": str(keyring.message_key_file("payouts")),
        "TRUST_FILE": str(keyring.trust_file),
        "ASSETS_FILE": str(repository_root() / "assets.yaml"),
        "METHOD_ENCRYPTION_KEY_FILE": str(keyring.method_encryption_key_file),
        "RAILS_FILE": str(tmp_path / "rails.yaml"),
        "STELLAR_NETWORK_PASSPHRASE": "a network of tests",
        **change,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def at_once(*_: object, **__: object) -> None:
        """The database of this test is never there, and what is judged needs none."""

    monkeypatch.setattr(command, "wait_for_database", at_once)
    code = main(
        service="payouts",
        settings=PayoutSettings,
        build=build,
        migrations=tmp_path,
        arguments=["serve"],
    )
    assert code == 2
    assert said in capsys.readouterr().err


def settings_of(keyring: Keyring, database_url: str, folder: Path, **changes: Any) -> PayoutSettings:
    """Settings of a service that is built and not served."""
    values: dict[str, Any] = {
        "prizewire_environment": "development",
        "database_url": database_url,
        "kafka_sasl_password": "unused",
        "stellar_network_passphrase": PASSPHRASE,
        "message_key_file": keyring.message_key_file("payouts"),
        "trust_file": keyring.trust_file,
        "assets_file": repository_root() / "assets.yaml",
        "method_encryption_key_file": keyring.method_encryption_key_file,
        "rails_file": folder / "rails.yaml",
    }
    return PayoutSettings(**{**values, **changes})


async def test_accounts_that_pay_are_no_destinations(
    make_database: DatabaseFactory, keyring: Keyring, tmp_path: Path
) -> None:
    """Treasury, channels and issuers, as the settings name them, cannot be registered. The rail is listed; without the permission to send, the
    service does not start.
    """
    (tmp_path / "rails.yaml").write_text("rails: [{name: chain, provider: stellar}]")
    own = keyring.stellar()
    settings = settings_of(
        keyring,
        make_database("payouts", migrated=True).runtime,
        tmp_path,
        payouts_live_execution=True,
        soroban_rpc_url="http://127.0.0.1:1",
        payout_source_account=own.treasury.public_key,
        stellar_channel_accounts=",".join(one.public_key for one in own.channels),
        stellar_assets=f"USDC:{own.issuer.public_key}",
    )
    async with open_runtime(settings, service="payouts") as runtime:
        built = await build(runtime)
        app = build_app(
            service="payouts", controllers=built.controllers, health=Health(), tokens=token_reader()
        )
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # Litestar types its scope more narrowly
        async with httpx.AsyncClient(transport=transport, base_url="http://payouts") as client:
            for keypair in (own.treasury, own.channels[-1], own.issuer):
                answer = await create(client, details={"address": keypair.public_key})
                assert (answer.status_code, answer.json()["code"]) == (422, "address_not_allowed")
            listed = await client.get("/api/admin/payouts/rails", headers=as_("op", "operator"))
            (rail,) = listed.json()["items"]
            assert (rail["name"], rail["provider"], rail["type"]) == ("chain", "stellar", "stellar")
            assert (rail["method_types"], rail["paused"], rail["circuit"]) == (["stellar"], False, "closed")
            assert rail["off"] in (None, "rail_not_approved")
            paused = {"scope": "rail", "value": "chain", "reason": "maintenance of the node"}
            made = await client.post(
                "/api/admin/payouts/pauses", json=paused, headers=as_("op", "operator", key="pause-1")
            )
            assert made.status_code == 201, made.text
            (rail,) = (await client.get("/api/admin/payouts/rails", headers=as_("op", "operator"))).json()[
                "items"
            ]
            assert rail["paused"] is True
        await built.close()
    check_files(settings)
    with pytest.raises(ConfigurationError, match="the rail chain sends real transactions"):
        check_files(settings.model_copy(update={"payouts_live_execution": False}))


async def test_the_job_of_the_figures_begins_counters(
    make_database: DatabaseFactory, keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it measures, with the same object each time."""
    (tmp_path / "rails.yaml").write_text("rails: [{name: fake, provider: fake}]")
    settings = settings_of(keyring, make_database("payouts", migrated=True).runtime, tmp_path)
    begun: list[Beginning] = []

    async def once(self: Beginning, _: Any) -> None:
        begun.append(self)

    monkeypatch.setattr(Beginning, "once", once)
    async with open_runtime(settings, service="payouts") as runtime:
        built = await build(runtime)
        [job] = [job for job in built.jobs if job.name == "payouts.housekeeping"]
        for _ in range(2):
            await job.run()
        await built.close()
    assert len(begun) == 2
    assert begun[0] is begun[1]


async def test_an_asset_with_other_decimals_does_not_start(
    make_database: DatabaseFactory, keyring: Keyring, tmp_path: Path
) -> None:
    """What the first start knew of an asset stays: attempts are stored in its smallest unit."""
    assets = tmp_path / "assets.yaml"
    (tmp_path / "rails.yaml").write_text("rails: [{name: fake, provider: fake}]")
    settings = settings_of(
        keyring, make_database("payouts", migrated=True).runtime, tmp_path, assets_file=assets
    )
    async with open_runtime(settings, service="payouts") as runtime:
        assets.write_text((repository_root() / "assets.yaml").read_text())
        first = await build(runtime)
        await check_database(runtime, first)
        await first.close()
        assets.write_text(assets.read_text().replace("SEASON: {decimals: 0", "SEASON: {decimals: 1"))
        second = await build(runtime)
        with pytest.raises(ConfigurationError, match=r"assets\.yaml changed SEASON"):
            await check_database(runtime, second)
        await second.close()
