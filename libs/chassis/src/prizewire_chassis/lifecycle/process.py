"""One process of a service: its parts by roles, and a shutdown that finishes running work."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from socket import socket

import uvicorn
from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker
from litestar import Litestar
from litestar.types import ControllerRouterHandler

from prizewire_chassis.audit import AuditTable, newest_published
from prizewire_chassis.auth import TokenReader
from prizewire_chassis.checks import checks_job, common_checks
from prizewire_chassis.health import Health
from prizewire_chassis.http.app import build_app
from prizewire_chassis.http.audit_routes import audit_controller
from prizewire_chassis.http.limits import Limits
from prizewire_chassis.http.protocol import limited_protocol
from prizewire_chassis.http.service_routes import service_controller
from prizewire_chassis.jobs import Job, JobRunner
from prizewire_chassis.kafka import Offsets, build_broker, build_producer, subscribe
from prizewire_chassis.lag import ASK_INTERVAL_S
from prizewire_chassis.lifecycle.certificates import certificates_job
from prizewire_chassis.lifecycle.runtime import Built, Runtime, check_database
from prizewire_chassis.lifecycle.tokens import token_reader
from prizewire_chassis.lifecycle.waiting import STOP_SIGNALS, wait_for_database, wait_for_kafka
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import BUILD_INFO
from prizewire_chassis.outbox import EVENTS_KEPT, Relay, measure_waiting, purge_published
from prizewire_chassis.settings import ServiceSettings
from prizewire_chassis.stuck_events import StuckEvents
from prizewire_chassis.tracing import purge_traces

ROLES = frozenset({"http", "consumers", "relay", "jobs"})
HTTP_KEEP_ALIVE_S = 650
"""An idle connection must outlive the idle time of every proxy in front (nginx and AWS 60 s, Caddy 120 s, Google
600 s): else a proxy may reuse one that is just being closed, and answers 502 to a POST that it cannot repeat.
"""
HTTP_FINISH_S = 30
"""How long requests may still run after the listener was closed, in seconds; then they are cancelled."""
_ARRIVED_S = 0.05
"""The time in which requests that had arrived when the listener closed are read, in seconds."""
_COLLECT_AFTER = 50_000
"""Allocations less releases of containers between two collections; a batch of 500 events holds about as many."""
_log = get_logger(__name__)


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: this module handles the shutdown."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Close the listener, read what has arrived on open connections, close the idle ones, and wait for the others."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(_ARRIVED_S)
        await super().shutdown(sockets)


def http_config(app: Litestar, settings: ServiceSettings, health: Health) -> uvicorn.Config:
    """How a service's HTTP interface is served: HTTP/1.1 behind a proxy, lifespan and logging left to the service. While
    ``health`` is stopping, each answer closes its connection.
    """
    return uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=HTTP_KEEP_ALIVE_S,
        timeout_graceful_shutdown=HTTP_FINISH_S,
        server_header=False,
        http=limited_protocol(
            header_s=settings.http_header_timeout_s,
            body_s=settings.http_body_timeout_s,
            connections_max=settings.http_connections_max,
            draining=lambda: health.stopping,
        ),
        forwarded_allow_ips=settings.http_trusted_proxies,
    )


@dataclass(slots=True)
class _Process:
    """The running parts of a process, and the order in which they end."""

    runtime: Runtime
    built: Built
    roles: frozenset[str]
    broker: KafkaBroker | None = None
    offsets: list[Offsets] = field(default_factory=list)
    producer: AIOKafkaProducer | None = None
    relay: Relay | None = None
    jobs: JobRunner | None = None
    measures: JobRunner | None = None
    server: _Server | None = None
    serving: asyncio.Task[None] | None = field(default=None)

    async def start(self) -> None:
        runtime, built, settings = self.runtime, self.built, self.runtime.settings
        stuck = StuckEvents(
            db=runtime.db, processor=runtime.processor, specs=built.specs, clock=runtime.clock
        )
        BUILD_INFO.labels(runtime.service, version_of(runtime.service)).set(1)
        runtime.health.add("database", runtime.db.ping)
        tokens = None if built.http_minimal or "http" not in self.roles else token_reader(settings)
        await wait_for_database(partial(check_database, runtime, built), setting="DATABASE_URL")
        if "http" in self.roles:
            self._start_http(stuck, tokens)
        if "relay" in self.roles:
            self.producer = build_producer(settings)
            await wait_for_kafka("kafka producer", self.producer.start)
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
                    lambda: purge_published(runtime.db, clock=runtime.clock, keep=EVENTS_KEPT),
                ),
                Job("traces.purge", 600.0, lambda: purge_traces(runtime.db, clock=runtime.clock)),
                checks_job(
                    db=runtime.db,
                    checks=[
                        *(() if built.checks_watched else built.checks),
                        *common_checks(service=runtime.service, stuck=stuck),
                    ],
                    interval_s=settings.checks_interval_s,
                ),
            ]
            self.jobs = JobRunner([*own, *built.jobs])
            self.jobs.start()
        if "consumers" in self.roles and built.specs:
            self.broker = build_broker(settings)
            for spec in built.specs:
                self.offsets.append(subscribe(self.broker, spec, runtime.processor, runtime.health))
            await wait_for_kafka("kafka consumers", self.broker.start)
        self.measures = JobRunner(
            [
                certificates_job(settings),
                *(
                    Job(f"consumer.ends {spec.name}", ASK_INTERVAL_S, offsets.ask_for_ends)
                    for spec, offsets in zip(built.specs, self.offsets, strict=False)
                ),
            ]
        )
        self.measures.start()
        runtime.health.started = True

    def _start_http(self, stuck: StuckEvents, tokens: TokenReader | None) -> None:
        runtime, built, settings = self.runtime, self.built, self.runtime.settings
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
            chain = audit_controller(
                db=runtime.db, table=AuditTable(runtime.service, newest_published(runtime.service))
            )
            controllers = [*built.controllers, about, chain]
        app = build_app(
            service=runtime.service,
            controllers=controllers,
            health=runtime.health,
            tokens=tokens,
            api_tokens=built.api_tokens,
            limits=Limits.per_minute(
                callers=settings.http_rate_per_minute,
                anonymous=settings.http_anonymous_rate_per_minute,
                bad_tokens=settings.http_bad_tokens_per_minute,
            ),
            body_s=settings.http_body_timeout_s,
            cors_origins=[origin for one in settings.http_cors_origins.split(",") if (origin := one.strip())],
        )
        self.server = _Server(http_config(app, settings, runtime.health))
        self.serving = asyncio.create_task(self.server.serve(), name="http")

    async def stop(self) -> None:
        """Stop in an order in which nothing that was accepted is lost.

        Readiness ends. At once consumers and jobs finish their running work, so that another replica takes their partitions,
        and HTTP goes on for ``HTTP_DRAIN_S``. Then the relay publishes what was committed, and the rest is closed.

        Raises:
            Exception: the first of the parts that did not end in order; the others have ended.
        """
        self.runtime.health.stopping = True
        self.runtime.processor.stop()
        ends = await asyncio.gather(
            self._end_consumers(), self._end_jobs(), self._end_http(), return_exceptions=True
        )
        if self.relay is not None:
            await self.relay.stop()
        if self.producer is not None:
            await self.producer.stop()
        await self.built.close()
        for error in ends:
            if error is not None:
                raise error

    async def _end_consumers(self) -> None:
        if self.measures is not None:
            await self.measures.stop()
        if self.broker is not None:
            await asyncio.gather(*(offsets.commit() for offsets in self.offsets))
            await self.broker.stop()

    async def _end_jobs(self) -> None:
        if self.jobs is not None:
            await self.jobs.stop()

    async def _end_http(self) -> None:
        if self.server is None or self.serving is None:
            return
        if self.runtime.health.started:
            # Until the load balancer knows that this process is not ready, it sends requests.
            await asyncio.wait({self.serving}, timeout=self.runtime.settings.http_drain_s)
        self.server.should_exit = True
        await self.serving


def version_of(service: str) -> str:
    """The version of a service's package; ``unknown`` where it is not installed."""
    try:
        return version(f"prizewire-{service}")
    except PackageNotFoundError:
        return "unknown"


async def serve(runtime: Runtime, built: Built, *, roles: frozenset[str] = ROLES) -> None:
    """Run until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
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
    """Exclude loaded modules from garbage collection, and raise its threshold, so that it runs between batches and not within
    one. At the default of 700 allocations it took an eighth of a service's time under load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
