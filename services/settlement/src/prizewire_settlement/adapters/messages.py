"""Domain events as contracts, into the outbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.outbox import Outbox
from prizewire_contracts.canonical import canonical_hash
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.envelope import ServiceEnvelope
from prizewire_contracts.events.settlements import (
    Fees,
    RoundClosedEvent,
    RoundFinalizedEvent,
    RoundOpenedEvent,
    RoundProgress,
    RoundSettledEvent,
    SettledLine,
)
from prizewire_contracts.events.settlements import RoundFinalized as FinalizedData
from prizewire_contracts.events.settlements import RoundSettled as SettledData
from prizewire_money import Amount, Asset
from prizewire_settlement.domain.events import RoundEvent, RoundFinalized, RoundProgressed, RoundSettled
from prizewire_settlement.domain.model import Line, Settlement
from prizewire_settlement.domain.states import RoundState

__all__ = ["Messages", "render_lines"]

_PROGRESS: dict[RoundState, type[ServiceEnvelope]] = {
    RoundState.OPEN: RoundOpenedEvent,
    RoundState.CLOSED: RoundClosedEvent,
}


_Row = list[Any]
"""A line as the digest covers it: ``[line, player, place, amount]``."""


class Messages:
    """The port ``EventSink`` over one transaction's outbox."""

    def __init__(self, tx: AsyncConnection, *, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox

    async def publish(self, events: Sequence[RoundEvent]) -> None:
        """See the port."""
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
    rows: list[_Row] = [[line.line, line.player, line.place, _wire(asset, line.amount)] for line in lines]
    return _Rendered(rows, canonical_hash(rows).hex())


def _wire(asset: Asset, minor: int) -> str:
    return Amount(asset, minor).to_wire()


def _contract(event: RoundEvent, rendered: dict[int, _Rendered]) -> tuple[type[ServiceEnvelope], BaseModel]:
    """``rendered`` keeps a settlement's lines (by identity) over its parts."""
    if isinstance(event, RoundSettled):
        settlement = event.settlement
        lines = rendered.get(id(settlement))
        if lines is None:
            lines = render_lines(settlement.lines, asset=settlement.rule.asset)
            rendered[id(settlement)] = lines
        return RoundSettledEvent, _settled(event, settlement, lines)
    found = event.round
    if isinstance(event, RoundFinalized):
        data = FinalizedData(round_id=found.id, settlement_version=event.settlement_version)
        return RoundFinalizedEvent, data
    assert isinstance(event, RoundProgressed)
    progress = RoundProgress(
        round_id=found.id,
        match_id=found.match_id,
        match_source=found.source,
        competition=found.competition,
        rule_version=found.rule_version,
        at=event.at,
    )
    return _PROGRESS[event.state], progress


def _settled(event: RoundSettled, settlement: Settlement, rendered: _Rendered) -> SettledData:
    found, rule, fees = event.round, settlement.rule, settlement.fees
    asset = rule.asset
    first = event.lines[0].line - 1 if event.lines else 0
    return SettledData(
        round_id=found.id,
        match_id=found.match_id,
        match_source=found.source,
        competition=found.competition,
        settlement_version=settlement.version,
        rule_version=rule.version,
        campaign=rule.campaign,
        asset=asset.code,
        gross=_wire(asset, fees.gross),
        fees=Fees(
            platform=_wire(asset, fees.platform),
            organizer=_wire(asset, fees.organizer),
            organizer_player=rule.organizer_player,
        ),
        net=_wire(asset, fees.net),
        unclaimed=_wire(asset, settlement.unclaimed),
        part=event.part,
        parts=settlement.parts,
        lines_total=len(settlement.lines),
        digest=rendered.digest,
        lines=[
            SettledLine(line=number, player=player, place=place, amount=amount)
            for number, player, place, amount in rendered.rows[first : first + len(event.lines)]
        ],
        final=settlement.final,
        final_at=settlement.final_at,
    )
