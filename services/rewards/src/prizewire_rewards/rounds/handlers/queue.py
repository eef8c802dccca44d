"""The queue of rounds that wait for money. They are booked in the order of their arrival."""

from datetime import datetime

from prizewire_rewards.rounds.handlers.correcting import release
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools

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
        ports=ports,
        now=now,
    )
    for round_id in rounds:
        if round_id in busy or not release(changes, round_id, cause=f"release/{round_id}"):
            break
    changes.reopen_if_paid(campaign_id)
    return await changes.save(tools=tools)
