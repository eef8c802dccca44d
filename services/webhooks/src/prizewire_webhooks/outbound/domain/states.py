"""The two state machines as tables: every edge with its reason. The database enforces the same edges."""

from collections.abc import Mapping
from enum import StrEnum

from prizewire_webhooks.errors import IllegalTransition


class SubscriptionState(StrEnum):
    """Whether events are collected for a subscription, and whether they are sent."""

    ACTIVE = "active"
    FAILING = "failing"
    """Its endpoint does not answer as it should: one delivery at a time is tried, the others wait."""
    DISABLED = "disabled"
    DELETED = "deleted"


SUBSCRIPTION_STARTS: Mapping[SubscriptionState, str] = {SubscriptionState.ACTIVE: "created over HTTP"}
SUBSCRIPTION_EDGES: Mapping[tuple[SubscriptionState, SubscriptionState], str] = {
    (SubscriptionState.ACTIVE, SubscriptionState.FAILING): "an attempt found its endpoint failing",
    (SubscriptionState.FAILING, SubscriptionState.ACTIVE): "its endpoint answered again",
    (SubscriptionState.ACTIVE, SubscriptionState.DISABLED): "its endpoint answered 410 Gone",
    (SubscriptionState.FAILING, SubscriptionState.DISABLED): "its endpoint answered 410 Gone",
    (SubscriptionState.ACTIVE, SubscriptionState.DELETED): "removed over HTTP",
    (SubscriptionState.FAILING, SubscriptionState.DELETED): "removed over HTTP",
    (SubscriptionState.DISABLED, SubscriptionState.DELETED): "removed over HTTP",
}


class DeliveryState(StrEnum):
    """How far one event has come on its way to one subscription."""

    PENDING = "pending"
    SENDING = "sending"
    """Leased by a worker. When the lease ends without an outcome, another worker sends it again."""
    DELIVERED = "delivered"
    DEAD = "dead"
    DROPPED = "dropped"


DELIVERY_STARTS: Mapping[DeliveryState, str] = {DeliveryState.PENDING: "its event was taken in"}
DELIVERY_EDGES: Mapping[tuple[DeliveryState, DeliveryState], str] = {
    (DeliveryState.PENDING, DeliveryState.SENDING): "claimed by a worker",
    (DeliveryState.SENDING, DeliveryState.DELIVERED): "answered 2xx",
    (
        DeliveryState.SENDING,
        DeliveryState.PENDING,
    ): "not delivered, worth another try, or its key is not trusted now",
    (
        DeliveryState.SENDING,
        DeliveryState.DEAD,
    ): "not delivered, tries or time used up, 410 Gone, or not verified",
    (DeliveryState.SENDING, DeliveryState.DROPPED): "its subscription ended meanwhile",
    (DeliveryState.PENDING, DeliveryState.DEAD): "its time ran out while the endpoint failed",
    (DeliveryState.PENDING, DeliveryState.DROPPED): "its subscription ended",
}


def check_subscription(old: SubscriptionState, new: SubscriptionState) -> None:
    """Refuse an edge that a subscription does not have.

    Raises:
        IllegalTransition: there is none.
    """
    if (old, new) not in SUBSCRIPTION_EDGES:
        raise IllegalTransition(machine="subscription", old=old, new=new)


def check_delivery(old: DeliveryState, new: DeliveryState) -> None:
    """Refuse an edge that a delivery does not have.

    Raises:
        IllegalTransition: there is none.
    """
    if (old, new) not in DELIVERY_EDGES:
        raise IllegalTransition(machine="delivery", old=old, new=new)
