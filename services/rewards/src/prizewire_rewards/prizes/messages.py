"""Events about prizes as contracts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events import rewards as wire
from prizewire_contracts.events import wallets
from prizewire_rewards.ledger.messages import Encoders, EventWriter
from prizewire_rewards.prizes.domain.model import Reward, RewardEventKind, RewardsMoved, Settlement

_MOVED: Final[Mapping[RewardEventKind, type[wallets.FromRewards]]] = {
    RewardEventKind.ALLOCATED: wire.RewardAllocatedEvent,
    RewardEventKind.RELEASED: wire.RewardReleasedEvent,
    RewardEventKind.HELD: wire.RewardHeldEvent,
    RewardEventKind.REVERSED: wire.RewardReversedEvent,
    RewardEventKind.EXPIRED: wire.RewardExpiredEvent,
}


def _rewards(event: RewardsMoved, writer: EventWriter) -> EncodedEvent:
    head = event.settlement
    return writer.outbox.event(
        _MOVED[event.what],
        _lines(writer, head, event.part, event.rewards),
        subject=str(head.round_id),
        version=event.version,
        correlation_id=head.correlation_id,
        causation_id=event.cause,
    )


def _lines(writer: EventWriter, head: Settlement, part: int, rewards: Sequence[Reward]) -> dict[str, Any]:
    """The payload as JSON, without pydantic: rewards emits one such event for each match."""
    render = writer.assets[head.asset].render
    return {
        "round_id": str(head.round_id),
        "settlement_version": head.settlement_version,
        "part": part,
        "parts": head.parts,
        "campaign": str(head.campaign),
        "asset": head.asset,
        "lines": [
            {
                "reward_id": str(reward.id),
                "line": reward.line.line,
                "player": reward.line.player,
                "amount": render(reward.line.amount),
                "state": reward.state.value,
                "transfer_id": None if reward.transfer_id is None else str(reward.transfer_id),
                "note": None if reward.note is None else str(reward.note),
                "short": render(reward.missing) if reward.missing else None,
            }
            for reward in rewards
        ],
    }


ENCODERS: Final[Encoders] = {RewardsMoved: _rewards}
