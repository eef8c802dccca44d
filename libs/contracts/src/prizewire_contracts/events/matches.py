"""``prizewire.matches.v1``: what game servers report. Subject: the match id."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from prizewire_contracts.envelope import Data, Envelope, Score, Version
from prizewire_contracts.text import EventReason, Name

RESULTS_PER_PART_MAX = 2_000
"""Results in one message; larger results travel in numbered parts."""


class PlayerResult(Data):
    """One player's result: the place (1 is best; equal places are ties), or named scores, or both."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["place"], "properties": {"place": {"type": "integer"}}},
                {"required": ["scores"], "properties": {"scores": {"minProperties": 1}}},
            ]
        }
    )

    player: Annotated[Name, Field(examples=["ann"])]
    place: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = Field(None, examples=[1])
    scores: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], Score], Field(max_length=8)
    ] = Field(default_factory=dict, examples=[{"points": "8.5"}])

    @model_validator(mode="after")
    def _has_a_result(self) -> "PlayerResult":
        if self.place is None and not self.scores:
            msg = "a result needs a place or a score"
            raise ValueError(msg)
        return self


class _Match(Data):
    match_id: Name
    competition: Name


class MatchEntered(_Match):
    """A player enters a match; where its competition asks for an entry fee, it is taken from the player's wallet."""

    player: Name


class MatchOpened(_Match):
    """A match has begun to take players."""


class MatchClosed(_Match):
    """A match takes no more players; its result is to come."""


class MatchCompleted(_Match):
    """A match's result. Part ``part`` of ``parts``; a small result is part 1 of 1."""

    result_version: Version = 1
    part: Version = 1
    parts: Version = 1
    results: Annotated[list[PlayerResult], Field(min_length=1, max_length=RESULTS_PER_PART_MAX)]


class MatchCorrected(MatchCompleted):
    """A result that supersedes an earlier one, whole."""

    reason: EventReason


class MatchVoided(_Match):
    """A match that does not count."""

    reason: EventReason


class MatchEnteredEvent(Envelope):
    """Envelope of ``match.entered``."""

    type: Literal["prizewire.match.entered.v1"] = "prizewire.match.entered.v1"
    data: MatchEntered


class MatchOpenedEvent(Envelope):
    """Envelope of ``match.opened``."""

    type: Literal["prizewire.match.opened.v1"] = "prizewire.match.opened.v1"
    data: MatchOpened


class MatchClosedEvent(Envelope):
    """Envelope of ``match.closed``."""

    type: Literal["prizewire.match.closed.v1"] = "prizewire.match.closed.v1"
    data: MatchClosed


class MatchCompletedEvent(Envelope):
    """Envelope of ``match.completed``."""

    type: Literal["prizewire.match.completed.v1"] = "prizewire.match.completed.v1"
    data: MatchCompleted


class MatchCorrectedEvent(Envelope):
    """Envelope of ``match.corrected``."""

    type: Literal["prizewire.match.corrected.v1"] = "prizewire.match.corrected.v1"
    data: MatchCorrected


class MatchVoidedEvent(Envelope):
    """Envelope of ``match.voided``."""

    type: Literal["prizewire.match.voided.v1"] = "prizewire.match.voided.v1"
    data: MatchVoided


MatchEvent = Annotated[
    MatchOpenedEvent
    | MatchEnteredEvent
    | MatchClosedEvent
    | MatchCompletedEvent
    | MatchCorrectedEvent
    | MatchVoidedEvent,
    Field(discriminator="type"),
]
