"""The ports of settlement in memory, and reports of game servers."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prizewire_contracts.ids import round_id
from prizewire_contracts.trust import MessageKey
from prizewire_money import Asset
from prizewire_settlement.competitions.domain.model import (
    Campaign,
    CampaignState,
    Competition,
    RankBy,
    Rule,
    Source,
    SourceChange,
    SourceKey,
    TiePolicy,
    Unclaimed,
)
from prizewire_settlement.competitions.domain.rules import SCORE_SCALE, template_places
from prizewire_settlement.errors import Reason
from prizewire_settlement.prizes.domain import Line, PlayerResult
from prizewire_settlement.rounds.domain.changes import RoundChange
from prizewire_settlement.rounds.domain.model import (
    Completed,
    Corrected,
    Disownment,
    Entered,
    Entry,
    MatchReport,
    Progress,
    Refusal,
    ResultPart,
    Round,
    RoundEvent,
    RoundState,
    Settlement,
    Transition,
    Voided,
)
from prizewire_settlement.rounds.handlers.matches import Applied, admit_reports, apply_reports
from prizewire_settlement.rounds.ports import UnitOfWork

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
EURC = Asset("EURC", 2, True)
CAMPAIGN = UUID("6f9619ff-8b86-4011-b42d-00c04fc964ff")
SOURCE = "/games/chess"
KEY = MessageKey.from_seed(keyid="chess-1", seed=hashlib.sha256(b"test game server").digest())
OTHER_KEY = MessageKey.from_seed(keyid="chess-2", seed=hashlib.sha256(b"another game server").digest())


def points(value: float | int | str) -> int:
    """Millionths of a score written as people write it."""
    whole, _, fraction = str(value).partition(".")
    return int(whole) * SCORE_SCALE + int(fraction.ljust(6, "0"))


def make_rule(**changes: Any) -> Rule:
    """100.00 EURC to the first three places, without fees, from one source that need not sign."""
    name = changes.pop("template", "top3")
    values: dict[str, Any] = {
        "competition": "cup",
        "version": 1,
        "campaign": CAMPAIGN,
        "asset": EURC,
        "gross": 10_000,
        "platform_bps": 0,
        "organizer_bps": 0,
        "organizer_player": None,
        "template": name,
        "places": template_places(name) if name is not None else (),
        "per_point": None,
        "ties": TiePolicy.SPLIT,
        "tie_break": None,
        "unclaimed": Unclaimed.POOL,
        "rank_by": RankBy(),
        "sources": (Source(source=SOURCE),),
        "dispute_window": timedelta(0),
        "writers": ("olga",),
    }
    return Rule(**{**values, **changes})


def make_competition(rule: Rule | None = None, **changes: Any) -> Competition:
    rule = rule or make_rule(**changes)
    return Competition(
        id=rule.competition, name="Cup", rule=rule, created_by="olga", created_at=NOW, updated_at=NOW
    )


def make_campaign(**changes: Any) -> Campaign:
    """The campaign of ``make_rule``, active, in EURC."""
    values: dict[str, Any] = {"id": CAMPAIGN, "asset": "EURC", "state": CampaignState.ACTIVE, "version": 1}
    return Campaign(**{**values, **changes})


def source_key(key: MessageKey = KEY, **changes: Any) -> SourceKey:
    values: dict[str, Any] = {
        "keyid": key.keyid,
        "public_key": key.public_key,
        "not_before": NOW - timedelta(days=1),
        "not_after": NOW + timedelta(days=1),
    }
    return SourceKey(**{**values, **changes})


def placed(*players: str, **more: int) -> tuple[PlayerResult, ...]:
    """Players in the order of their places; ``more`` states places by name, for ties and gaps."""
    named = [PlayerResult(player, place, {}) for place, player in enumerate(players, start=1)]
    return (*named, *(PlayerResult(player, place, {}) for player, place in more.items()))


@dataclass(frozen=True)
class FakeProof:
    """A signature that holds under exactly one public key."""

    public_key: str | None = None

    def refused(self, *, public_key: str) -> tuple[Reason, str] | None:
        if public_key == self.public_key:
            return None
        return Reason.SIGNATURE_INVALID, "made by another key"


@dataclass
class FakeWorld:
    """The ports in memory: what was saved and published."""

    kept: dict[str, Competition] = field(default_factory=dict)
    versions: dict[tuple[str, int], Rule] = field(default_factory=dict)
    wrote: dict[tuple[str, int], str] = field(default_factory=dict)
    held: dict[UUID, Round] = field(default_factory=dict)
    steps: list[Transition] = field(default_factory=list)
    stored: dict[UUID, dict[tuple[int, int], ResultPart]] = field(default_factory=dict)
    settled: list[Settlement] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    published: list[RoundEvent] = field(default_factory=list)
    disputed: set[tuple[str, str]] = field(default_factory=set)
    campaigns: dict[UUID, Campaign] = field(default_factory=lambda: {CAMPAIGN: make_campaign()})
    refusals: list[Refusal] = field(default_factory=list)
    disownments: dict[UUID, Disownment] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def add(self, competition: Competition, *, by: str = "olga") -> None:
        self.kept[competition.id] = competition
        self.wrote[competition.id, competition.rule.version] = by
        self.versions[competition.id, competition.rule.version] = competition.rule

    async def competitions(self, ids: Collection[str]) -> dict[str, Competition]:
        self.calls.append("competitions")
        return {name: self.kept[name] for name in ids if name in self.kept}

    async def rules(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], Rule]:
        self.calls.append("rules")
        return {key: self.versions[key] for key in wanted}

    async def source_changes(
        self, wanted: Collection[tuple[str, int, int]]
    ) -> dict[str, tuple[SourceChange, ...]]:
        self.calls.append("source_changes")
        return {
            name: tuple(
                SourceChange(number, self.versions[name, number].sources, self.wrote[name, number])
                for number in range(after + 1, until + 1)
                if self.versions[name, number].sources != self.versions[name, number - 1].sources
            )
            for name, after, until in wanted
        }

    async def rounds(self, ids: Collection[UUID]) -> dict[UUID, Round]:
        self.calls.append("rounds")
        return {key: self.held[key] for key in ids if key in self.held}

    async def parts(self, ids: Collection[UUID]) -> dict[UUID, dict[tuple[int, int], ResultPart]]:
        self.calls.append("parts")
        return {
            key: {place: replace(part, document="", results=()) for place, part in self.stored[key].items()}
            for key in ids
            if key in self.stored
        }

    async def results(self, heads: Collection[ResultPart]) -> dict[int, tuple[PlayerResult, ...]]:
        self.calls.append("results")
        return {
            head.part: self.stored[head.round_id][head.result_version, head.part].results for head in heads
        }

    async def lines(self, round_id: UUID, settlement_version: int) -> tuple[Line, ...]:
        self.calls.append("lines")
        (found,) = (
            one for one in self.settled if (one.round_id, one.version) == (round_id, settlement_version)
        )
        return found.lines

    async def entered(self, wanted: Collection[tuple[UUID, str]]) -> dict[UUID, set[str]]:
        self.calls.append("entered")
        found: dict[UUID, set[str]] = {}
        for entry in self.entries:
            if (entry.round_id, entry.player) in wanted:
                found.setdefault(entry.round_id, set()).add(entry.player)
        return found

    async def due(self, *, now: datetime, limit: int) -> list[Round]:
        found = [
            one
            for one in self.held.values()
            if one.state is RoundState.SETTLED
            and one.final_at is not None
            and one.final_at <= now
            and one.waiting_since is None
            and one.refused_at is None
            and (one.source, one.match_id) not in self.disputed
        ]
        return sorted(found, key=lambda one: (one.final_at or now, one.id))[:limit]

    async def save(self, changes: Sequence[RoundChange], *, disownments: Sequence[Disownment] = ()) -> None:
        rounds = {one.round.id: one.round for one in changes if one.round is not None}
        if not rounds and not disownments:
            return
        self.calls.append("save")
        new = {one.round.id for one in changes if one.round is not None and one.new}
        assert new.isdisjoint(self.held)
        assert rounds.keys() - new <= self.held.keys()
        self.held |= rounds
        for one in changes:
            self.steps += one.transitions
            if one.part is not None:
                key = (one.part.result_version, one.part.part)
                self.stored.setdefault(one.part.round_id, {})[key] = one.part
            self.settled += [one.settlement] if one.settlement is not None else []
            self.entries += [one.entry] if one.entry is not None else []
            self.refusals += [one.refusal] if one.refusal is not None else []
            self.published += one.events
        for disownment in disownments:
            self.disownments.setdefault(disownment.round_id, disownment)
        for key in new & self.disownments.keys():
            at, round_ = self.disownments[key].at, self.held[key]
            refused_at = round_.refused_at if round_.state is RoundState.VOIDED else at
            self.held[key] = replace(round_, refused_at=refused_at, disowned_at=at)

    async def campaign(self, campaign_id: UUID) -> Campaign | None:
        return self.campaigns.get(campaign_id)

    async def keep(self, campaigns: Sequence[Campaign]) -> None:
        for one in campaigns:
            if one.id not in self.campaigns or self.campaigns[one.id].version < one.version:
                self.campaigns[one.id] = one

    async def create(self, competition: Competition) -> bool:
        if competition.id in self.kept:
            return False
        self.add(competition)
        return True

    async def lock(self, competition_id: str) -> Competition | None:
        return self.kept.get(competition_id)

    async def replace(self, competition: Competition, *, by: str) -> None:
        self.add(competition, by=by)

    def unit_of_work(self) -> UnitOfWork:
        """A unit of work over this world."""
        return self

    def round_of(self, match_id: str, source: str = SOURCE) -> Round:
        return self.held[round_id(source=source, match_id=match_id)]


def report(kind: type[MatchReport], match_id: str = "m1", **changes: Any) -> Any:
    """A report of the game server; ``signed_by`` a key, where it is to be signed."""
    signed_by: MessageKey | None = changes.pop("signed_by", None)
    values: dict[str, Any] = {
        "event_id": f"{match_id}-{kind.__name__.lower()}",
        "kind": f"prizewire.match.{kind.__name__.lower()}.v1",
        "source": SOURCE,
        "subject": match_id,
        "match_id": match_id,
        "competition": "cup",
        "correlation_id": f"corr-{match_id}",
        "keyid": signed_by.keyid if signed_by else None,
        "at": NOW - timedelta(seconds=3),
        "proof": FakeProof(signed_by.public_key if signed_by else None),
    }
    if kind in (Corrected, Voided):
        values["reason"] = "a judge said so"
    if kind in (Completed, Corrected):
        values |= {"result_version": 1, "part": 1, "parts": 1, "results": placed("ann", "bob", "cyd")}
    return kind(**{**values, **changes})


def opened(match_id: str = "m1", **changes: Any) -> Progress:
    found: Progress = report(Progress, match_id, **{"closed": False, "event_id": f"{match_id}-o", **changes})
    return found


def closed(match_id: str = "m1", **changes: Any) -> Progress:
    found: Progress = report(Progress, match_id, **{"closed": True, "event_id": f"{match_id}-c", **changes})
    return found


def completed(match_id: str = "m1", **changes: Any) -> Completed:
    found: Completed = report(Completed, match_id, **changes)
    return found


def corrected(match_id: str = "m1", **changes: Any) -> Corrected:
    found: Corrected = report(Corrected, match_id, **{"result_version": 2, **changes})
    return found


def voided(match_id: str = "m1", **changes: Any) -> Voided:
    found: Voided = report(Voided, match_id, **changes)
    return found


def entered(player: str, match_id: str = "m1", **changes: Any) -> Entered:
    values = {"player": player, "event_id": f"{match_id}-{player}", **changes}
    found: Entered = report(Entered, match_id, **values)
    return found


def paid(lines: Sequence[Line]) -> dict[str, int]:
    """Amount by player."""
    return {line.player: line.amount for line in lines}


async def apply(
    world: FakeWorld, *reports: MatchReport, lines_per_part: int = 1_000, now: datetime = NOW
) -> Applied:
    """Admit reports and apply the admitted ones, as the consumer does; refusals by their index in ``reports``."""
    admitted = await admit_reports(reports, unit_of_work=world)
    places = [index for index in range(len(reports)) if index not in admitted.refused]
    if not places:
        return Applied(admitted.refused)
    applied = await apply_reports(
        [reports[index] for index in places],
        competitions=admitted.competitions,
        unit_of_work=world.unit_of_work(),
        now=now,
        lines_per_part=lines_per_part,
    )
    applied.refused = {places[index]: problem for index, problem in applied.refused.items()}
    applied.refused |= admitted.refused
    return applied


def reasons(applied: Applied) -> dict[int, tuple[Reason, bool]]:
    return {index: (refused.reason, refused.park) for index, refused in applied.refused.items()}
