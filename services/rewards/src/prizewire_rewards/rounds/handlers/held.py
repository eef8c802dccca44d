"""Held prizes: an operator releases or refuses them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_contracts.parties import PartyRole
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.prizes.domain.model import Reward
from prizewire_rewards.prizes.domain.states import RewardState, RoundState
from prizewire_rewards.rounds.handlers.correcting import decide_held, release
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges
from prizewire_rewards.rounds.handlers.saving import save_changes
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools


@dataclass(frozen=True, slots=True)
class DecidedPrize:
    """A held prize after the decision. ``amount`` (minor units of ``asset``) was held; ``booked`` is what the decision booked."""

    reward: Reward
    amount: int
    asset: str
    correlation_id: str
    booked: Booked


async def release_held(
    reward_id: UUID, *, actor: str, reason: str, ports: RoundPorts, tools: PayoutTools, now: datetime
) -> DecidedPrize:
    """Release a held prize: it becomes pending, payable or claimable, like the others of its round.

    Raises:
        NotFound: ``reward_unknown``.
        InvalidRequest: ``reward_not_held``, ``own_reward``, or ``round_busy``: the lines of its round are being booked.
    """
    return await _decide(
        reward_id, released=True, actor=actor, reason=reason, ports=ports, tools=tools, now=now
    )


async def reject_held(
    reward_id: UUID, *, actor: str, reason: str, ports: RoundPorts, tools: PayoutTools, now: datetime
) -> DecidedPrize:
    """Refuse a held prize: its money goes back to the pool.

    Raises:
        NotFound: ``reward_unknown``.
        InvalidRequest: ``reward_not_held``, ``own_reward``, or ``round_busy``.
    """
    return await _decide(
        reward_id, released=False, actor=actor, reason=reason, ports=ports, tools=tools, now=now
    )


async def _decide(
    reward_id: UUID,
    *,
    released: bool,
    actor: str,
    reason: str,
    ports: RoundPorts,
    tools: PayoutTools,
    now: datetime,
) -> DecidedPrize:
    seen = await ports.rounds.reward(reward_id)
    if seen is None:
        raise NotFound("reward_unknown", f"there is no reward {reward_id}")
    player = seen.line.player
    if player == actor:
        raise InvalidRequest("own_reward", f"{actor} won this prize: another operator has to decide")
    campaigns = await ports.campaigns.lock((await ports.rounds.campaigns_of([seen.round_id])).values())
    rounds = await ports.rounds.lock([seen.round_id])
    if rounds[seen.round_id].state is RoundState.BOOKING:
        raise InvalidRequest("round_busy", f"the lines of round {seen.round_id} are being booked: try again")
    reward = (await ports.rounds.rewards_of(seen.round_id, players=[player]))[player]
    if reward.state is not RewardState.HELD:
        raise InvalidRequest("reward_not_held", f"reward {reward_id} is {reward.state}, not held")
    changes = RoundChanges(
        campaigns=campaigns,
        deliveries=campaigns,
        rounds=rounds,
        rewards={seen.round_id: [reward]},
        uow=UnitOfWork(ports, now=now),
    )
    decide_held(changes, reward, released=released, actor=actor, cause=f"{actor}: {reason}")
    booked = await save_changes(changes, ports=ports, tools=tools)
    if released:
        await ports.rounds.add_party(seen.round_id, (PartyRole.RELEASER, actor))
    settlement = rounds[seen.round_id].settlement
    return DecidedPrize(
        reward=changes.rewards[seen.round_id][0],
        amount=reward.booked,
        asset=settlement.asset,
        correlation_id=settlement.correlation_id,
        booked=booked,
    )


RELEASED_AT_ONCE_MAX = 50
"""Rounds booked in one transaction, so that consumers wait only briefly for the lock of the campaign."""


async def release_next(*, ports: RoundPorts, tools: RoundTools, now: datetime) -> Booked | None:
    """Book the longest waiting rounds of one campaign as far as its pool covers them; None when no round waits."""
    campaign_id = await ports.campaigns.next_with_queue()
    if campaign_id is None:
        return None
    campaigns = await ports.campaigns.lock([campaign_id])
    waiting = await ports.rounds.lock_queue(campaign_id, limit=RELEASED_AT_ONCE_MAX)
    rounds = {round_.settlement.round_id: round_ for round_ in waiting}
    small = {key for key, round_ in rounds.items() if not round_.large}
    busy = await ports.rounds.pending_work(rounds.keys() - small) if small != rounds.keys() else {}
    rewards = await ports.rounds.rewards(small)
    changes = RoundChanges(
        campaigns=campaigns,
        deliveries=campaigns,
        rounds=rounds,
        rewards={key: rewards.get(key, []) for key in rounds},
        uow=UnitOfWork(ports, now=now),
    )
    for round_id in rounds:
        if round_id in busy or not release(changes, round_id, cause=f"release/{round_id}"):
            break
    changes.reopen_if_paid(campaign_id)
    return await save_changes(changes, ports=ports, tools=tools)
