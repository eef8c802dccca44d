"""Domain events as contracts, into the outbox."""

from collections.abc import Sequence

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

__all__ = ["Messages", "lines_digest"]

_PROGRESS: dict[RoundState, type[ServiceEnvelope]] = {
    RoundState.OPEN: RoundOpenedEvent,
    RoundState.CLOSED: RoundClosedEvent,
}


class Messages:
    """The port ``EventSink`` over one transaction's outbox."""

    def __init__(self, tx: AsyncConnection, *, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox

    async def publish(self, events: Sequence[RoundEvent]) -> None:
        """See the port."""
        digests: dict[int, str] = {}
        await self._outbox.add(self._tx, [self._encode(event, digests) for event in events])

    def _encode(self, event: RoundEvent, digests: dict[int, str]) -> EncodedEvent:
        model, data = _contract(event, digests)
        return self._outbox.event(
            model,
            data,
            subject=str(event.round.id),
            version=event.version,
            correlation_id=event.round.correlation_id,
            causation_id=event.caused_by,
        )


def lines_digest(lines: Sequence[Line], *, asset: Asset) -> str:
    """SHA-256 (hex) of the canonical JSON ``[[line, player, place, amount], …]`` over all lines of a settlement."""
    return canonical_hash(
        [[line.line, line.player, line.place, _wire(asset, line.amount)] for line in lines]
    ).hex()


def _wire(asset: Asset, minor: int) -> str:
    return Amount(asset, minor).to_wire()


def _contract(event: RoundEvent, digests: dict[int, str]) -> tuple[type[ServiceEnvelope], BaseModel]:
    """``digests`` keeps a settlement's digest (by identity) over its parts."""
    if isinstance(event, RoundSettled):
        settlement = event.settlement
        digest = digests.get(id(settlement))
        if digest is None:
            digest = lines_digest(settlement.lines, asset=settlement.rule.asset)
            digests[id(settlement)] = digest
        return RoundSettledEvent, _settled(event, settlement, digest)
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


def _settled(event: RoundSettled, settlement: Settlement, digest: str) -> SettledData:
    found, rule, fees = event.round, settlement.rule, settlement.fees
    asset = rule.asset
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
        digest=digest,
        lines=[
            SettledLine(
                line=line.line, player=line.player, place=line.place, amount=_wire(asset, line.amount)
            )
            for line in event.lines
        ],
        final=settlement.final,
        final_at=settlement.final_at,
    )
