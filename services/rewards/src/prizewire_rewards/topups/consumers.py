"""Events about top-ups become commands of one batch."""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import Incoming
from prizewire_contracts.events import payouts as payout_events
from prizewire_money import AssetRegistry
from prizewire_rewards import metrics
from prizewire_rewards.errors import Refused
from prizewire_rewards.ledger.consumers import amount_of, same_subject
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.topups.domain import CreditTopup, ReversalKind, ReverseTopup, TopupCommand, WinDispute
from prizewire_rewards.topups.handlers import apply_topup_events, lock_intakes
from prizewire_rewards.topups.ports import TopupPorts

TOPUP_TYPES: Final = frozenset(
    {
        "prizewire.topup.completed.v1",
        "prizewire.topup.refunded.v1",
        "prizewire.topup.disputed.v1",
        "prizewire.topup.dispute_won.v1",
    }
)


_REVERSALS: Final = {
    payout_events.TopupRefundedEvent: ReversalKind.REFUND,
    payout_events.TopupDisputedEvent: ReversalKind.DISPUTE,
}


def topup_command(item: Incoming, *, assets: AssetRegistry) -> TopupCommand | None:
    """The command of an event of the payouts topic; None where the event is not about a top-up.

    Raises:
        Refused: its subject, asset or amount cannot be read.
    """
    event = item.event
    if isinstance(event, payout_events.TopupCompletedEvent):
        data = event.data
        same_subject(event.subject, data.topup_id)
        amount = amount_of(assets, data.asset, data.amount)
        return CreditTopup(
            topup_id=data.topup_id,
            player=data.player,
            asset=amount.asset.code,
            amount=amount.minor,
            rail=data.rail,
            reference=data.reference,
            correlation_id=event.correlationid,
            cause=event.id,
        )
    if not isinstance(event.data, payout_events.TopupReversal):
        return None
    reversal = event.data
    same_subject(event.subject, reversal.topup_id)
    amount = amount_of(assets, reversal.asset, reversal.amount)
    kind = _REVERSALS.get(type(event))
    if kind is None:
        return WinDispute(
            topup_id=reversal.topup_id,
            player=reversal.player,
            asset=amount.asset.code,
            amount=amount.minor,
            rail=reversal.rail,
            reference=reversal.reversal_ref,
            cause=event.id,
        )
    return ReverseTopup(
        topup_id=reversal.topup_id,
        player=reversal.player,
        asset=amount.asset.code,
        amount=amount.minor,
        rail=reversal.rail,
        reference=reversal.reversal_ref,
        kind=kind,
        cause=event.id,
    )


@dataclass(frozen=True, slots=True)
class TopupBatch:
    """The commands about top-ups of a batch, their indexes in the batch, and the intake so far by asset."""

    commands: Sequence[TopupCommand]
    places: Sequence[int]
    intake: Mapping[str, int]


async def lock_topups(
    commands: Sequence[TopupCommand], places: Sequence[int], *, ports: TopupPorts
) -> TopupBatch:
    """Lock the intakes of the assets that a batch of top-ups concerns, which comes before locks of accounts."""
    return TopupBatch(commands, places, await lock_intakes(commands, ports=ports))


async def apply_topups(
    tx: AsyncConnection,
    batch: TopupBatch,
    *,
    refused: MutableMapping[int, Refused],
    ports: TopupPorts,
    tools: PayoutTools,
    now: datetime,
) -> None:
    """Book the top-ups of a batch. An event that cannot be booked is added to ``refused``."""
    done = await apply_topup_events(batch.commands, intake=batch.intake, ports=ports, tools=tools, now=now)
    refused.update({batch.places[index]: problem for index, problem in done.refusals.items()})
    after_commit(tx, partial(metrics.count_topups, done.booked))
