"""Every Kafka topic: its name, who may write it, which event types it carries."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, get_args

from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events.audit import AuditRecordedEvent
from prizewire_contracts.events.matches import MatchEvent
from prizewire_contracts.events.payouts import PayoutEvent
from prizewire_contracts.events.players import PlayerUpdatedEvent
from prizewire_contracts.events.provider_webhooks import ProviderEventReceivedEvent
from prizewire_contracts.events.rewards import RewardsEvent
from prizewire_contracts.events.settlements import SettlementEvent
from prizewire_contracts.events.signing import SigningRequestEvent, SigningResultEvent


@dataclass(frozen=True)
class Topic:
    """A topic. ``producers`` are service names, ``game-server`` or ``identity``, ``consumers`` the services that read it today;
    ``partitions`` are fixed for life, since the key decides the partition and so the order. ``retention`` is how long Kafka keeps
    a message at least.
    """

    name: str
    producers: frozenset[str]
    consumers: frozenset[str]
    union: Any
    partitions: int = 4
    retention: timedelta = timedelta(days=30)

    @cached_property
    def models(self) -> dict[str, type[Envelope]]:
        """Envelope model by event type."""
        arm = get_args(self.union)[0] if get_args(self.union) else self.union
        members = get_args(arm) or (arm,)
        return {member.model_fields["type"].default: member for member in members}


MATCHES = Topic("prizewire.matches.v1", frozenset({"game-server"}), frozenset({"settlement"}), MatchEvent)
SETTLEMENTS = Topic(
    "prizewire.settlements.v1", frozenset({"settlement"}), frozenset({"rewards"}), SettlementEvent
)
REWARDS = Topic(
    "prizewire.rewards.v1", frozenset({"rewards"}), frozenset({"payouts", "settlement"}), RewardsEvent
)
PAYOUTS = Topic(
    "prizewire.payouts.v1", frozenset({"payouts"}), frozenset({"rewards", "webhooks"}), PayoutEvent
)
SIGNING_REQUESTS = Topic(
    "prizewire.signing.requests.v1", frozenset({"payouts"}), frozenset({"signer"}), SigningRequestEvent
)
SIGNING_RESULTS = Topic(
    "prizewire.signing.results.v1", frozenset({"signer"}), frozenset({"payouts"}), SigningResultEvent
)
PLAYERS = Topic(
    "prizewire.players.v1", frozenset({"identity"}), frozenset({"rewards", "payouts"}), PlayerUpdatedEvent
)
PROVIDER_WEBHOOKS = Topic(
    "prizewire.provider-webhooks.v1",
    frozenset({"webhooks"}),
    frozenset({"payouts"}),
    ProviderEventReceivedEvent,
)
AUDIT = Topic(
    "prizewire.audit.v1",
    frozenset({"settlement", "rewards", "payouts", "webhooks", "signer"}),
    frozenset({"payouts"}),
    AuditRecordedEvent,
    retention=timedelta(days=366),
)

TOPICS: tuple[Topic, ...] = (
    MATCHES,
    SETTLEMENTS,
    REWARDS,
    PAYOUTS,
    SIGNING_REQUESTS,
    SIGNING_RESULTS,
    PLAYERS,
    PROVIDER_WEBHOOKS,
    AUDIT,
)


def topic_of(event_type: str) -> Topic:
    """The topic that carries an event type.

    Raises:
        KeyError: no topic does.
    """
    return _TOPIC_OF[event_type]


_TOPIC_OF = {event_type: topic for topic in TOPICS for event_type in topic.models}
