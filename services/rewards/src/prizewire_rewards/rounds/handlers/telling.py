"""What a desk has to tell once payouts and notes are known, in the order in which it was decided."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.payouts.domain.events import PayoutAsked
from prizewire_rewards.payouts.handlers.crediting import FollowUp
from prizewire_rewards.prizes.domain.events import RewardsMoved, Told
from prizewire_rewards.prizes.domain.model import Reward, Round


@dataclass(frozen=True, slots=True)
class Telling:
    """Prizes of a round to be told of: all that stand on a line, or ``only`` some, or ``these`` as they are given.
    Without ``these``, ``every`` part is told of, even one of which there is nothing to say.
    """

    round_id: UUID
    what: Told
    cause: str
    only: frozenset[UUID] | None = None
    these: Sequence[Reward] | None = None
    every: bool = False


def tell(
    told: Iterable[Telling | Event],
    followed: FollowUp,
    *,
    rounds: dict[UUID, Round],
    rewards: dict[UUID, list[Reward]],
) -> list[Event]:
    """Events in the order of what they tell; payouts come after the prizes that they pay. Counts the rounds' events."""
    events: list[Event] = []
    asked: dict[UUID, list[PayoutAsked]] = defaultdict(list)
    for reward_id, payout in followed.payouts.items():
        if payout.round_id is not None:
            asked[payout.round_id].append(PayoutAsked(payout=payout, reward_ids=(reward_id,)))
    for one in told:
        if not isinstance(one, Telling):
            events.append(one)
            continue
        events.extend(_moved(one, rounds=rounds, rewards=rewards))
        events.extend(replace(event, cause=one.cause) for event in asked.pop(one.round_id, ()))
    return events


def _moved(
    one: Telling, *, rounds: dict[UUID, Round], rewards: dict[UUID, list[Reward]]
) -> Iterable[RewardsMoved]:
    settlement = rounds[one.round_id].settlement
    parts: defaultdict[int, list[Reward]] = defaultdict(list)
    if one.these is not None:
        concerned = one.these
    elif one.only is not None:
        concerned = [reward for reward in rewards[one.round_id] if reward.id in one.only]
    elif settlement.settlement_version > 1:
        concerned = [reward for reward in rewards[one.round_id] if reward.line.line > 0]
    else:
        concerned = rewards[one.round_id]
    for reward in concerned:
        parts[reward.line.part].append(reward)
    for part in range(1, settlement.parts + 1) if one.every else sorted(parts):
        round_ = rounds[one.round_id]
        rounds[one.round_id] = replace(round_, version=round_.version + 1)
        yield RewardsMoved(
            settlement=settlement,
            part=part,
            rewards=parts[part],
            what=one.what,
            version=round_.version + 1,
            cause=one.cause,
        )
