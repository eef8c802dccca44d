"""The composition root: builds everything from the settings, and is the only reader of them."""

from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.keys import read_secret
from prizewire_chassis.lifecycle import Built, ConfigurationError, FileCheck, Runtime
from prizewire_chassis.logging import get_logger
from prizewire_webhooks.inbound.adapters import RailsFileMalformed, RailVerifier, load_rails
from prizewire_webhooks.inbound.http import provider_controller
from prizewire_webhooks.inbound.messages import provider_event
from prizewire_webhooks.inbound.storage import SqlProviders
from prizewire_webhooks.lineage import lineage_of
from prizewire_webhooks.outbound.adapters.secrets import KeyMalformed, SecretBox, new_secret
from prizewire_webhooks.outbound.adapters.sender import AddressGuard, HttpSender
from prizewire_webhooks.outbound.consumers import consumer_specs
from prizewire_webhooks.outbound.domain.addresses import TargetRules
from prizewire_webhooks.outbound.domain.invariants import Invariant
from prizewire_webhooks.outbound.http import STATUSES, SubscriptionContext, subscription_controller
from prizewire_webhooks.outbound.jobs import Deliverer, sweep_job
from prizewire_webhooks.outbound.messages import EventVerifier
from prizewire_webhooks.outbound.storage import open_unit_of_work
from prizewire_webhooks.outbound.storage.checks import breaches_of
from prizewire_webhooks.settings import WebhooksSettings

_log = get_logger(__name__)


async def build(runtime: Runtime) -> Built:
    """Everything that runs in this service.

    Raises:
        ConfigurationError: loopback is allowed in production, or a file is not what it should be.
    """
    settings = runtime.settings
    assert isinstance(settings, WebhooksSettings), "the composition root is given its own settings"
    if settings.webhooks_allow_loopback and settings.prizewire_environment != "development":
        raise ConfigurationError(
            "WEBHOOKS_ALLOW_LOOPBACK is for development: unset it, or set PRIZEWIRE_ENVIRONMENT=development"
        )
    box, rails = _secret_box(settings), _rails(settings)
    for name in rails:
        _log.info("rail takes webhooks", rail=name)
    guard = AddressGuard(allow_loopback=settings.webhooks_allow_loopback, rules=_target_rules(settings))
    sender = HttpSender(box=box, guard=guard, clock=runtime.clock, connections=settings.webhooks_concurrency)
    deliverer = Deliverer(
        db=runtime.db,
        unit_of_work=open_unit_of_work,
        verifier=EventVerifier(runtime.trust),
        sender=sender,
        clock=runtime.clock,
        audit=runtime.audit,
        slots=settings.webhooks_concurrency,
    )

    async def close() -> None:
        await deliverer.close()
        await sender.close()

    return Built(
        controllers=[
            subscription_controller(
                SubscriptionContext(
                    db=runtime.db,
                    clock=runtime.clock,
                    audit=runtime.audit,
                    errors=STATUSES,
                    unit_of_work=open_unit_of_work,
                    queries=open_unit_of_work,
                    addresses=guard,
                    sealer=box,
                    make_secret=new_secret,
                )
            ),
            provider_controller(
                db=runtime.db,
                store=SqlProviders,
                rails=rails,
                render=partial(provider_event, outbox=runtime.outbox),
                outbox=runtime.outbox,
                audit=runtime.audit,
                clock=runtime.clock,
            ),
        ],
        lineage=lineage_of(open_unit_of_work),
        checks=[
            Check(str(invariant), partial(_breaches, invariant), count=rows_of("deliveries"))
            for invariant in Invariant
        ],
        specs=consumer_specs(unit_of_work=open_unit_of_work, clock=runtime.clock, wake=deliverer.job.wake),
        jobs=[deliverer.job, sweep_job(db=runtime.db, unit_of_work=open_unit_of_work, clock=runtime.clock)],
        close=close,
    )


async def _breaches(invariant: Invariant, tx: AsyncConnection) -> list[str]:
    return await breaches_of(tx, invariant)


def _target_rules(settings: WebhooksSettings) -> TargetRules:
    if settings.prizewire_environment == "development":
        return TargetRules(ports=None, plain_http=True)
    return TargetRules(ports=frozenset({443, 80} if settings.webhooks_allow_port_80 else {443}))


def _secret_box(settings: WebhooksSettings) -> SecretBox:
    try:
        return SecretBox(read_secret(settings.webhook_encryption_key_file))
    except KeyMalformed:
        name = settings.webhook_encryption_key_file.name
        raise ConfigurationError(f"the key file {name} does not hold 64 hexadecimal digits") from None


def _rails(settings: WebhooksSettings) -> dict[str, RailVerifier]:
    try:
        return load_rails(settings.rails_file, environment=settings.prizewire_environment)
    except RailsFileMalformed as error:
        raise ConfigurationError(str(error)) from None


FILES: Final = (FileCheck(["rails_file"], _rails),)
