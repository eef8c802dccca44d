"""Prizes that a rule keeps back: an operator lets them go, or refuses them."""

from datetime import datetime
from uuid import UUID

from prizewire_contracts.parties import PartyRole
from prizewire_rewards.domain.errors import InvalidRequest, NotFound
from prizewire_rewards.domain.model import Reward
from prizewire_rewards.domain.states import RewardState, RoundState
from prizewire_rewards.handlers.desk import Booked, Desk
from prizewire_rewards.handlers.desk.changes import decide_held
from prizewire_rewards.ports import Tools, Work


async def release_held(
    reward_id: UUID, *, actor: str, reason: str, work: Work, tools: Tools, now: datetime
) -> tuple[Reward, Booked]:
    """Let a held prize go the way of the others of its round: pending, payable, or to be claimed.

    Raises:
        NotFound: ``reward_unknown``.
        InvalidRequest: ``reward_not_held``, ``own_reward``, or ``round_busy``: its round's lines are being booked just
            now.
    """
    return await _decide(reward_id, go=True, actor=actor, reason=reason, work=work, tools=tools, now=now)


async def reject_held(
    reward_id: UUID, *, actor: str, reason: str, work: Work, tools: Tools, now: datetime
) -> tuple[Reward, Booked]:
    """Refuse a held prize: its money goes back to the pool.

    Raises:
        NotFound: ``reward_unknown``.
        InvalidRequest: ``reward_not_held``, ``own_reward``, or ``round_busy``.
    """
    return await _decide(reward_id, go=False, actor=actor, reason=reason, work=work, tools=tools, now=now)


async def _decide(
    reward_id: UUID, *, go: bool, actor: str, reason: str, work: Work, tools: Tools, now: datetime
) -> tuple[Reward, Booked]:
    seen = await work.rounds.reward(reward_id)
    if seen is None:
        raise NotFound("reward_unknown", f"there is no reward {reward_id}")
    player = seen.line.player
    if player == actor:
        raise InvalidRequest("own_reward", "nobody decides on a prize of their own")
    campaigns = await work.campaigns.lock((await work.rounds.campaigns_of([seen.round_id])).values())
    rounds = await work.rounds.lock([seen.round_id])
    if rounds[seen.round_id].state is RoundState.BOOKING:
        raise InvalidRequest("round_busy", "the round's lines are being booked: try again")
    reward = (await work.rounds.rewards_of(seen.round_id, players=[player]))[player]
    if reward.state is not RewardState.HELD:
        raise InvalidRequest("reward_not_held", f"the reward is {reward.state}")
    desk = Desk(campaigns=campaigns, deliveries=campaigns, rounds=rounds, rewards={seen.round_id: [reward]})
    decide_held(desk, reward, go=go, actor=actor, cause=f"{actor}: {reason}")
    booked = await desk.save(work=work, tools=tools, now=now)
    if go:
        await work.rounds.add_party(seen.round_id, (PartyRole.RELEASER, actor))
    return desk.rewards[seen.round_id][0], booked
