"""One process of a service: its commands, its runtime, and a shutdown that finishes what was begun."""

import argparse
import asyncio
import contextlib
import gc
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker
from litestar import Litestar
from litestar.types import ControllerRouterHandler
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import ApiTokens, TokenReader
from prizewire_chassis.checks import audit_check, checks_job
from prizewire_chassis.clock import Clock, SystemClock
from prizewire_chassis.db import Database
from prizewire_chassis.health import Health
from prizewire_chassis.http.app import build_app
from prizewire_chassis.http.parts import Check, Lineage, LineageEntry
from prizewire_chassis.http.service_routes import service_controller
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_chassis.jobs import Job, JobRunner
from prizewire_chassis.kafka import build_broker, build_producer, subscribe
from prizewire_chassis.keys import UnsafeKeyFile, load_message_key, load_trust, read_secret
from prizewire_chassis.logging import configure, get_logger
from prizewire_chassis.outbox import Outbox, Relay, measure_waiting, purge_published
from prizewire_chassis.settings import ServiceSettings
from prizewire_chassis.stuck_events import StuckEvents
from prizewire_contracts.trust import MessageKey, TrustStore

__all__ = [
    "HTTP_KEEP_ALIVE_S",
    "ROLES",
    "Built",
    "ConfigurationError",
    "Runtime",
    "http_config",
    "main",
    "open_runtime",
    "serve",
]

ROLES = frozenset({"http", "consumers", "relay", "jobs"})
_OUTBOX_KEPT = timedelta(days=14)
_TOKEN_SECRET_BYTES_MIN = 32
"""RFC 7518, section 3.2: a shorter HS256 key is guessed sooner than a signature."""
HTTP_KEEP_ALIVE_S = 650
"""An idle connection must outlive the idle time of every proxy in front (nginx and AWS 60 s, Caddy 120 s, Google
600 s): else a proxy may reuse one that is just being closed, and answers 502 to a POST that it cannot repeat.
"""
_COLLECT_AFTER = 50_000
"""Allocations less releases of containers between two collections; a batch of 500 events holds about as many."""
_log = get_logger(__name__)


class ConfigurationError(Exception):
    """The service must not start like this. The message is a sentence for the operator."""


async def _no_lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:  # noqa: ARG001 - a Lineage
    return []


async def _nothing() -> None:
    return


@dataclass(slots=True)
class Runtime:
    """The parts that every service stands on, built once."""

    service: str
    settings: ServiceSettings
    clock: Clock
    db: Database
    key: MessageKey
    trust: TrustStore
    outbox: Outbox
    audit: Audit
    processor: BatchProcessor
    health: Health


@dataclass(slots=True)
class Built:
    """What a service's composition root answers. ``http_minimal`` leaves only health and metrics on HTTP;
    ``api_tokens`` reads the tokens that the service gives out to other systems, where it does.

    ``checks_watched``: the service looks after its checks by jobs of its own, so that only the audit chain is left to
    the common one.
    """

    controllers: Sequence[ControllerRouterHandler] = ()
    lineage: Lineage = _no_lineage
    checks: Sequence[Check] = ()
    specs: Sequence[ConsumerSpec] = ()
    jobs: Sequence[Job] = ()
    close: Callable[[], Awaitable[None]] = _nothing
    http_minimal: bool = False
    api_tokens: ApiTokens | None = None
    checks_watched: bool = False


@asynccontextmanager
async def open_runtime(
    settings: ServiceSettings, *, service: str, clock: Clock | None = None
) -> AsyncIterator[Runtime]:
    """Build the runtime, and close its database at the end.

    Raises:
        UnsafeKeyFile: a key file is missing or readable by others.
    """
    time = clock or SystemClock()
    key = load_message_key(settings.message_key_file)
    trust = load_trust(settings.trust_file)
    db = Database(settings.database_url.get_secret_value(), application_name=f"prizewire-{service}")
    outbox = Outbox(service=service, key=key, clock=time)
    try:
        yield Runtime(
            service=service,
            settings=settings,
            clock=time,
            db=db,
            key=key,
            trust=trust,
            outbox=outbox,
            audit=Audit(service=service, outbox=outbox, clock=time),
            processor=BatchProcessor(db=db, trust=trust, clock=time),
            health=Health(),
        )
    finally:
        await db.close()


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own: shutting down is the lifecycle's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def http_config(app: Litestar, settings: ServiceSettings) -> uvicorn.Config:
    """How a service's HTTP interface is served: HTTP/1.1 behind a proxy, lifespan and logging left to the service."""
    return uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=HTTP_KEEP_ALIVE_S,
        timeout_graceful_shutdown=10,
        server_header=False,
    )


@dataclass(slots=True)
class _Process:
    """What runs, in the order in which it must end."""

    runtime: Runtime
    built: Built
    roles: frozenset[str]
    broker: KafkaBroker | None = None
    producer: AIOKafkaProducer | None = None
    relay: Relay | None = None
    jobs: JobRunner | None = None
    server: _Server | None = None
    serving: asyncio.Task[None] | None = field(default=None)

    async def start(self) -> None:
        runtime, built, settings = self.runtime, self.built, self.runtime.settings
        stuck = StuckEvents(
            db=runtime.db, processor=runtime.processor, specs=built.specs, clock=runtime.clock
        )
        runtime.health.add("database", runtime.db.ping)
        if "http" in self.roles:
            await self._start_http(stuck)
        if "relay" in self.roles:
            self.producer = build_producer(settings)
            await _insist("kafka producer", self.producer.start)
            self.relay = Relay(
                db=runtime.db, outbox=runtime.outbox, producer=self.producer, clock=runtime.clock
            )
            self.relay.start()
        if "jobs" in self.roles:
            own = [
                Job("stuck_events.release", 5.0, stuck.release),
                Job("outbox.measure", 5.0, lambda: measure_waiting(runtime.db, clock=runtime.clock)),
                Job(
                    "outbox.purge",
                    600.0,
                    lambda: purge_published(runtime.db, clock=runtime.clock, keep=_OUTBOX_KEPT),
                ),
                checks_job(
                    db=runtime.db,
                    checks=[*(() if built.checks_watched else built.checks), audit_check(runtime.service)],
                    interval_s=settings.checks_interval_s,
                ),
            ]
            self.jobs = JobRunner([*own, *built.jobs])
            self.jobs.start()
        if "consumers" in self.roles and built.specs:
            self.broker = build_broker(settings)
            for spec in built.specs:
                subscribe(self.broker, spec, runtime.processor)
            await _insist("kafka consumers", self.broker.start)
        runtime.health.started = True

    async def _start_http(self, stuck: StuckEvents) -> None:
        runtime, built, settings = self.runtime, self.built, self.runtime.settings
        secret = read_secret(settings.jwt_secret_file) if settings.jwt_secret_file else None
        if secret is not None and len(secret.encode()) < _TOKEN_SECRET_BYTES_MIN:
            raise ConfigurationError(
                f"the token secret in JWT_SECRET_FILE is too short: HS256 wants {_TOKEN_SECRET_BYTES_MIN} bytes"
            )
        tokens = TokenReader(secret=secret, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
        controllers: list[ControllerRouterHandler] = []
        if not built.http_minimal:
            about = service_controller(
                service=runtime.service,
                db=runtime.db,
                stuck=stuck,
                lineage=built.lineage,
                checks=built.checks,
                audit=runtime.audit,
            )
            controllers = [*built.controllers, about]
        app = build_app(
            service=runtime.service,
            controllers=controllers,
            health=runtime.health,
            tokens=tokens,
            api_tokens=built.api_tokens,
        )
        self.server = _Server(http_config(app, settings))
        self.serving = asyncio.create_task(self.server.serve(), name="http")

    async def stop(self) -> None:
        """Stop taking in, finish what is under way, send what is committed, then close."""
        self.runtime.health.stopping = True
        self.runtime.processor.stop()
        if self.broker is not None:
            await self.broker.stop()
        if self.jobs is not None:
            await self.jobs.stop()
        if self.server is not None and self.serving is not None:
            self.server.should_exit = True
            await self.serving
        if self.relay is not None:
            await self.relay.stop()
        if self.producer is not None:
            await self.producer.stop()
        await self.built.close()


async def _insist(what: str, start: Callable[[], Awaitable[None]]) -> None:
    """Start a Kafka client, waiting for a broker that is away: a service may start before its broker."""
    tries = 0
    while True:
        try:
            await start()
            return
        except Exception as error:  # noqa: BLE001 - aiokafka raises many kinds while a broker is away
            tries += 1
            _log.warning("waiting for kafka", what=what, tries=tries, error=repr(error))
            await asyncio.sleep(min(5.0, 0.2 * 2.0 ** min(tries, 6)))


async def serve(runtime: Runtime, built: Built, *, roles: frozenset[str] = ROLES) -> None:
    """Run until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    process = _Process(runtime, built, roles)
    starting = asyncio.create_task(process.start(), name="start")
    waiting = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            _settle_memory()
            _log.info("serving", roles=sorted(roles), port=runtime.settings.http_port)
            watched = {waiting, process.serving} if process.serving is not None else {waiting}
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if not stop.is_set():
                _log.error("http ended by itself; is the port in use?", port=runtime.settings.http_port)
        else:
            starting.cancel()
    finally:
        waiting.cancel()
        await process.stop()
        _log.info("stopped")


def _settle_memory() -> None:
    """Keep the collector off what was loaded for good, and let it look after a batch instead of in its midst: at the
    default of 700 allocations it took an eighth of a service's time under load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def main(
    *,
    service: str,
    settings: type[ServiceSettings],
    build: Callable[[Runtime], Awaitable[Built]],
    migrations: Path,
    arguments: list[str] | None = None,
) -> int:
    """The command line of a service: ``serve``, ``migrate``, ``settings``. Answers the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m prizewire_{service}")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run HTTP, consumers, relay and jobs")
    serving.add_argument(
        "--roles", default=",".join(sorted(ROLES)), help="comma-separated subset of the roles"
    )
    commands.add_parser("migrate", help="bring the database to the newest revision, as its owner")
    commands.add_parser("settings", help="print every environment variable as JSON")
    options = parser.parse_args(arguments)
    if options.command == "settings":
        sys.stdout.write(json.dumps(_describe(settings), indent=1) + "\n")
        return 0
    try:
        found = settings()
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in item["loc"]).upper()
            _complain(f"{service}: the setting {name} is wrong: {item['msg']}")
        return 2
    configure(service=service, level=found.log_level)
    try:
        if options.command == "migrate":
            return _migrate(service, found, migrations)
        roles = frozenset(options.roles.split(","))
        if not roles <= ROLES:
            _complain(f"{service}: unknown roles {sorted(roles - ROLES)}; there are {sorted(ROLES)}")
            return 2
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(service, found, build, roles))
    except (ConfigurationError, UnsafeKeyFile) as error:
        _complain(f"{service}: {error}")
        return 2
    return 0


def _complain(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")


async def _serve(
    service: str,
    settings: ServiceSettings,
    build: Callable[[Runtime], Awaitable[Built]],
    roles: frozenset[str],
) -> None:
    async with open_runtime(settings, service=service) as runtime:
        await serve(runtime, await build(runtime), roles=roles)


def _migrate(service: str, settings: ServiceSettings, migrations: Path) -> int:
    from prizewire_chassis.db.migrate import migrate  # noqa: PLC0415 - Alembic is not loaded while serving

    if settings.database_migration_url is None:
        _complain(f"{service}: set DATABASE_MIGRATION_URL to the database under its owner's role")
        return 2
    role = make_url(settings.database_url.get_secret_value()).username
    migrate(
        url=settings.database_migration_url.get_secret_value(), script_location=migrations, runtime_role=role
    )
    return 0


def _describe(settings: type[ServiceSettings]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, info in settings.model_fields.items():
        default = None if info.is_required() else info.default
        if isinstance(default, SecretStr):
            default = None
        rows.append(
            {
                "name": name.upper(),
                "required": info.is_required(),
                "secret": "SecretStr" in str(info.annotation),
                "default": None
                if default is None
                else str(default).lower()
                if isinstance(default, bool)
                else str(default),
                "description": info.description or "",
            }
        )
    return rows
