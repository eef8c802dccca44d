"""The results of match events, and the events of rounds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.canonical import canonical_hash
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.envelope import ServiceEnvelope
from prizewire_contracts.events.matches import PlayerResult as Result
from prizewire_contracts.events.settlements import (
    EntryFee,
    RoundClosedEvent,
    RoundCorrectedEvent,
    RoundEnteredEvent,
    RoundFinalizedEvent,
    RoundOpenedEvent,
    RoundProgress,
    RoundSettledEvent,
    RoundVoidedEvent,
)
from prizewire_contracts.events.settlements import RoundEntered as EnteredData
from prizewire_contracts.events.settlements import RoundFinalized as FinalizedData
from prizewire_contracts.events.settlements import RoundVoided as VoidedData
from prizewire_contracts.parties import Party, PartyRole
from prizewire_money import Amount, Asset
from prizewire_settlement.competitions.domain.model import EntryFee as Fee
from prizewire_settlement.competitions.domain.rules import score_from_text
from prizewire_settlement.prizes.domain import Line, PlayerResult
from prizewire_settlement.rounds.domain.model import (
    Round,
    RoundCorrected,
    RoundEntered,
    RoundEvent,
    RoundFinalized,
    RoundProgressed,
    RoundSettled,
    RoundState,
    RoundVoided,
    Settlement,
)


def players_of(results: Iterable[Result]) -> tuple[PlayerResult, ...]:
    """Results as they travel, with their scores in millionths."""
    return tuple(
        PlayerResult(
            result.player,
            result.place,
            {name: score_from_text(text) for name, text in result.scores.items()},
        )
        for result in results
    )


_PROGRESS: dict[RoundState, type[ServiceEnvelope]] = {
    RoundState.OPEN: RoundOpenedEvent,
    RoundState.CLOSED: RoundClosedEvent,
}


_Row = list[Any]
"""A line as the digest covers it: ``[line, player, place, amount]``."""


class Messages:
    """Events of rounds, in one transaction's outbox."""

    def __init__(self, tx: AsyncConnection, *, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox

    async def publish(self, events: Sequence[RoundEvent]) -> None:
        """Publish events, in this order."""
        rendered: dict[int, _Rendered] = {}
        await self._outbox.add(self._tx, [self._encode(event, rendered) for event in events])

    def _encode(self, event: RoundEvent, rendered: dict[int, "_Rendered"]) -> EncodedEvent:
        model, data = _contract(event, rendered)
        return self._outbox.event(
            model,
            data,
            subject=str(event.round.id),
            version=event.version,
            correlation_id=event.round.correlation_id,
            causation_id=event.caused_by,
        )


@dataclass(frozen=True, slots=True)
class _Rendered:
    """All lines of a settlement as they travel, and their digest: made once for all of its parts."""

    rows: list[_Row]
    digest: str


def render_lines(lines: Sequence[Line], *, asset: Asset) -> _Rendered:
    """Lines with their amounts as text; the digest is the SHA-256 (hex) of their canonical JSON."""
    render = asset.render
    rows: list[_Row] = [[line.line, line.player, line.place, render(line.amount)] for line in lines]
    return _Rendered(rows, canonical_hash(rows).hex())


def _wire(asset: Asset, minor: int) -> str:
    return Amount(asset, minor).to_wire()


def _contract(
    event: RoundEvent, rendered: dict[int, _Rendered]
) -> tuple[type[ServiceEnvelope], BaseModel | Mapping[str, Any]]:
    """``rendered`` keeps a settlement's lines (by identity) over its parts."""
    if isinstance(event, RoundSettled):
        settlement = event.settlement
        lines = rendered.get(id(settlement))
        if lines is None:
            lines = render_lines(settlement.lines, asset=settlement.rule.asset)
            rendered[id(settlement)] = lines
        settled = _settled(event, settlement, lines)
        if isinstance(event, RoundCorrected):
            return RoundCorrectedEvent, {**settled, "reason": event.reason}
        return RoundSettledEvent, settled
    found = event.round
    if isinstance(event, RoundFinalized):
        data = FinalizedData(round_id=found.id, settlement_version=event.settlement_version)
        return RoundFinalizedEvent, data
    if isinstance(event, RoundVoided):
        return RoundVoidedEvent, VoidedData(**_about(found), reason=event.reason)
    if isinstance(event, RoundEntered):
        entry = event.entry
        entered = EnteredData(
            **_about(found), entry_id=entry.id, player=entry.player, fee=_entry_fee(entry.fee), at=event.at
        )
        return RoundEnteredEvent, entered
    assert isinstance(event, RoundProgressed)
    progress = RoundProgress(
        **_about(found), rule_version=found.rule_version, at=event.at, entry_fee=_fee(event.entry_fee)
    )
    return _PROGRESS[event.state], progress


def _fee(fee: Fee | None) -> EntryFee | None:
    return None if fee is None else _entry_fee(fee)


def _entry_fee(fee: Fee) -> EntryFee:
    return EntryFee(asset=fee.asset.code, amount=_wire(fee.asset, fee.amount))


def _about(found: Round) -> dict[str, Any]:
    return {
        "round_id": found.id,
        "match_id": found.match_id,
        "match_source": found.source,
        "competition": found.competition,
    }


def _settled(event: RoundSettled, settlement: Settlement, rendered: _Rendered) -> dict[str, Any]:
    """The payload as plain JSON without the model, which is faster: one is published for every match."""
    found, rule, fees = event.round, settlement.rule, settlement.fees
    render = rule.asset.render
    first = event.lines[0].line - 1 if event.lines else 0
    return {
        "round_id": str(found.id),
        "match_id": found.match_id,
        "match_source": found.source,
        "competition": found.competition,
        "settlement_version": settlement.version,
        "rule_version": rule.version,
        "campaign": str(rule.campaign),
        "asset": rule.asset.code,
        "gross": render(fees.gross),
        "fees": {
            "platform": render(fees.platform),
            "organizer": render(fees.organizer),
            "organizer_player": rule.organizer_player,
        },
        "net": render(fees.net),
        "unclaimed": render(settlement.unclaimed),
        "part": event.part,
        "parts": settlement.parts,
        "lines_total": len(settlement.lines),
        "digest": rendered.digest,
        "lines": [
            {"line": number, "player": player, "place": place, "amount": amount}
            for number, player, place, amount in rendered.rows[first : first + len(event.lines)]
        ],
        "final": settlement.final,
        "final_at": settlement.final_at.isoformat().replace("+00:00", "Z"),
        "parties": _parties(settlement),
    }


def _parties(settlement: Settlement) -> list[dict[str, str]]:
    """The writers of this rule version and of earlier ones, and the reporters of the result that stands."""
    parties = [Party(PartyRole.RULE_WRITER, writer) for writer in settlement.rule.writers]
    parties += [Party(PartyRole.REPORTER, reporter) for reporter in settlement.reporters]
    return [{"role": role.value, "subject": subject} for role, subject in parties]
