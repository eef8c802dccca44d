"""Subscriptions, deliveries and their attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from prizewire_webhooks.outbound.domain.states import DeliveryState, SubscriptionState

SUBSCRIPTIONS_PER_OWNER_MAX = 100
EVENT_TYPES_MAX = 50
PUBLIC_TYPES: Mapping[str, str] = {
    "payout.approved": "prizewire.payout.approved.v1",
    "payout.held": "prizewire.payout.held.v1",
    "payout.pending": "prizewire.payout.pending.v1",
    "payout.unknown": "prizewire.payout.unknown.v1",
    "payout.paid": "prizewire.payout.paid.v1",
    "payout.failed": "prizewire.payout.failed.v1",
    "payout.rejected": "prizewire.payout.rejected.v1",
    "payout.cancelled": "prizewire.payout.cancelled.v1",
    "payout.returned": "prizewire.payout.returned.v1",
}
"""Event types that subscribers may ask for, by their short name. Types that carry payout details are not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """An address that receives events of some types. ``failures`` counts attempts in a row that found the endpoint failing; while
    it fails, the next probe goes out at ``probe_at``.
    """

    subscription_id: UUID
    owner: str
    url: str
    event_types: tuple[str, ...]
    description: str | None
    state: SubscriptionState
    failures: int
    probe_at: datetime | None
    reason: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """A signing secret, encrypted; ``key_id`` names the key that opens it."""

    subscription_id: UUID
    key_id: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicEvent:
    """An event for subscribers. ``message`` is its CloudEvent as it came from Kafka, signed by its producer; None for an event
    that was stored before messages were.
    """

    event_id: str
    source: str
    type: str
    subject: str
    correlation_id: str
    message: bytes | None = field(repr=False)


class Unverified(StrEnum):
    """Why a delivery is not sent, whatever its row says. The values are stable codes."""

    NOT_AUTHENTIC = "event_not_authentic"
    """The message is not an event with a valid signature of its producer for its topic."""
    KEY_NOT_TRUSTED = "event_key_not_trusted"
    """``trust.json`` has no such key of the producer, valid at the event's time. The only reason that can pass: it is tried again."""
    WITHOUT_MESSAGE = "event_without_message"
    """The event was stored before messages were."""
    DIFFERS = "event_differs"
    """The row says something else than the message: id, type, source, subject or correlation id."""
    NOT_WANTED = "event_not_wanted"
    """The type is not public or not of this subscription, or the event is older than the subscription."""
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a code
    """The subscription has no secret: it was not created over HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A claimed delivery: the ``number``-th attempt, from 1. ``probe`` when it tries a failing endpoint. ``event`` is the stored
    event, not verified yet; ``wanted`` whether its row is one that the subscription asked for.
    """

    delivery_id: int
    number: int
    refusals: int
    probe: bool
    give_up_at: datetime
    subscription_id: UUID
    url: str
    secrets: Sequence[SealedSecret]
    event: PublicEvent
    wanted: bool
    correlation_id: str
    event_taken_at: datetime

    @property
    def event_id(self) -> str:
        """The event's id."""
        return self.event.event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one attempt. ``status`` is None when there was no HTTP answer: ``code`` then says why
    (``timeout``, ``connect_failed``, ``connection_lost``, ``tls_failed``, ``protocol_error``,
    ``address_refused``, ``host_unknown``, ``scheme_refused``, ``port_refused``, ``url_invalid``, or one of ``Unverified``).
    ``excerpt`` is the start of the answer's body, redacted.
    """

    status: int | None
    latency_ms: int
    code: str | None = None
    retry_after_s: int | None = None
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try, as history shows it. ``outcome`` is ``open`` while it is under way, ``lost`` when its worker died."""

    number: int
    started_at: datetime
    outcome: str
    status: int | None
    code: str | None
    latency_ms: int | None
    response: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one subscription, with every attempt."""

    delivery_id: int
    subscription_id: UUID
    host: str
    event_id: str
    event_type: str
    correlation_id: str
    state: DeliveryState
    due_at: datetime
    created_at: datetime
    changed_at: datetime
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSubscription:
    """Tell ``url`` of every event of these types from now on. Types are full or short names."""

    owner: str
    url: str
    event_types: tuple[str, ...]
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSubscription:
    """End a subscription."""

    subscription_id: UUID
    actor: str
