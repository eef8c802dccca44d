"""`prizewire.provider-webhooks.v1`: hints of rails, after which payouts asks the rail at once."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, never
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events.provider_webhooks import ProviderEventReceivedEvent
from prizewire_contracts.topics import PROVIDER_WEBHOOKS
from prizewire_payouts.payouts.handlers.watching import Hint, apply_hints
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.unit_of_work import UnitOfWorkFactory

CONSUMER = "payouts.provider-webhooks"


def hints_spec(handler: "HintsConsumer") -> ConsumerSpec:
    """The consumer of hints. Without a hint the rail is asked at its next look-up, so hints need no order."""
    return ConsumerSpec(name=CONSUMER, topic=PROVIDER_WEBHOOKS, handler=handler, version_rule=never)


class HintsConsumer:
    """Makes the look-up due of each payout that a verified webhook names."""

    def __init__(self, *, unit_of_work: UnitOfWorkFactory, clock: Clock) -> None:
        self._unit_of_work = unit_of_work
        self._clock = clock

    async def __call__(self, tx: AsyncConnection, events: Sequence[Incoming]) -> Mapping[int, Refusal]:
        """Apply a batch; no hint is refused."""
        hints = [_hint(incoming.event) for incoming in events]
        await apply_hints(PayoutStorage(self._unit_of_work(tx)), hints, now=self._clock.now())
        return {}


def _hint(event: Envelope) -> Hint:
    assert isinstance(event, ProviderEventReceivedEvent)
    data = event.data
    try:
        key = None if data.provider_key is None else UUID(data.provider_key)
    except ValueError:
        # the key is of no stored attempt: the rail's reference may still find the payout
        key = None
    return Hint(rail=data.provider, provider_key=key, provider_ref=data.provider_ref)
