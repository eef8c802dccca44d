"""Rounds of one part are settled or finalized together, within the caps of their campaigns, or refused."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.campaigns.domain.caps import OWN_SETTINGS, CapKey, CapLine, exceeded_cap, keys_of
from prizewire_rewards.campaigns.domain.model import Campaign, CampaignState
from prizewire_rewards.errors import IllegalTransition, NeverBookable, Refused
from prizewire_rewards.ledger.domain.records import settings_writers, step
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.prizes.domain.booking import check_settlement, fee_moves, finality_moves
from prizewire_rewards.prizes.domain.model import Line, RefusedRound, RewardEventKind, Round, Settlement
from prizewire_rewards.prizes.domain.states import ROUND_EDGES, RewardState, RoundState
from prizewire_rewards.prizes.ports import PrizePorts
from prizewire_rewards.rounds.domain.commands import (
    FinalizeRound,
    RoundCommand,
    RoundRefused,
    SettleRound,
    VoidRound,
)
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges, settle
from prizewire_rewards.rounds.handlers.saving import save_changes
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools


@dataclass(slots=True)
class SettlementResult:
    """The result of a batch: refusals by index, counts of booked changes, and counts of held lines by cap. ``unbooked`` are
    the indexes of commands about permanently refused settlement versions or disowned rounds; ``refused`` counts the refused
    versions by code, and ``disowned`` the commands about disowned rounds that have no effect.
    """

    refusals: dict[int, Refused] = field(default_factory=dict)
    booked: Booked = field(default_factory=Booked)
    held: Counter[str] = field(default_factory=Counter)
    unbooked: set[int] = field(default_factory=set)
    disowned: int = 0
    refused: Counter[str] = field(default_factory=Counter)


async def book_together(
    batch: Sequence[tuple[int, RoundCommand]],
    campaigns: Mapping[UUID, Campaign],
    rounds: Mapping[UUID, Round],
    disowned: frozenset[UUID],
    *,
    done: SettlementResult,
    ports: RoundPorts,
    tools: RoundTools,
    now: datetime,
) -> None:
    """Settle or finalize rounds of one part, with one set of statements."""
    finalized = {command.round_id for _, command in batch if isinstance(command, FinalizeRound)}
    finalized &= rounds.keys()
    rewards = await ports.rounds.rewards(finalized) if finalized else {}
    others = {rounds[key].settlement.campaign for key in finalized} - campaigns.keys()
    deliveries = {**campaigns, **(await ports.campaigns.load(others) if others else {})}
    refusals = await RefusalBook.open((command for _, command in batch), rounds=rounds, ports=ports)
    earlier = {key: count for key in refusals.rounds if (count := refusals.count(key))}
    changes = RoundChanges(
        campaigns=campaigns,
        deliveries=deliveries,
        rounds=rounds,
        rewards=rewards,
        uow=UnitOfWork(ports, now=now),
        earlier_events=earlier,
    )
    caps = await CapBook.open(
        ((command.settlement, command.lines) for _, command in batch if isinstance(command, SettleRound)),
        campaigns=campaigns,
        ports=ports,
        now=now,
    )
    for index, command in batch:
        if await has_no_effect(command, disowned, ports=ports, now=now):
            done.unbooked.add(index)
            done.disowned += 1
            continue
        if refusals.refuses(command):
            done.unbooked.add(index)
            continue
        try:
            if isinstance(command, SettleRound):
                settle_command(command, changes=changes, caps=caps, tools=tools, refusals=refusals)
            elif isinstance(command, FinalizeRound):
                finalize(changes, command.round_id, version=command.settlement_version, cause=command.cause)
        except NeverBookable as never:
            assert isinstance(command, SettleRound), "only settlements are booked"
            refusals.refuse(command, never)
            done.unbooked.add(index)
        except Refused as refused:
            done.refusals[index] = refused
        except IllegalTransition as illegal:
            done.refusals[index] = Refused(illegal.code, illegal.detail)
    await caps.save(ports=ports)
    done.held += caps.codes
    done.refused.update(refusals.codes)
    await refusals.save(ports=ports, now=now)
    done.booked += await save_changes(changes, ports=ports, tools=tools)


async def has_no_effect(
    command: RoundCommand, disowned: frozenset[UUID], *, ports: RoundPorts, now: datetime
) -> bool:
    """Whether a command is about a disowned round and therefore has no effect; that is recorded. A void moves nothing more,
    but its time is stored with the disownment.
    """
    if isinstance(command, VoidRound) or command.round_id not in disowned:
        return False
    await ports.disownments.record_without_effect(command, now=now)
    return True


FIRST_VERSION = 1


class RefusalBook:
    """The refused versions of rounds that were never booked, and those of this transaction."""

    def __init__(self, known: Mapping[UUID, Sequence[int]]) -> None:
        self._known = {key: list(versions) for key, versions in known.items()}
        self._fresh: list[RefusedRound] = []

    @classmethod
    async def open(
        cls,
        commands: Iterable[SettleRound | FinalizeRound | VoidRound],
        *,
        rounds: Mapping[UUID, Round],
        ports: RoundPorts,
    ) -> "RefusalBook":
        """Load the earlier refusals of the rounds of ``commands`` that are not among the booked ``rounds``.

        Rounds whose first version has one part cannot have an earlier refusal and are not read.
        """
        settled: set[UUID] = set()
        wanted: set[UUID] = set()
        for command in commands:
            if not isinstance(command, SettleRound):
                wanted.add(command.round_id)
                continue
            head = command.settlement
            if head.settlement_version == FIRST_VERSION and head.parts == 1:
                settled.add(head.round_id)
            else:
                wanted.add(head.round_id)
        unknown = wanted - settled - rounds.keys()
        return cls(await ports.rounds.refused(unknown) if unknown else {})

    @property
    def rounds(self) -> Iterable[UUID]:
        """The rounds that have a refused version."""
        return self._known.keys()

    def count(self, round_id: UUID) -> int:
        """The number of refused versions of a round; each had one event."""
        return len(self._known.get(round_id, ()))

    def next_version(self, round_id: UUID) -> int:
        """The settlement version that can be booked first."""
        return max(self._known.get(round_id, (0,))) + 1

    def refuses(self, command: RoundCommand) -> bool:
        """Whether a command is about a permanently refused settlement version: it has no effect."""
        if isinstance(command, VoidRound):
            return False
        about = command.settlement if isinstance(command, SettleRound) else command
        return about.settlement_version in self._known.get(about.round_id, ())

    def refuse(self, command: SettleRound, problem: NeverBookable) -> None:
        """Refuse the version of ``command`` permanently."""
        head = command.settlement
        self._known.setdefault(head.round_id, []).append(head.settlement_version)
        refused = RefusedRound(
            settlement=head,
            part=command.part,
            code=problem.code,
            detail=problem.detail,
            version=self.count(head.round_id),
            cause=command.cause,
        )
        self._fresh.append(refused)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of this transaction's refusals."""
        return tuple(refused.code for refused in self._fresh)

    async def save(self, *, ports: RoundPorts, now: datetime) -> None:
        """Store the refusals of this transaction and publish their events."""
        if self._fresh:
            await ports.rounds.refuse(self._fresh, now=now)
            await ports.messages.publish([RoundRefused(refused=refused) for refused in self._fresh])


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
                    corrected.append(ids.reward_id(round_id=settlement.round_id, player=line.player))
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
        reward_id = ids.reward_id(round_id=settlement.round_id, player=line.player)
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
        if ids.reward_id(round_id=settlement.round_id, player=line.player) in self.lines:
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


def settle_command(
    command: SettleRound, *, changes: RoundChanges, caps: CapBook, tools: RoundTools, refusals: RefusalBook
) -> None:
    """Settle a round of one part, and hold the lines that exceed caps.

    Raises:
        Refused, NeverBookable: it cannot be booked; nothing was changed.
    """
    settlement = command.settlement
    check_first(command, changes=changes, refusals=refusals)
    check_settlement(settlement, command.lines, digest=tools.digest(command.lines, asset=settlement.asset))
    held = caps.held(settlement, command.lines)
    settle(changes, settlement, command.lines, cause=command.cause, held=held)


def finalize(changes: RoundChanges, round_id: UUID, *, version: int, cause: str) -> None:
    """Make a round's prizes payable. A round that waits for money is only marked as final.

    Raises:
        Refused: the round was not settled, or its settlement has another version.
    """
    round_ = changes.rounds.get(round_id)
    if round_ is None:
        raise Refused("illegal_transition", f"round {round_id} has not been settled")
    if (known := round_.settlement.settlement_version) != version:
        raise Refused(
            "event_mismatch", f"version {version} cannot become final: the settlement has version {known}"
        )
    if round_.settlement.final:
        return
    settlement = replace(round_.settlement, final=True)
    if round_.state is RoundState.UNFUNDED:
        changes.keep(replace(round_, settlement=settlement))
        return
    state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.FINAL)
    changes.advance(replace(round_, settlement=settlement, state=state), cause=cause)
    rewards = changes.rewards[round_id]
    moves = finality_moves(settlement, rewards, delivery=changes.delivery(settlement))
    whole = len(moves) == len(rewards)
    matured = None if whole else frozenset(r.id for r in rewards if r.state is RewardState.PENDING)
    changes.post(settlement, [*moves, *fee_moves(settlement)])
    changes.emit(round_id, RewardEventKind.RELEASED, cause=cause, only=matured, every=whole)


def check_first(command: SettleRound, *, changes: RoundChanges, refusals: RefusalBook) -> None:
    """Check that a version is the first that can be booked for its round, and that its round can be booked.

    Raises:
        Refused, NeverBookable: it cannot be booked.
    """
    head = command.settlement
    first = refusals.next_version(head.round_id)
    if head.settlement_version != first:
        detail = f"round {head.round_id} is not booked yet, so version {first} comes first, not {head.settlement_version}"
        raise Refused("event_mismatch", detail)
    check_open(changes, command.settlement)
    check_part(command)


def check_part(command: SettleRound) -> None:
    """Check the number of a settlement's part.

    Raises:
        Refused: ``event_mismatch``.
    """
    if not 1 <= command.part <= command.settlement.parts:
        parts = command.settlement.parts
        raise Refused("event_mismatch", f"part {command.part} is not between 1 and {parts}")


def check_open(changes: RoundChanges, settlement: Settlement) -> None:
    """Check that a settlement can be booked.

    Raises:
        Refused: the round was settled before.
        NeverBookable: the campaign is unknown, has another asset, or has ended. Rewards assigns the ids of campaigns, a
            campaign never changes its asset, and an ended one stays ended: so a retry cannot succeed.
    """
    if settlement.round_id in changes.rounds:
        raise Refused("illegal_transition", f"round {settlement.round_id} has been settled before")
    campaign = changes.campaigns.get(settlement.campaign)
    if campaign is None:
        raise NeverBookable("campaign_unknown", f"there is no campaign {settlement.campaign}")
    if campaign.asset != settlement.asset:
        raise NeverBookable(
            "asset_mismatch",
            f"campaign {campaign.id} is in {campaign.asset}, the settlement in {settlement.asset}",
        )
    if campaign.state is CampaignState.ENDED:
        raise NeverBookable("campaign_ended", f"campaign {campaign.id} has ended")
