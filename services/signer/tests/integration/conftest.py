"""A whole signer over a real PostgreSQL: batches in, answers out, without Kafka in between."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import ManualClock
from prizewire_chassis.db import Database
from prizewire_chassis.inbox import BatchProcessor
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.testing import make_key, make_trust, records
from prizewire_contracts.decode import decode
from prizewire_contracts.encode import EncodedEvent, encode
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events.signing import (
    CloseRequested,
    CloseRequestedEvent,
    SigningRequested,
    SigningRequestedEvent,
    SlotClosed,
    SlotClosedEvent,
)
from prizewire_contracts.topics import SIGNING_REQUESTS, SIGNING_RESULTS
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.components.processes import Supervisor
from prizewire_devstack.home import repository_root
from prizewire_devstack.ports import choose
from prizewire_devstack.stack.environment import Surroundings, serve_environment
from prizewire_devstack.testing import DatabaseFactory
from prizewire_signer.app import unit_of_work_over
from prizewire_signer.consumers import Intake
from prizewire_signer.handlers.signing import SigningContext
from prizewire_signer.jobs import SigningWorker
from prizewire_signer.storage.checks import breaches_of
from services.signer.tests import openbao
from services.signer.tests.fakes import NETWORK, NOW, FakeBackend, signing_context

MODELS: dict[type, type[Envelope]] = {
    SigningRequested: SigningRequestedEvent,
    SlotClosed: SlotClosedEvent,
    CloseRequested: CloseRequestedEvent,
}


@dataclass
class Signer:
    """One signer process: its database, consumer and jobs."""

    db: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    context: SigningContext = field(default_factory=signing_context)
    backend: FakeBackend = field(default_factory=FakeBackend)
    versions: dict[str, int] = field(default_factory=dict)
    offset: int = 0

    def __post_init__(self) -> None:
        self.outbox = Outbox(service="signer", key=make_key("signer"), clock=self.clock)
        self.audit = Audit(service="signer", outbox=self.outbox, clock=self.clock)
        self.unit_of_work = unit_of_work_over(outbox=self.outbox, audit=self.audit)
        self.processor = BatchProcessor(db=self.db, trust=make_trust(), clock=self.clock)
        self.woken = 0

    @property
    def worker(self) -> SigningWorker:
        return SigningWorker(
            db=self.db,
            clock=self.clock,
            unit_of_work=self.unit_of_work,
            context=self.context,
            backend=self.backend,
        )

    def _wake(self) -> None:
        self.woken += 1

    def event(self, data: Any, **overrides: Any) -> EncodedEvent:
        """The next event about the data's slot or payout, signed by payouts."""
        slot = getattr(data, "slot", None)
        subject = overrides.pop("subject", None) or str(slot.slot_id if slot else data.payout_id)
        self.versions[subject] = version = self.versions.get(subject, 0) + 1
        fields: dict[str, Any] = {
            "service": "payouts",
            "subject": subject,
            "version": version,
            "correlation_id": subject,
            "causation_id": None,
            "now": self.clock.now(),
            "key": make_key("payouts"),
            **overrides,
        }
        return encode(MODELS[type(data)], data, **fields)

    async def take(self, *data: Any) -> None:
        """Process one batch."""
        await self.take_events([self.event(one) for one in data])

    async def take_events(self, events: Sequence[EncodedEvent | bytes]) -> None:
        intake = Intake(
            network=NETWORK,
            policy=self.context.rules.policy,
            unit_of_work=self.unit_of_work,
            audit=self.audit,
            clock=self.clock,
            wake=self._wake,
        )
        batch = records(*events, topic=SIGNING_REQUESTS.name, start=self.offset)
        self.offset += len(events)
        await self.processor.process(intake.spec(), batch)

    def until(self, moment_s: int) -> None:
        """Let the clock come to this Unix time."""
        self.clock.advance(timedelta(seconds=moment_s - self.clock.now().timestamp()))

    async def work(self) -> int:
        """Work until nothing is due; returns the number of runs."""
        looks = 0
        while await self.worker.run_once():
            looks += 1
        return looks

    async def submit(self, *data: Any) -> list[Envelope]:
        """Process a batch, work, and return the new answers."""
        before = len(await self.answers())
        await self.take(*data)
        await self.work()
        return (await self.answers())[before:]

    async def answers(self) -> list[Any]:
        """Every answer so far, verified as a consumer would."""
        rows = await self.rows(f"SELECT value FROM outbox WHERE topic = '{SIGNING_RESULTS.name}' ORDER BY id")
        return [
            decode(topic=SIGNING_RESULTS, value=bytes(row.value), trust=make_trust()).event for row in rows
        ]

    async def audits(self, action: str = "signing.refused") -> list[Any]:
        return await self.rows(f"SELECT * FROM audit_log WHERE action = '{action}' ORDER BY sequence")

    async def rows(self, sql: str) -> list[Any]:
        async with self.db.transaction() as tx:
            return list(await tx.execute(text(sql)))

    async def count(self, table: str) -> int:
        return int((await self.rows(f"SELECT count(*) AS n FROM {table}"))[0].n)

    async def breaches(self) -> dict[str, list[str]]:
        async with self.db.transaction() as tx:
            return await breaches_of(tx, self.clock.now(), limits=self.context.rules.policy.limits)


@pytest.fixture
async def open_signer(make_database: DatabaseFactory) -> AsyncIterator[Callable[..., Signer]]:
    """A function that opens a signer; all of one test share a fresh database."""
    urls = make_database("signer", migrated=True)
    opened: list[Database] = []

    def make(**parts: Any) -> Signer:
        db = Database(urls.runtime, application_name="signer-test", pool_size=4)
        opened.append(db)
        return Signer(db, **parts)

    yield make
    for db in opened:
        await db.close()


@pytest.fixture
async def signer(open_signer: Callable[..., Signer]) -> Signer:
    """A signer over an empty database."""
    return open_signer()


@pytest.fixture(scope="module")
async def threatened(make_module_database: DatabaseFactory) -> AsyncIterator[Signer]:
    """One signer for all attacks of a module: each leaves nothing behind, so they may share it."""
    urls = make_module_database("signer", migrated=True)
    db = Database(urls.runtime, application_name="signer-test", pool_size=4)
    yield Signer(db)
    await db.close()


@pytest.fixture(scope="module")
def bao(devstack_supervisor: Supervisor, devstack_directory: Path) -> Iterator[openbao.Bao]:
    """OpenBao from its wheel, in memory, with an Ed25519 key for the treasury and for each channel."""
    with openbao.started(devstack_supervisor, devstack_directory) as server:
        server.root.sys.enable_secrets_engine("transit", path=openbao.MOUNT)
        for name in openbao.NAMES:
            server.root.secrets.transit.create_key(name, key_type="ed25519", mount_point=openbao.MOUNT)
        server.root.secrets.transit.create_key("rsa", key_type="rsa-2048", mount_point=openbao.MOUNT)
        yield server


@pytest.fixture
def environment(
    make_database: DatabaseFactory,
    kafka_server: KafkaServer,
    keyring: Keyring,
    devstack_directory: Path,
) -> dict[str, str]:
    urls: DatabaseUrls = make_database("signer", migrated=True)
    return serve_environment(
        "signer",
        around=Surroundings(
            keyring=keyring,
            assets_file=repository_root() / "assets.yaml",
            rails_file=devstack_directory / "unused.yaml",
            stellar_url="http://127.0.0.1:1",
            log_level="INFO",
        ),
        database=urls,
        kafka=kafka_server.login("signer"),
        http_port=choose(taken=set()),
    )
