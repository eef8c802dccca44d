"""``prizewire.settlements.v1``: who is owed what. Produced by settlement. Subject: the round id."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from prizewire_contracts.envelope import Amount, AssetCode, Data, Digest, ServiceEnvelope, Timestamp, Version
from prizewire_contracts.events.parties import MoneyParty
from prizewire_contracts.text import Ascii, EventReason, Name

LINES_PER_PART_MAX = 1_000
"""Lines in one ``round.settled``; larger settlements travel in numbered parts."""


class _Round(Data):
    round_id: UUID
    match_id: Name
    match_source: Ascii
    competition: Name


class EntryFee(Data):
    """What entering a round costs."""

    asset: AssetCode
    amount: Amount


class RoundProgress(_Round):
    """A round reached a state before its settlement. ``at`` is the time of the cause; ``entry_fee`` is what its rule
    asks of each player, None where entering is free.
    """

    rule_version: Version
    at: Timestamp
    entry_fee: EntryFee | None = None


class RoundEntered(_Round):
    """A player enters a round, and owes ``fee``. ``entry_id`` follows from round and player."""

    entry_id: UUID
    player: Name
    fee: EntryFee
    at: Timestamp


class Fees(Data):
    """The fees that are taken from the gross prize. Where ``organizer_player`` is named, the organizer's fee is credited to
    that player's wallet; otherwise it is kept with the platform's fees.
    """

    platform: Amount
    organizer: Amount
    organizer_player: Name | None = None


class SettledLine(Data):
    """One prize line. ``line`` counts from 1 over all parts; an amount of zero is not a line."""

    line: Version
    player: Name
    place: Version
    amount: Amount


class RoundSettled(_Round):
    """A settled round, or one part of it. Version 1, or a later one where rewards refused every version before: a round
    that was settled again under another rule.

    ``gross = fees.platform + fees.organizer + net`` and ``net = sum of all lines + unclaimed``; ``unclaimed``
    (places without a player) goes back to the pool. All amounts are of the whole round, in ``asset``.
    ``digest`` is the SHA-256 (hex) of the canonical JSON array ``[[line, player, place, amount], …]`` over all
    lines of all parts. ``final`` means payable at once; else the round is final at ``final_at`` unless corrected. ``parties`` are who wrote the
    rule version and, where a person reported the result that stands, that person; a game server on Kafka is no person.
    """

    settlement_version: Version
    rule_version: Version
    campaign: UUID
    asset: AssetCode
    gross: Amount
    fees: Fees
    net: Amount
    unclaimed: Amount
    part: Version
    parts: Version
    lines_total: Annotated[int, Field(ge=0)]
    digest: Digest
    lines: Annotated[list[SettledLine], Field(max_length=LINES_PER_PART_MAX)]
    final: bool
    final_at: Timestamp
    parties: list[MoneyParty] = Field(default_factory=list)


class RoundCorrected(RoundSettled):
    """Full new lines that supersede the settlement before."""

    reason: EventReason


class RoundFinalized(Data):
    """The dispute window has passed: the prizes of this settlement version are payable."""

    round_id: UUID
    settlement_version: Version


class RoundVoided(_Round):
    """The round does not count. Its reserved money goes back to the pool."""

    reason: EventReason


class _SettlementEnvelope(ServiceEnvelope):
    signed: ClassVar[bool] = True
    producer: ClassVar[str | None] = "settlement"


class RoundOpenedEvent(_SettlementEnvelope):
    """Envelope of ``round.opened``."""

    type: Literal["prizewire.round.opened.v1"] = "prizewire.round.opened.v1"
    data: RoundProgress


class RoundEnteredEvent(_SettlementEnvelope):
    """Envelope of ``round.entered``."""

    type: Literal["prizewire.round.entered.v1"] = "prizewire.round.entered.v1"
    data: RoundEntered


class RoundClosedEvent(_SettlementEnvelope):
    """Envelope of ``round.closed``."""

    type: Literal["prizewire.round.closed.v1"] = "prizewire.round.closed.v1"
    data: RoundProgress


class RoundSettledEvent(_SettlementEnvelope):
    """Envelope of ``round.settled``."""

    type: Literal["prizewire.round.settled.v1"] = "prizewire.round.settled.v1"
    data: RoundSettled


class RoundFinalizedEvent(_SettlementEnvelope):
    """Envelope of ``round.finalized``."""

    type: Literal["prizewire.round.finalized.v1"] = "prizewire.round.finalized.v1"
    data: RoundFinalized


class RoundVoidedEvent(_SettlementEnvelope):
    """Envelope of ``round.voided``."""

    type: Literal["prizewire.round.voided.v1"] = "prizewire.round.voided.v1"
    data: RoundVoided


class RoundCorrectedEvent(_SettlementEnvelope):
    """Envelope of ``round.corrected``."""

    type: Literal["prizewire.round.corrected.v1"] = "prizewire.round.corrected.v1"
    data: RoundCorrected


SettlementEvent = Annotated[
    RoundOpenedEvent
    | RoundEnteredEvent
    | RoundClosedEvent
    | RoundSettledEvent
    | RoundFinalizedEvent
    | RoundVoidedEvent
    | RoundCorrectedEvent,
    Field(discriminator="type"),
]
