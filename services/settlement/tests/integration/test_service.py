"""The service as a process: migrate, serve, Kafka in and out, kill -9, SIGTERM."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from click.testing import CliRunner

from prizewire_contracts.decode import EventRefused, decode
from prizewire_contracts.topics import MATCHES, SETTLEMENTS
from prizewire_contracts.trust import TrustStore
from prizewire_devstack.cli.source import command as source_command
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.home import repository_root
from prizewire_devstack.ports import choose
from prizewire_devstack.stack.environment import Surroundings, serve_environment
from prizewire_devstack.testing import DatabaseFactory
from prizewire_devstack.waiting import eventually
from services.settlement.tests.fakes import CAMPAIGN, SOURCE
from services.settlement.tests.service import competition_body, match_event, results

MATCHES_N = 200
COPIES = 50


@dataclass
class Process:
    """The process, which a test may kill and start again."""

    environment: dict[str, str]
    log: Path
    urls: DatabaseUrls
    running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['HTTP_PORT']}"

    async def start(self) -> None:
        with self.log.open("ab") as out:
            self.running = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
                [sys.executable, "-m", "prizewire_settlement", "serve"],
                env=self.environment,
                stdout=out,
                stderr=out,
            )
        await eventually(self._ready, deadline_s=600)

    async def _ready(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, self.log.read_text()
        async with httpx.AsyncClient(timeout=600, base_url=self.url) as client:
            try:
                return (await client.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

    def end(self, how: signal.Signals) -> int:
        assert self.running is not None
        if self.running.poll() is None:
            self.running.send_signal(how)
        return self.running.wait(timeout=600)

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.urls.runtime)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def count(self, table: str) -> int:
        connection = await asyncpg.connect(self.urls.runtime)
        try:
            found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
        finally:
            await connection.close()
        return found


@pytest.fixture
async def process(
    make_database: DatabaseFactory, kafka_server: KafkaServer, keyring: Keyring, tmp_path: Path
) -> AsyncIterator[Process]:
    """The service over real PostgreSQL and Kafka."""
    urls = make_database("settlement", migrated=True)
    around = Surroundings(
        keyring=keyring,
        assets_file=repository_root() / "assets.yaml",
        rails_file=tmp_path / "rails.yaml",
        stellar_url="http://127.0.0.1:1",
        log_level="INFO",
    )
    environment = serve_environment(
        "settlement",
        around=around,
        database=urls,
        kafka=kafka_server.login("settlement"),
        http_port=choose(taken=set()),
    )
    made = Process(environment, tmp_path / "settlement.log", urls)
    await made.execute(f"INSERT INTO campaigns VALUES ('{CAMPAIGN}', 'EURC', 'active', 1)")
    await made.start()
    yield made
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


def headers(keyring: Keyring, subject: str, *roles: str) -> dict[str, str]:
    return {"authorization": f"Bearer {keyring.token(*roles, subject=subject)}"}


async def test_matches_flow_through_kafka_and_kills_and_are_settled_once(
    process: Process, kafka_server: KafkaServer, keyring: Keyring
) -> None:
    """Good matches, copies, forgeries and garbage on Kafka, two kill -9 meanwhile: every good match has exactly one
    signed round.settled, everything else is a stuck event; SIGTERM ends the service cleanly.
    """
    now = datetime.now(UTC)
    run = f"{now:%H%M%S%f}"
    day = {"not_before": "2020-01-01T00:00:00Z", "not_after": "2100-01-01T00:00:00Z"}
    body = competition_body(dispute_window_s=0)
    body["sources"][0]["keys"][0] |= day
    async with httpx.AsyncClient(timeout=600, base_url=process.url) as client:
        made = await client.post("/api/competitions", json=body, headers=headers(keyring, "ada", "admin"))
        assert made.status_code == 201, made.text

    good = [match_event("completed", f"{run}-{n}", time=now.isoformat()) for n in range(MATCHES_N)]
    copies = [match_event("completed", f"{run}-0", time=now.isoformat()) for _ in range(COPIES)]
    bad = [
        b"\xff\x00 not JSON",
        match_event("completed", f"{run}-1", time=now.isoformat(), key=None),
        match_event("completed", f"{run}-x", time=now.isoformat(), data={"results": results("a", "a")}),
    ]
    # Under another key it may overtake the match's own result: it is sent when that is settled.
    late = match_event("completed", f"{run}-3", time=now.isoformat(), correlationid="another")
    producer = AIOKafkaProducer(**login(kafka_server, "game-server"), enable_idempotence=True)
    await producer.start()

    async def send(values: list[bytes]) -> None:
        for value in values:
            try:
                key = json.loads(value)["correlationid"].encode()
            except ValueError:
                key = b"?"
            await producer.send(MATCHES.name, key=key, value=value)
        await producer.flush()

    await send(good[:80])
    await eventually(lambda: _at_least(process, 20), deadline_s=600)
    process.end(signal.SIGKILL)
    await send([*bad, *copies, *good[80:]])
    await process.start()
    await eventually(lambda: _at_least(process, 120), deadline_s=600)
    process.end(signal.SIGKILL)
    await process.start()
    await eventually(lambda: _at_least(process, MATCHES_N), deadline_s=600)
    await send([late])
    await producer.stop()

    async def all_refused() -> bool:
        # other tests of the session send to this topic too
        ours = f"subject LIKE '{run}-%' OR value = '\\xff00206e6f74204a534f4e'"
        return await process.count(f"stuck_events WHERE {ours}") == len(bad) + 1

    await eventually(all_refused)
    settled = await published(kafka_server, keyring, wanted=MATCHES_N, run=run)
    assert len(settled) == MATCHES_N
    assert set(settled.values()) == {(1, "85.00")}
    async with httpx.AsyncClient(
        timeout=600, base_url=process.url, headers=headers(keyring, "op", "operator")
    ) as client:
        stuck = (await client.get("/api/services/settlement/stuck-events")).json()["items"]
        ours = {item["reason"] for item in stuck if (item["subject"] or "").startswith(run)}
        assert ours == {"signature_missing", "duplicate_player", "correlation_mismatch"}
        assert "not_json" in {item["reason"] for item in stuck}
        checks = (await client.get("/api/services/settlement/checks")).json()["checks"]
        assert all(check["ok"] for check in checks), checks
        metrics = (await client.get("/metrics")).text
        assert "prizewire_settlement_rounds_settled_total" in metrics
    assert process.end(signal.SIGTERM) == 0
    assert await process.count("outbox_waiting") == 0


async def _at_least(process: Process, number: int) -> bool:
    return await process.count("settlements") >= number


async def published(
    kafka_server: KafkaServer, keyring: Keyring, *, wanted: int, run: str
) -> dict[str, tuple[int, str]]:
    """Version and net prize of each match's round.settled, verified as rewards would; a copy must be equal."""
    trust = TrustStore.from_json(keyring.trust_file.read_text())
    consumer = AIOKafkaConsumer(
        SETTLEMENTS.name, **login(kafka_server, "rewards"), auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    found: dict[str, tuple[int, str]] = {}
    ids: dict[str, str] = {}

    async def all_here() -> bool:
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            for record in batch:
                try:
                    event: Any = decode(topic=SETTLEMENTS, value=record.value, trust=trust).event
                except EventRefused:
                    continue  # other tests of the session write to this topic too
                if event.type.endswith("settled.v1") and event.data.match_id.startswith(run):
                    assert ids.setdefault(event.data.match_id, event.id) == event.id
                    assert record.key == event.correlationid.encode()
                    found[event.data.match_id] = (event.aggregateversion, event.data.net)
        return len(found) >= wanted

    await eventually(all_here)
    await consumer.stop()
    return found


async def test_the_example_of_a_game_server_reports_a_result(
    process: Process, keyring: Keyring, tmp_path: Path
) -> None:
    """Key and public entry by `prizewire source keygen`, a token by an admin, then the script as it stands, twice: settled, once."""
    key_file = tmp_path / "chess.key"
    made = CliRunner().invoke(source_command, ["keygen", str(key_file), "--keyid", "chess-1"])
    body = competition_body(sources=[{"source": SOURCE, "keys": [json.loads(made.output)]}])
    admin = headers(keyring, "ada", "admin")
    async with httpx.AsyncClient(timeout=600, base_url=process.url, headers=admin) as client:
        assert (await client.post("/api/competitions", json=body)).status_code == 201
        token = (await client.post("/api/source-tokens", json={"source": SOURCE})).json()["token"]
    environment = {
        "PATH": os.environ["PATH"],
        "PRIZEWIRE_URL": process.url,
        "SOURCE": SOURCE,
        "SOURCE_TOKEN": token,
        "KEY_FILE": str(key_file),
    }
    script = repository_root() / "examples" / "game_server" / "report.py"

    def report(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    for _ in range(2):
        reported = report("4711", "cup", "ann", "bob", "cyd")
        assert reported.returncode == 0, reported.stderr
    assert (refused := report("4712", "none", "ann", "bob")).returncode == 1
    assert refused.stderr.startswith("422 competition_unknown: ")
    assert "MATCH_ID COMPETITION PLAYER" in report().stderr
    assert await process.count("settlements") == 1
    assert await process.count("stuck_events WHERE subject = '4711'") == 0


def test_settings_are_printed_with_their_defaults() -> None:
    """Names of earlier systems keep their known defaults; secrets have none."""
    out = subprocess.run(
        [sys.executable, "-m", "prizewire_settlement", "settings"], capture_output=True, check=True, text=True
    ).stdout
    settings = {row["name"]: row for row in json.loads(out)}
    assert settings["PLATFORM_FEE_PERCENTAGE"]["default"] == "10"
    assert settings["ORGANIZER_FEE_PERCENTAGE"]["default"] == "5"
    assert (settings["DATABASE_URL"]["secret"], settings["DATABASE_URL"]["default"]) == (True, None)
