"""Caps of campaigns, and the parties of a prize."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.parties import PartyRole
from prizewire_rewards.campaigns.domain.caps import OWN_SETTINGS, CapKey, CapLine, exceeded_cap, keys_of
from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.ledger.domain.records import CreditParties, Party, settings_writers
from prizewire_rewards.ledger.handlers import credit_parties
from prizewire_rewards.prizes.domain.model import Line, Reward, Settlement
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.prizes.ports import PrizePorts

_UNCOUNTED = frozenset({RewardState.HELD, RewardState.REVERSED, RewardState.REJECTED, RewardState.EXPIRED})


@dataclass(slots=True)
class CapBook:
    """The counts of caps in one transaction, applied to one round after the other."""

    campaigns: Mapping[UUID, Campaign]
    day: date
    used: dict[CapKey, int]
    lines: dict[UUID, CapLine]
    changed: set[CapKey] = field(default_factory=set)
    counted: set[UUID] = field(default_factory=set)
    codes: Counter[str] = field(default_factory=Counter)

    @classmethod
    async def open(
        cls,
        settled: Iterable[tuple[Settlement, Iterable[Line]]],
        *,
        campaigns: Mapping[UUID, Campaign],
        ports: PrizePorts,
        now: datetime,
    ) -> "CapBook":
        """Load the counts that these lines concern. ``campaigns`` are locked."""
        day = now.astimezone(UTC).date()
        keys: set[CapKey] = set()
        corrected: list[UUID] = []
        for settlement, lines in settled:
            campaign = campaigns.get(settlement.campaign)
            if campaign is None or not campaign.capped:
                continue
            for line in lines:
                keys.update(keys_of(campaign=campaign.id, player=line.player, day=day))
                if settlement.settlement_version > 1:
                    corrected.append(_reward_id(settlement, line))
        if not keys:
            return cls(campaigns, day, {}, {})
        known = await ports.caps.lines(corrected) if corrected else {}
        for was in known.values():
            keys.update(keys_of(campaign=was.campaign, player=was.player, day=was.day))
        return cls(campaigns, day, await ports.caps.lock(keys), known)

    def held(self, settlement: Settlement, lines: Iterable[Line]) -> dict[int, str]:
        """Count a round's lines in their order. Returns the code of each line that is held, by line number. Lines of
        players who created the campaign or ever changed its settings are always held.

        A held line does not count. A line that counts already (of a correction) counts with its new amount on the day on
        which it was settled first, and is not held.
        """
        campaign = self.campaigns[settlement.campaign]
        if not campaign.capped:
            return {}
        found: dict[int, str] = {}
        writers = settings_writers(campaign.parties)
        for line in lines:
            code = self._broken(campaign, settlement, line, writers=writers)
            if code is None:
                self.count(settlement, line)
            else:
                found[line.line] = code
        self.codes.update(found.values())
        return found

    def count(self, settlement: Settlement, line: Line) -> None:
        """Count a line without a check of the caps: an operator released it, or it is within the caps."""
        reward_id = _reward_id(settlement, line)
        was = self.lines.get(reward_id)
        day = self.day if was is None else was.day
        before = 0 if was is None else was.amount
        self.lines[reward_id] = CapLine(reward_id, settlement.campaign, line.player, day, line.amount)
        self.counted.add(reward_id)
        for key in keys_of(campaign=settlement.campaign, player=line.player, day=day):
            self.used[key] = self.used.get(key, 0) + line.amount - before
            self.changed.add(key)

    async def save(self, *, ports: PrizePorts) -> None:
        """Store the changed counts."""
        if self.counted:
            await ports.caps.save(
                {key: self.used[key] for key in self.changed},
                [self.lines[key] for key in sorted(self.counted)],
            )

    def _broken(
        self, campaign: Campaign, settlement: Settlement, line: Line, *, writers: Collection[str]
    ) -> str | None:
        if _reward_id(settlement, line) in self.lines:
            return None
        if line.player in writers:
            return OWN_SETTINGS
        return exceeded_cap(
            caps=campaign.settings.caps,
            used=self.used,
            campaign=campaign.id,
            player=line.player,
            day=self.day,
            amount=line.amount,
        )


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


def _reward_id(settlement: Settlement, line: Line) -> UUID:
    return ids.reward_id(round_id=settlement.round_id, player=line.player)


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
