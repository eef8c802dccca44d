"""A service and its migration that start before their database, or with a database that will never take them."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from prizewire_devstack.components.postgres import (
    THROWAWAY_SETTINGS,
    DatabaseUrls,
    PostgresServer,
    RolePasswords,
)
from prizewire_devstack.components.processes import Supervisor
from prizewire_devstack.ports import choose
from prizewire_devstack.waiting import eventually

DEADLINE_S = 600.0
WAITING = "waiting for the database"
SERVICE = """
import sys
from pathlib import Path
from prizewire_chassis.assets import read_assets
from prizewire_chassis.lifecycle import Built, main
from prizewire_chassis.settings import ServiceSettings

async def build(runtime):
    return Built(http_minimal=True, assets=read_assets(runtime.settings.assets_file))

raise SystemExit(main(service="settlement", settings=ServiceSettings, build=build, migrations=Path(sys.argv[1]),
    arguments=sys.argv[2:]))
"""
ENV_PY = """
from prizewire_chassis.db.migrate import run_env
run_env()
"""
REVISION = """
from alembic import op
from prizewire_chassis.db import schema
revision = "0001"
down_revision = None

def upgrade() -> None:
    schema.create_chassis_schema_v1(op)
    schema.create_chassis_schema_v2(op)
    schema.create_chassis_schema_v3(op)
    schema.create_chassis_schema_v4(op)
    schema.create_chassis_schema_v5(op)
    schema.create_chassis_schema_v6(op)
    schema.create_chassis_schema_v7(op)
    schema.create_chassis_schema_v8(op)
    op.execute("CREATE TABLE made (id int)")
"""


class Place:
    """A directory with what a service reads, a port, and the processes that were started there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = choose(taken=set())
        self._started: list[asyncio.subprocess.Process] = []
        key = directory / "key.json"
        key.write_text(json.dumps({"keyid": "settlement-1", "private_key": "ab" * 32}))
        key.chmod(0o600)
        (directory / "trust.json").write_text(json.dumps({"keys": []}))
        (directory / "migrations" / "versions").mkdir(parents=True)
        (directory / "migrations" / "env.py").write_text(ENV_PY)
        (directory / "migrations" / "versions" / "0001_made.py").write_text(REVISION)
        (directory / "migrations" / "privileges.yaml").write_text(
            "{tables: {made: {}}, functions: [], triggers: {}}"
        )
        (directory / "assets.yaml").write_text("{assets: {EURC: {decimals: 2, redeemable: true}}}")

    async def start(
        self, *arguments: str, runtime: str, migration: str | None = None
    ) -> asyncio.subprocess.Process:
        environment = {
            "DATABASE_URL": runtime,
            **({"DATABASE_MIGRATION_URL": migration} if migration else {}),
            "KAFKA_SASL_PASSWORD": "unused",
            "MESSAGE_KEY_FILE": str(self.directory / "key.json"),
            "TRUST_FILE": str(self.directory / "trust.json"),
            "HTTP_PORT": str(self.port),
            "HTTP_DRAIN_S": "0",
            "ASSETS_FILE": str(self.directory / "assets.yaml"),
        }
        with self.log(arguments[0]).open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                SERVICE,
                str(self.directory / "migrations"),
                *arguments,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process

    def log(self, command: str) -> Path:
        return self.directory / f"{command}.log"

    async def said(self, command: str, text: str) -> None:
        await eventually(lambda: text in self.log(command).read_text(), deadline_s=DEADLINE_S)

    async def ready(self) -> bool:
        async with httpx.AsyncClient(trust_env=False, timeout=600) as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{self.port}/health/ready")
            except httpx.TransportError:
                return False
        return answer.status_code == httpx.codes.OK

    async def end(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    await made.end()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of its own, initialized and stopped."""
    supervisor = Supervisor()
    yield PostgresServer(
        data_dir=tmp_path / "postgres",
        port=choose(taken=set()),
        superuser_password="superuser-password",
        supervisor=supervisor,
        log_file=tmp_path / "postgres.log",
        settings=THROWAWAY_SETTINGS,
    )
    supervisor.stop_all()


async def test_a_service_waits_for_a_database_that_starts_later(place: Place, server: PostgresServer) -> None:
    """Migration and service say what they wait for, are not ready, and go on when the server is there."""
    passwords = RolePasswords(runtime="runtime-password", owner="owner-password")
    await asyncio.to_thread(server.start)
    urls = await asyncio.to_thread(server.ensure_service, "settlement", passwords=passwords)
    server.kill()
    migrating = await place.start("migrate", runtime=urls.runtime, migration=urls.migration)
    serving = await place.start("serve", "--roles", "http", runtime=urls.runtime)
    await place.said("migrate", WAITING)
    await place.said("serve", WAITING)
    assert not await place.ready()
    assert migrating.returncode is None
    assert serving.returncode is None
    await asyncio.to_thread(server.start)
    assert await asyncio.wait_for(migrating.wait(), DEADLINE_S) == 0, place.log("migrate").read_text()
    await eventually(place.ready, deadline_s=DEADLINE_S)
    assert server.run_sql("SELECT count(*) FROM made", database=urls.name) == "0"
    for command in ("migrate", "serve"):
        assert "Traceback" not in place.log(command).read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_waiting(place: Place, number: signal.Signals) -> None:
    """A service that waits for its database can be stopped."""
    nowhere = f"postgresql://settlement:hush@127.0.0.1:{choose(taken={place.port})}/settlement"
    serving = await place.start("serve", "--roles", "http", runtime=nowhere)
    await place.said("serve", WAITING)
    serving.send_signal(number)
    assert await asyncio.wait_for(serving.wait(), DEADLINE_S) == 0
    assert "Traceback" not in place.log("serve").read_text()


@pytest.mark.parametrize("command", ["serve", "migrate"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: url.replace("://settlement", "://nobody"), "password authentication failed"),
        (lambda url: re.sub(":[^:@]+@", ":hush@", url), "password authentication failed"),
        (lambda url: url.rsplit("/", 1)[0] + "/nowhere", 'database "nowhere" does not exist'),
        (lambda _: "hush", "not a URL of the form"),
    ],
    ids=["role", "password", "database", "url"],
)
async def test_a_database_that_refuses_for_good_ends_the_start(
    place: Place, urls: DatabaseUrls, command: str, change: object, reason: str
) -> None:
    """At once, in one sentence that names the setting and shows no password."""
    assert callable(change)
    runtime, migration = urls.runtime, urls.migration
    if command == "serve":
        runtime = change(runtime)
    else:
        migration = change(migration)
    process = await place.start(command, runtime=runtime, migration=migration)
    assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 2
    [sentence] = place.log(command).read_text().splitlines()
    assert reason in sentence
    assert ("DATABASE_URL" if command == "serve" else "DATABASE_MIGRATION_URL") in sentence
    assert "hush" not in sentence


async def test_a_database_without_tables_is_waited_for(place: Place, urls: DatabaseUrls) -> None:
    """The line says which command makes them; once it was run, the service goes on."""
    serving = await place.start("serve", "--roles", "http", runtime=urls.runtime)
    await place.said("serve", "it has no tables yet: run the command `migrate`")
    assert not await place.ready()
    assert serving.returncode is None
    migrating = await place.start("migrate", runtime=urls.runtime, migration=urls.migration)
    assert await asyncio.wait_for(migrating.wait(), DEADLINE_S) == 0, place.log("migrate").read_text()
    await eventually(place.ready, deadline_s=DEADLINE_S)
    assert "Traceback" not in place.log("serve").read_text()


async def test_a_wrong_setting_is_reported_before_the_database_answers(place: Place) -> None:
    """A wrong configuration is reported before the wait for the database."""
    nowhere = f"postgresql://settlement:hush@127.0.0.1:{choose(taken={place.port})}/settlement"
    (place.directory / "assets.yaml").write_text("{assets: {EURC: {decimals: 99, redeemable: true}}}")
    serving = await place.start("serve", "--roles", "http", runtime=nowhere)
    assert await asyncio.wait_for(serving.wait(), DEADLINE_S) == 2
    [sentence] = place.log("serve").read_text().splitlines()
    assert sentence.startswith("settlement: ASSETS_FILE assets.yaml: ")
