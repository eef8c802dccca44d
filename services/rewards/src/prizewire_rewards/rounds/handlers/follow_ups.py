"""What follows from changes of rounds: events, levels of pools, and claims."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Campaign, Delivery, check_level
from prizewire_rewards.claims.handlers.claims import close_claims
from prizewire_rewards.ledger.domain.records import Event
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.payouts.domain.model import Payout, PayoutRequested
from prizewire_rewards.prizes.domain.model import Reward, RewardEventKind, RewardsMoved, Round
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.prizes.handlers import recount
from prizewire_rewards.rounds.ports import RoundPorts

Changed = Mapping[UUID, Sequence[Reward]]
"""Loaded prizes of rounds that existed before the transaction, by round."""


async def close_lost_claims(
    changed: Changed,
    *,
    rounds: Mapping[UUID, Round],
    deliveries: Mapping[UUID, Campaign],
    uow: UnitOfWork,
    ports: RoundPorts,
) -> None:
    """End the claims of prizes that a correction or a disownment took back. Nothing else takes claimable prizes back."""
    for round_id, rewards in changed.items():
        head = rounds[round_id].settlement
        if head.final and deliveries[head.campaign].delivery is Delivery.CLAIM:
            lost = [reward for reward in rewards if reward.state is RewardState.REVERSED]
            if lost:
                await close_claims(lost, uow=uow, ports=ports)


async def recount_changed(
    changed: Changed,
    *,
    rounds: Mapping[UUID, Round],
    campaigns: Mapping[UUID, Campaign],
    ports: RoundPorts,
    now: datetime,
) -> None:
    """Count prizes of locked campaigns with caps with their present amounts."""
    for round_id, rewards in changed.items():
        head = rounds[round_id].settlement
        campaign = campaigns.get(head.campaign)
        if campaign is not None and campaign.capped:
            await recount(rewards, settlement=head, campaign=campaign, ports=ports, now=now)


def update_levels(campaigns: MutableMapping[UUID, Campaign], moved: Iterable[UUID]) -> list[Event]:
    """Update the levels of changed pools. Returns the events about low pools."""
    events: list[Event] = []
    for key in sorted(moved):
        campaigns[key], low = check_level(campaigns[key])
        if low is not None:
            events.append(low)
    return events


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event about prizes of a round: all with a line, or ``only`` those with these ids, or ``these`` as given. With
    ``every``, each part has an event, also a part without prizes.
    """

    round_id: UUID
    what: RewardEventKind
    cause: str
    only: frozenset[UUID] | None = None
    these: Sequence[Reward] | None = None
    every: bool = False


def build_events(
    pending: Iterable[PendingEvent | Event],
    payouts: Mapping[UUID, Payout],
    *,
    rounds: dict[UUID, Round],
    rewards: dict[UUID, list[Reward]],
) -> list[Event]:
    """Build the events in their order, and count the events of rounds. Events about ``payouts`` (by reward id) follow those
    about the prizes that they pay.
    """
    events: list[Event] = []
    requested: dict[UUID, list[PayoutRequested]] = defaultdict(list)
    for reward_id, payout in payouts.items():
        if payout.round_id is not None:
            requested[payout.round_id].append(PayoutRequested(payout=payout, reward_ids=(reward_id,)))
    for one in pending:
        if not isinstance(one, PendingEvent):
            events.append(one)
            continue
        events.extend(_reward_events(one, rounds=rounds, rewards=rewards))
        events.extend(replace(event, cause=one.cause) for event in requested.pop(one.round_id, ()))
    return events


def _reward_events(
    one: PendingEvent, *, rounds: dict[UUID, Round], rewards: dict[UUID, list[Reward]]
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
