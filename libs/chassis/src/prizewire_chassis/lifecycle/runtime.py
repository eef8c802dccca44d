"""The parts that every service is built from, and the result of its composition root."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from litestar.types import ControllerRouterHandler
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import check_assets
from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import ApiTokens
from prizewire_chassis.checks import Check
from prizewire_chassis.clock import Clock, SystemClock
from prizewire_chassis.db import Database
from prizewire_chassis.health import Health
from prizewire_chassis.http.lineage import Lineage, LineageEntry
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_chassis.jobs import Job
from prizewire_chassis.lifecycle.files import read_message_key, read_trust
from prizewire_chassis.lifecycle.traces import start_traces
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.settings import ConfigurationError, ServiceSettings
from prizewire_contracts.trust import MessageKey, TrustStore
from prizewire_money import AssetRegistry


def database_url(text: str, *, setting: str) -> URL:
    """The URL in a setting.

    Raises:
        ConfigurationError: it is not a URL. The message does not repeat it, since it holds a password.
    """
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            f"{setting} is not a URL of the form postgresql://role:password@host:port/database"
        ) from None


async def _no_lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:  # noqa: ARG001 - a Lineage
    return []


async def _nothing() -> None:
    return


@dataclass(slots=True)
class Runtime:
    """The parts that every service is built from."""

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
    """The result of a service's composition root. ``http_minimal``: HTTP serves only health and metrics.
    ``api_tokens`` reads the tokens that the service issued to other systems.

    ``assets``: the service starts only where the database has the same assets.

    ``checks_watched``: the service runs its checks by jobs of its own, so that the common job checks only the audit chain.
    """

    controllers: Sequence[ControllerRouterHandler] = ()
    assets: AssetRegistry | None = None
    lineage: Lineage = _no_lineage
    checks: Sequence[Check] = ()
    specs: Sequence[ConsumerSpec] = ()
    jobs: Sequence[Job] = ()
    close: Callable[[], Awaitable[None]] = _nothing
    http_minimal: bool = False
    api_tokens: ApiTokens | None = None
    checks_watched: bool = False


async def check_database(runtime: Runtime, built: Built) -> None:
    """Check that the database answers, and that it has the service's assets with the same decimals.

    Raises:
        ConfigurationError: the assets differ.
        NotMigrated: it has no tables yet.
        Exception: what the driver raises while the database is unavailable.
    """
    await runtime.db.ping()
    if built.assets is not None:
        await check_assets(runtime.db, built.assets, file=runtime.settings.assets_file.name)


@asynccontextmanager
async def open_runtime(
    settings: ServiceSettings, *, service: str, clock: Clock | None = None
) -> AsyncIterator[Runtime]:
    """Build the runtime, and close its database at the end.

    Raises:
        UnsafeKeyFile: a key file is missing or readable by others.
        ConfigurationError: DATABASE_URL is not a URL, or a key file is malformed.
    """
    time = clock or SystemClock()
    key = read_message_key(settings.message_key_file)
    trust = read_trust(settings.trust_file)
    url = settings.database_url.get_secret_value()
    database_url(url, setting="DATABASE_URL")
    recorder = start_traces(settings, service=service)
    db = Database(url, application_name=f"prizewire-{service}")
    outbox = Outbox(service=service, key=key, clock=time)
    audit = Audit(service=service, outbox=outbox, clock=time)
    try:
        yield Runtime(
            service=service,
            settings=settings,
            clock=time,
            db=db,
            key=key,
            trust=trust,
            outbox=outbox,
            audit=audit,
            processor=BatchProcessor(db=db, trust=trust, clock=time, audit=audit),
            health=Health(),
        )
    finally:
        await db.close()
        if recorder is not None:
            await recorder.close()
