"""Translates events of settlement to commands, and computes the digest of their lines."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from prizewire_chassis.inbox import Incoming
from prizewire_contracts.canonical import canonical_bytes, canonical_hash
from prizewire_contracts.events import settlements as settlement_events
from prizewire_money import Asset, AssetRegistry
from prizewire_rewards.ledger.consumers import amount_of, same_subject
from prizewire_rewards.prizes.domain.model import Line, Settlement
from prizewire_rewards.rounds.domain.commands import (
    CorrectRound,
    FinalizeRound,
    RoundCommand,
    SettleRound,
    VoidRound,
)

_SETTLEMENT_TYPES = frozenset(
    {
        "prizewire.round.settled.v1",
        "prizewire.round.finalized.v1",
        "prizewire.round.voided.v1",
        "prizewire.round.corrected.v1",
    }
)


def _settlement_command(item: Incoming, *, assets: AssetRegistry) -> RoundCommand:
    event = item.event
    if isinstance(event, settlement_events.RoundSettledEvent):
        return SettleRound(**_settled(event, assets=assets))
    if isinstance(event, settlement_events.RoundCorrectedEvent):
        return CorrectRound(**_settled(event, assets=assets), reason=event.data.reason)
    same_subject(event.subject, event.data.round_id)
    if isinstance(event, settlement_events.RoundVoidedEvent):
        return VoidRound(round_id=event.data.round_id, cause=event.id)
    return FinalizeRound(
        round_id=event.data.round_id,
        settlement_version=event.data.settlement_version,
        correlation_id=event.correlationid or str(event.data.round_id),
        cause=event.id,
    )


def _settled(
    event: settlement_events.RoundSettledEvent | settlement_events.RoundCorrectedEvent,
    *,
    assets: AssetRegistry,
) -> dict[str, Any]:
    data = event.data
    same_subject(event.subject, data.round_id)
    part, read = data.part, partial(amount_of, assets, data.asset)
    gross = read(data.gross)
    lines = tuple(
        Line(line.line, line.player, line.place, read(line.amount).minor, part) for line in data.lines
    )
    settlement = Settlement(
        round_id=data.round_id,
        match_id=data.match_id,
        match_source=data.match_source,
        competition=data.competition,
        correlation_id=event.correlationid,
        settlement_version=data.settlement_version,
        rule_version=data.rule_version,
        campaign=data.campaign,
        asset=gross.asset.code,
        gross=gross.minor,
        platform_fee=read(data.fees.platform).minor,
        organizer_fee=read(data.fees.organizer).minor,
        organizer_player=data.fees.organizer_player,
        net=read(data.net).minor,
        unclaimed=read(data.unclaimed).minor,
        parts=data.parts,
        lines_total=data.lines_total,
        digest=data.digest,
        final=data.final,
        final_at=data.final_at,
        parties=tuple((party.role.value, party.subject) for party in data.parties),
    )
    return {"settlement": settlement, "part": part, "lines": lines, "cause": event.id}


class CanonicalDigest:
    """Computes the digest of lines as settlement does."""

    def __init__(self, assets: AssetRegistry) -> None:
        self._assets = assets

    def __call__(self, lines: Sequence[Line], *, asset: str) -> str:
        """Hex SHA-256 of the canonical JSON array ``[[line, player, place, amount], …]``."""
        return canonical_hash(_rows(lines, self._assets[asset])).hex()

    def begin(self, *, asset: str) -> "CanonicalStream":
        """Begin the same digest over lines that are added in batches."""
        return CanonicalStream(self._assets[asset])


class CanonicalStream:
    """The hash of the canonical JSON array, computed batch by batch. Its memory does not grow with the number of lines."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset
        self._hash = hashlib.sha256(b"[")
        self._empty = True

    def add(self, lines: Sequence[Line]) -> None:
        """Add the next lines, in their order."""
        if not lines:
            return
        if not self._empty:
            self._hash.update(b",")
        self._empty = False
        self._hash.update(canonical_bytes(_rows(lines, self._asset))[1:-1])

    def hexdigest(self) -> str:
        """The digest of all added lines."""
        whole = self._hash.copy()
        whole.update(b"]")
        return whole.hexdigest()


def _rows(lines: Sequence[Line], asset: Asset) -> list[list[int | str]]:
    render = asset.render
    return [[line.line, line.player, line.place, render(line.amount)] for line in lines]
