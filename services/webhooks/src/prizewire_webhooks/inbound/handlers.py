"""Webhooks of providers: verified, stored once, published once."""

from collections.abc import Mapping
from datetime import datetime

from prizewire_contracts.rails import ProviderEvent, WebhookRefused
from prizewire_webhooks.errors import RailUnknown
from prizewire_webhooks.inbound.domain import ProviderCall, ProviderEventStored
from prizewire_webhooks.inbound.ports import Inbound, ProviderStore

_TEXT_CHARS_MAX = 120
"""Provider and event id together are an event's subject, which has at most 256 characters."""


class Conflict:
    """An id that came before came with another body. ``fresh`` when this body is seen for the first time."""

    __slots__ = ("fresh",)

    def __init__(self, *, fresh: bool) -> None:
        self.fresh = fresh


def verify(
    *,
    rail: str,
    rails: Mapping[str, Inbound],
    body: bytes,
    body_hash: bytes,
    headers: Mapping[str, str],
    now: datetime,
) -> ProviderCall:
    """Have a rail's verifier look at the raw bytes.

    Raises:
        RailUnknown: no rail of this name takes webhooks.
        WebhookRefused: the code of the verifier, or ``malformed`` for an event without usable names.
    """
    inbound = rails.get(rail)
    if inbound is None:
        raise RailUnknown
    event: ProviderEvent = inbound.verify(body=body, headers=headers, now=now)
    named = () if event.provider_ref is None else (event.provider_ref,)
    for text in (rail, event.event_id, event.event_type, *named):
        if not 1 <= len(text) <= _TEXT_CHARS_MAX or not text.isprintable():
            code = "malformed"
            raise WebhookRefused(code)
    return ProviderCall(
        rail=rail,
        provider=rail,
        event_id=event.event_id,
        event_type=event.event_type,
        provider_key=event.provider_key,
        provider_ref=event.provider_ref,
        body_hash=body_hash,
    )


async def receive(
    call: ProviderCall, *, store: ProviderStore, now: datetime
) -> ProviderEventStored | Conflict | None:
    """Store a verified call: the event to publish when it is new, None when it is a repetition, a conflict
    when the id came with another body.
    """
    first = await store.record(call, now=now)
    if first is None:
        return ProviderEventStored(
            provider=call.provider,
            event_id=call.event_id,
            event_type=call.event_type,
            provider_key=call.provider_key,
            provider_ref=call.provider_ref,
            body_hash=call.body_hash,
        )
    if first == call.body_hash:
        return None
    return Conflict(fresh=await store.record_conflict(call, now=now))
