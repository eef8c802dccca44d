"""What the use cases of subscriptions and deliveries need from outside. Each store works inside its caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_webhooks.outbound.domain.addresses import Target
from prizewire_webhooks.outbound.domain.decisions import Verdict
from prizewire_webhooks.outbound.domain.model import (
    Answer,
    Delivery,
    PublicEvent,
    SealedSecret,
    Subscription,
    Task,
    Unverified,
)
from prizewire_webhooks.outbound.domain.states import SubscriptionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a subscription stands when an outcome is recorded."""

    state: SubscriptionState
    failures: int
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How many deliveries a batch of events led to, and the ids under which another event was stored before. The event of the
    batch was not stored then.
    """

    deliveries: int
    taken: frozenset[str] = frozenset()


class Sealer(Protocol):
    """Encrypts subscribers' secrets."""

    def seal(self, secret: str, *, subscription_id: UUID) -> SealedSecret:
        """Encrypt, bound to the subscription: a secret moved to another row does not open."""
        ...


class AddressBook(Protocol):
    """Looks hosts up."""

    async def check(self, target: Target) -> None:
        """Hold scheme and port to the rules, look the host up, and judge every address found.

        Raises:
            SchemeRefused, PortRefused: see ``TargetRules``.
            HostUnknown: it does not resolve.
            AddressRefused: one of its addresses is not public.
        """
        ...


class Verifier(Protocol):
    """Knows the keys of the producers."""

    def body(self, task: Task) -> bytes | Unverified:
        """The event's CloudEvent JSON without our signature, made of its message after the signature was verified; or why the
        delivery must not be sent.
        """
        ...


class Sender(Protocol):
    """Sends one attempt."""

    async def send(self, task: Task, *, body: bytes, now: datetime) -> Answer:
        """Sign and post what ``Verifier`` returned; whatever goes wrong outside of us is an ``Answer`` too."""
        ...


class SubscriptionStore(Protocol):
    """Subscriptions."""

    async def lock_registry(self) -> None:
        """Keep events from being matched until this transaction ends, so that each event falls clearly before or
        after a subscription's begin and end.
        """
        ...

    async def count(self, *, owner: str) -> int:
        """How many subscriptions an owner has that were not deleted."""
        ...

    async def add(self, subscription: Subscription, *, secret: SealedSecret, now: datetime) -> None:
        """Store a new one; it gets every event that is processed later."""
        ...

    async def get(self, subscription_id: UUID, *, lock: bool) -> Subscription | None:
        """One that was not deleted."""
        ...

    async def page(self, *, after: tuple[datetime, UUID] | None, limit: int) -> list[Subscription]:
        """Those not deleted, newest first."""
        ...

    async def end(
        self,
        subscription_id: UUID,
        *,
        old: SubscriptionState,
        new: SubscriptionState,
        reason: str,
        cause: str,
        now: datetime,
    ) -> int:
        """Disable or delete: it gets no later event, and what waits is dropped. Answers how much was."""
        ...


class DeliveryStore(Protocol):
    """Events on their way to subscriptions."""

    async def take_in(self, events: Sequence[PublicEvent], *, now: datetime, give_up_at: datetime) -> Stored:
        """Store events, and one delivery for each subscription that wants one. A fixed number of statements."""
        ...

    async def claim(
        self, *, now: datetime, lease_until: datetime, limit: int, per_subscription: int
    ) -> list[Task]:
        """Lease deliveries that are due: the head of each lane, at most ``per_subscription`` at a time for one
        subscription, one probe for a failing one. Deliveries whose lease ended are among them.
        """
        ...

    async def standing(self, subscription_id: UUID) -> Standing:
        """How the subscription stands, locked until the transaction ends."""
        ...

    async def recover(self, subscription_id: UUID, *, cause: str, now: datetime) -> None:
        """The endpoint answered: a failing subscription is active again."""
        ...

    async def pause(
        self,
        subscription_id: UUID,
        *,
        old: SubscriptionState,
        failures: int,
        probe_at: datetime,
        cause: str,
        now: datetime,
    ) -> None:
        """The endpoint failed: nothing is sent until the probe; deliveries past their age are dead."""
        ...

    async def finish(self, task: Task, *, verdict: Verdict, answer: Answer, now: datetime) -> bool:
        """Record an attempt's outcome; False, and no change, when its lease has passed to another worker."""
        ...

    async def page(
        self, *, subscription_id: UUID, state: str | None, before: int | None, limit: int
    ) -> list[Delivery]:
        """A subscription's deliveries, newest first."""
        ...

    async def of_correlation(self, correlation_id: str) -> list[Delivery]:
        """All deliveries of a correlation id, oldest first."""
        ...

    async def drop_orphans(self, *, now: datetime) -> int:
        """Drop what a dead worker left leased for a subscription that ended; answers how much."""
        ...

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """``subscriptions`` and ``deliveries`` (the open ones only) by state."""
        ...

    async def oldest_open(self) -> datetime | None:
        """When the oldest delivery was created that has not ended; None where all have."""
        ...


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """The stores of one transaction. What they write commits together."""

    subscriptions: SubscriptionStore
    deliveries: DeliveryStore
