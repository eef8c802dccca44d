"""Subscriptions: created with a secret that is shown once, ended over HTTP or by their endpoint."""

from datetime import datetime
from uuid import UUID

from prizewire_webhooks.errors import EventTypesRefused, SubscriptionNotFound, TooManySubscriptions
from prizewire_webhooks.outbound.domain.addresses import parse_url
from prizewire_webhooks.outbound.domain.model import (
    EVENT_TYPES_MAX,
    PUBLIC_TYPES,
    SUBSCRIPTIONS_PER_OWNER_MAX,
    CreateSubscription,
    RemoveSubscription,
    Subscription,
)
from prizewire_webhooks.outbound.domain.states import SubscriptionState, check_subscription
from prizewire_webhooks.outbound.ports import AddressBook, Sealer, SubscriptionStore


def full_types(names: tuple[str, ...]) -> tuple[str, ...]:
    """Full event types of full or short names, sorted, each once.

    Raises:
        EventTypesRefused: none, too many, or one that is not published to subscribers.
    """
    if not 1 <= len(names) <= EVENT_TYPES_MAX:
        raise EventTypesRefused(f"name between 1 and {EVENT_TYPES_MAX} event types")
    known = {**PUBLIC_TYPES, **{full: full for full in PUBLIC_TYPES.values()}}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise EventTypesRefused(f"not published: {', '.join(unknown)}; there are {', '.join(PUBLIC_TYPES)}")
    return tuple(sorted({known[name] for name in names}))


async def check_request(command: CreateSubscription, *, addresses: AddressBook) -> None:
    """Judge a requested subscription, its host looked up; for before the transaction.

    Raises:
        UrlRefused, SchemeRefused, PortRefused, HostUnknown, AddressRefused, EventTypesRefused: what is wrong with it.
    """
    full_types(command.event_types)
    await addresses.check(parse_url(command.url))


async def create(
    command: CreateSubscription,
    *,
    subscription_id: UUID,
    secret: str,
    store: SubscriptionStore,
    sealer: Sealer,
    now: datetime,
) -> Subscription:
    """Store a subscription that was judged by ``check_request``; it gets every event that is processed from now on.

    Raises:
        TooManySubscriptions: the owner has enough.
    """
    await store.lock_registry()
    if await store.count(owner=command.owner) >= SUBSCRIPTIONS_PER_OWNER_MAX:
        raise TooManySubscriptions(f"one owner has at most {SUBSCRIPTIONS_PER_OWNER_MAX} subscriptions")
    subscription = Subscription(
        subscription_id=subscription_id,
        owner=command.owner,
        url=command.url,
        event_types=full_types(command.event_types),
        description=command.description,
        state=SubscriptionState.ACTIVE,
        failures=0,
        probe_at=None,
        reason=None,
        created_at=now,
        changed_at=now,
    )
    await store.add(subscription, secret=sealer.seal(secret, subscription_id=subscription_id), now=now)
    return subscription


async def remove(command: RemoveSubscription, *, store: SubscriptionStore, now: datetime) -> Subscription:
    """End a subscription; what waits for it is dropped.

    Raises:
        SubscriptionNotFound: there is none.
    """
    await store.lock_registry()
    found = await store.get(command.subscription_id, lock=True)
    if found is None:
        raise SubscriptionNotFound
    check_subscription(found.state, SubscriptionState.DELETED)
    await store.end(
        found.subscription_id,
        old=found.state,
        new=SubscriptionState.DELETED,
        reason="removed",
        cause=command.actor,
        now=now,
    )
    return found
