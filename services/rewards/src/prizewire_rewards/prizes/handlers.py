"""Counts of caps after prizes were counted first, counts of paid prizes, and the parties of a prize."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from prizewire_contracts.parties import PartyRole
from prizewire_rewards.campaigns.domain.caps import CapLine, keys_of
from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.ledger.domain.records import CreditParties, Party
from prizewire_rewards.ledger.handlers import credit_parties
from prizewire_rewards.prizes.domain.model import Reward, Settlement
from prizewire_rewards.prizes.domain.paid import PaidPrizes, PrizeCredit, sum_paid
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.prizes.ports import PrizePorts

_UNCOUNTED = frozenset({RewardState.HELD, RewardState.REVERSED, RewardState.REJECTED, RewardState.EXPIRED})


async def give_back(returned: Mapping[UUID, int | None], *, campaign: Campaign, ports: PrizePorts) -> None:
    """Reduce the counts by what a correction, a void, an expiry or a rejection took from these prizes: minor units by
    prize, None for its whole counted amount. Prizes that do not count, such as held ones, are skipped. ``campaign`` is
    locked.
    """
    if not campaign.capped or not returned:
        return
    lines = await ports.caps.lines(returned)
    if not lines:
        return
    keys = {
        key
        for line in lines.values()
        for key in keys_of(campaign=line.campaign, player=line.player, day=line.day)
    }
    used = await ports.caps.lock(keys)
    left = []
    for reward_id, line in sorted(lines.items()):
        wanted = returned[reward_id]
        less = line.amount if wanted is None else min(wanted, line.amount)
        left.append(line._replace(amount=line.amount - less))
        for key in keys_of(campaign=line.campaign, player=line.player, day=line.day):
            used[key] = used.get(key, 0) - less
    await ports.caps.save(used, left)


async def recount(
    rewards: Iterable[Reward], *, settlement: Settlement, campaign: Campaign, ports: PrizePorts, now: datetime
) -> None:
    """Count prizes that a correction, a void or an operator changed with their present amounts. None is held because of
    it, since a person has decided. Prizes that are held, reversed, rejected or expired do not count. ``campaign`` is
    locked.
    """
    worth = {reward.id: (reward.line.player, _worth(reward)) for reward in rewards}
    known = await ports.caps.lines(worth) if worth else {}
    day = now.astimezone(UTC).date()
    lines: list[CapLine] = []
    for reward_id, (player, amount) in sorted(worth.items()):
        was = known.get(reward_id, CapLine(reward_id, settlement.campaign, player, day, 0))
        if was.amount != amount:
            lines.append(was._replace(amount=amount))
    if not lines:
        return
    keys = {key for line in lines for key in keys_of(campaign=campaign.id, player=line.player, day=line.day)}
    used = await ports.caps.lock(keys)
    for line in lines:
        before = known[line.reward_id].amount if line.reward_id in known else 0
        for key in keys_of(campaign=campaign.id, player=line.player, day=line.day):
            used[key] = used.get(key, 0) + line.amount - before
    await ports.caps.save(used, lines)


def _worth(reward: Reward) -> int:
    return 0 if reward.state in _UNCOUNTED or reward.line.line < 0 else reward.line.amount


async def count_paid(made: Sequence[PrizeCredit], *, ports: PrizePorts) -> tuple[PaidPrizes, ...]:
    """Count the prizes of the credits that a transaction makes, for metrics. Call it before they are posted."""
    unsure = {credit.reward_id for credit in made if credit.again}
    return sum_paid(made, before=await ports.rounds.credited_before(unsure) if unsure else ())


def prize_parties(
    settlement: Settlement,
    campaign: Campaign,
    *,
    released_by: str | None = None,
    fact_reporters: Iterable[Party] = (),
) -> CreditParties:
    """The parties of a prize. A person who released another prize of the round did not decide about this one, so does not
    count as a second person. Nor do ``fact_reporters``: persons who set facts of the winner that its claim was judged by.
    """
    releasers = [party for party in settlement.parties if party[0] == PartyRole.RELEASER]
    deciders = [party for party in settlement.parties if party[0] != PartyRole.RELEASER]
    if released_by is not None:
        deciders.append((PartyRole.RELEASER, released_by))
    return credit_parties(deciders, others=[*releasers, *fact_reporters, *campaign.parties])


def organizer_fee_parties(settlement: Settlement, campaign: Campaign) -> CreditParties:
    """The parties of an organizer's fee. The rule alone names who gets it. It is not known which of its writers named the
    organizer, so each writer counts as one person who alone decided.
    """
    writers = {subject for role, subject in settlement.parties if role == PartyRole.RULE_WRITER}
    return CreditParties((*settlement.parties, *campaign.parties), tuple(writers))
