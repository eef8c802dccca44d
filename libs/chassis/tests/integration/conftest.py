"""A real database with nothing but the chassis' tables and one table of effects."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import ManualClock
from prizewire_chassis.db import Database
from prizewire_chassis.db.privileges import CHASSIS, Privileges, Rights, grant_privileges
from prizewire_chassis.db.schema import (
    create_chassis_schema_v1,
    create_chassis_schema_v2,
    create_chassis_schema_v3,
    create_chassis_schema_v4,
    create_chassis_schema_v5,
    create_chassis_schema_v6,
    create_chassis_schema_v7,
    create_chassis_schema_v8,
)
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec, Incoming, Refusal, VersionRule
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.settings import ApiSettings
from prizewire_chassis.stuck_events import StuckEvents
from prizewire_chassis.testing import make_key, make_trust, token_jwks
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.topics import PAYOUTS
from prizewire_devstack.ports import choose

if TYPE_CHECKING:
    from prizewire_devstack.components.postgres import DatabaseUrls

START = datetime(2026, 1, 1, tzinfo=UTC)


def _create(connection: Connection) -> None:
    operations = Operations(MigrationContext.configure(connection))
    create_chassis_schema_v1(operations)
    create_chassis_schema_v2(operations)
    create_chassis_schema_v3(operations)
    create_chassis_schema_v4(operations)
    create_chassis_schema_v5(operations)
    create_chassis_schema_v6(operations)
    create_chassis_schema_v7(operations)
    create_chassis_schema_v8(operations)
    connection.execute(
        text("CREATE TABLE effects (n bigint GENERATED ALWAYS AS IDENTITY, event_id text, note text)")
    )
    tables = {name: rights for name, rights in CHASSIS.tables.items() if name != "alembic_version"}
    effects = {"effects": Rights(insert=True, update=("note",), delete=True)}
    grant_privileges(
        connection, role="settlement", privileges=Privileges({**tables, **effects}, CHASSIS.functions)
    )


@pytest.fixture
def urls(make_database) -> "DatabaseUrls":
    return make_database("settlement")


@pytest.fixture
async def owner(urls: "DatabaseUrls") -> AsyncIterator[Database]:
    """The database under the role that owns its tables, as a migration or an attacker uses it."""
    database = Database(urls.migration, application_name="test-owner", pool_size=1)
    yield database
    await database.close()


@pytest.fixture
async def db(urls: "DatabaseUrls", owner: Database) -> AsyncIterator[Database]:
    async with owner.transaction() as tx:
        await tx.run_sync(_create)
    database = Database(urls.runtime, application_name="test", pool_size=6)
    yield database
    await database.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def outbox(clock: ManualClock) -> Outbox:
    return Outbox(service="payouts", key=make_key("payouts"), clock=clock)


class Scripted:
    """A handler that records effects, and refuses or raises as a test sets it by event id."""

    def __init__(self) -> None:
        self.refuse: dict[str, Refusal] = {}
        self.refuse_subjects: set[str] = set()
        self.raising: dict[str, Exception] = {}
        self.calls = 0

    async def __call__(self, tx: AsyncConnection, batch: Sequence[Incoming]) -> dict[int, Refusal]:
        self.calls += 1
        refused: dict[int, Refusal] = {}
        for index, item in enumerate(batch):
            if item.event.id in self.raising:
                raise self.raising[item.event.id]
            if item.event.subject in self.refuse_subjects:
                refused[index] = Refusal(RefusalCode.SOURCE_NOT_ALLOWED, "forged")
                continue
            if item.event.id in self.refuse:
                refused[index] = self.refuse[item.event.id]
                continue
            await tx.execute(text("INSERT INTO effects (event_id) VALUES (:id)"), {"id": item.event.id})
        return refused


@pytest.fixture
def handler() -> Scripted:
    return Scripted()


@pytest.fixture
def make_spec(handler: Scripted) -> Callable[..., ConsumerSpec]:
    def make(rule: VersionRule = VersionRule.STRICT) -> ConsumerSpec:
        return ConsumerSpec("test.payouts", PAYOUTS, handler, lambda _: rule)

    return make


@pytest.fixture
def processor(db: Database, clock: ManualClock, outbox: Outbox) -> BatchProcessor:
    audit = Audit(service="payouts", outbox=outbox, clock=clock)
    return BatchProcessor(db=db, trust=make_trust(), clock=clock, audit=audit)


@pytest.fixture
def make_stuck(db: Database, processor: BatchProcessor, clock: ManualClock) -> Callable[..., StuckEvents]:
    def make(spec: ConsumerSpec) -> StuckEvents:
        return StuckEvents(db=db, processor=processor, specs=[spec], clock=clock)

    return make


@pytest.fixture
def settings(db, kafka_server, keyring, tmp_path: Path) -> ApiSettings:
    """Rewards' principal, since it may read the payouts topic."""
    login = kafka_server.login("rewards")
    key = make_key("rewards")
    seed_file = tmp_path / "key.json"
    seed = hashlib.sha256(b"test rewards").hexdigest()
    seed_file.write_text(json.dumps({"keyid": key.keyid, "private_key": seed}))
    seed_file.chmod(0o600)
    jwks_file = tmp_path / "jwks.json"
    jwks_file.write_text(json.dumps(token_jwks()))
    trust = tmp_path / "trust.json"
    entry = {
        "keyid": make_key("payouts").keyid, "service": "payouts", "uses": ["event"],
        "public_key": make_key("payouts").public_key,
        "not_before": "2000-01-01T00:00:00+00:00", "not_after": "2100-01-01T00:00:00+00:00",
    }  # fmt: skip
    trust.write_text(json.dumps({"keys": [entry]}))
    return ApiSettings(
        database_url=db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
        kafka_bootstrap_servers=login.bootstrap_servers,
        kafka_sasl_username=login.username,
        kafka_sasl_password=login.password,
        http_port=choose(taken=set()),
        http_drain_s=0,
        checks_interval_s=1,
        message_key_file=seed_file,
        trust_file=trust,
        jwt_jwks_file=jwks_file,
    )
