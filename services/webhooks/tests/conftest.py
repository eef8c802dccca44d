"""A world for webhooks: a migrated database, a clock in the test's hand, and a subscriber that really listens."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import ManualClock
from prizewire_chassis.db import Database
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.testing import make_key, make_trust, records
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events.payouts import PayoutPaid, PayoutPaidEvent, PayoutProof
from prizewire_contracts.topics import PAYOUTS
from prizewire_contracts.trust import TrustStore
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_webhooks.outbound.adapters.secrets import SecretBox, new_secret
from prizewire_webhooks.outbound.adapters.sender import AddressGuard, HttpSender
from prizewire_webhooks.outbound.consumers import consumer_specs
from prizewire_webhooks.outbound.domain.addresses import TargetRules
from prizewire_webhooks.outbound.domain.invariants import Invariant
from prizewire_webhooks.outbound.domain.model import CreateSubscription
from prizewire_webhooks.outbound.handlers import subscriptions
from prizewire_webhooks.outbound.jobs import Deliverer
from prizewire_webhooks.outbound.messages import EventVerifier
from prizewire_webhooks.outbound.storage import open_unit_of_work
from prizewire_webhooks.outbound.storage.checks import breaches_of
from prizewire_webhooks.outbound.storage.subscriptions import SqlSubscriptions
from services.webhooks.tests.fakes import Receiver

KEY_HEX = hashlib.sha256(b"test webhook encryption").hexdigest()
ANY_TARGET = TargetRules(ports=None, plain_http=True)
"""As in development: receivers of tests listen on http and any port."""


def paid_event(*, correlation_id: str, payout_id: UUID | None = None, version: int = 1) -> EncodedEvent:
    """A signed ``payout.paid`` as payouts publishes it."""
    payout = payout_id or uuid4()
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    data = PayoutPaid(
        payout_id=payout,
        attempt_no=1,
        rail="fake",
        rail_type="fake",
        player="p-1",
        asset="EURC",
        amount="12.50",
        fee="0.00",
        fee_asset="EURC",
        fee_borne_by="platform",
        proof=PayoutProof(reference="r-1"),
        paid_at=clock.now(),
    )
    outbox = Outbox(service="payouts", key=make_key("payouts"), clock=clock)
    return outbox.event(
        PayoutPaidEvent, data, subject=str(payout), version=version, correlation_id=correlation_id
    )


@dataclass
class World:
    """Everything a delivery needs, with helpers that read as a story."""

    db: Database
    clock: ManualClock
    receiver: Receiver
    box: SecretBox
    audit: Audit
    outbox: Outbox
    spec: ConsumerSpec
    processor: BatchProcessor
    deliverer: Deliverer
    migration_url: str
    offset: int = 0
    senders: list[HttpSender] = field(default_factory=list)

    async def subscribe(
        self, *, url: str | None = None, types: Sequence[str] = ("payout.paid",), owner: str = "studio"
    ) -> tuple[UUID, str]:
        secret = new_secret()
        command = CreateSubscription(
            owner=owner, url=url or self.receiver.url, event_types=tuple(types), description=None
        )
        async with self.db.transaction() as tx:
            made = await subscriptions.create(
                command,
                subscription_id=uuid4(),
                secret=secret,
                store=SqlSubscriptions(tx),
                sealer=self.box,
                now=self.clock.now(),
            )
        return made.subscription_id, secret

    async def publish(self, *events: EncodedEvent) -> None:
        """Take events in as one batch from Kafka."""
        batch = records(*events, topic=PAYOUTS.name, start=self.offset)
        self.offset += len(batch)
        await self.processor.process(self.spec, batch)

    async def pump(self) -> None:
        """Deliver until nothing that is due is left."""
        while True:
            await self.deliverer.run()
            if not self.deliverer._running:
                return
            await self.deliverer.idle()

    def another_deliverer(
        self,
        *,
        clock: ManualClock | None = None,
        timeout_s: float = 60,
        slots: int = 32,
        trust: TrustStore | None = None,
    ) -> Deliverer:
        sender = HttpSender(
            box=self.box,
            guard=AddressGuard(allow_loopback=True, rules=ANY_TARGET),
            clock=clock or self.clock,
            connections=slots,
            timeout_s=timeout_s,
        )
        self.senders.append(sender)
        return Deliverer(
            db=self.db,
            unit_of_work=open_unit_of_work,
            verifier=EventVerifier(trust or make_trust()),
            sender=sender,
            clock=clock or self.clock,
            audit=self.audit,
            slots=slots,
        )

    async def rows(self, query: str, **parameters: Any) -> list[Any]:
        async with self.db.transaction() as tx:
            return list((await tx.execute(text(query), parameters)).all())

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows("SELECT state FROM deliveries ORDER BY delivery_id")]

    async def subscription_state(self, subscription_id: UUID) -> str:
        found = await self.rows(
            "SELECT state FROM subscriptions WHERE subscription_id = :id", id=subscription_id
        )
        return str(found[0].state)

    async def breaches(self) -> list[str]:
        found: list[str] = []
        async with self.db.transaction() as tx:
            for invariant in Invariant:
                found += await breaches_of(tx, invariant)
        return found


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    stop = await made.start()
    yield made
    await stop()


@pytest.fixture
def urls(make_database) -> DatabaseUrls:
    made: DatabaseUrls = make_database("webhooks", migrated=True)
    return made


@pytest.fixture
async def db(urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(urls.runtime, application_name="test", pool_size=8)
    yield database
    await database.close()


@pytest.fixture
async def world(db: Database, urls: DatabaseUrls, receiver: Receiver) -> AsyncIterator[World]:
    clock = ManualClock(datetime.now(UTC))
    outbox = Outbox(service="webhooks", key=make_key("webhooks"), clock=clock)
    audit = Audit(service="webhooks", outbox=outbox, clock=clock)
    box = SecretBox(KEY_HEX)
    woken: list[int] = []
    specs = consumer_specs(unit_of_work=open_unit_of_work, clock=clock, wake=lambda: woken.append(1))
    made = World(
        db=db,
        clock=clock,
        receiver=receiver,
        box=box,
        audit=audit,
        outbox=outbox,
        spec=specs[0],
        processor=BatchProcessor(db=db, trust=make_trust(), clock=clock),
        deliverer=None,
        migration_url=urls.migration,
    )
    made.deliverer = made.another_deliverer()
    yield made
    await made.deliverer.close()
    for sender in made.senders:
        await sender.close()
