"""What game servers and admins send about matches. Results are those of the events, word for word."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, model_validator

from prizewire_contracts.envelope import CorrelationId, HexSignature, Timestamp, Version
from prizewire_contracts.events.matches import (
    RESULTS_PER_PART_MAX,
    MatchClosed,
    MatchCompleted,
    MatchCorrected,
    MatchEntered,
    MatchOpened,
    MatchVoided,
    PlayerResult,
)
from prizewire_contracts.text import Ascii, EventLine, Name, Reason
from prizewire_settlement.prizes.http import RESULTS_MAX
from prizewire_settlement.rounds.domain.acceptance import PARTS_MAX

PART_BYTES_MAX = 5_000_000
"""The largest body of a report over HTTP: 2,000 results with the longest names and all their scores are 2 MB, and 4.2 MB
where the names are written with escapes.
"""
_RESULTS = [[{"player": "ann", "place": 1}, {"player": "bob", "place": 2}]]


class _Body(BaseModel):
    """An unknown field is refused: a misspelt one must not pass as another."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResolveBody(_Body):
    """What an admin decides: ``results`` that stand from then on, or ``void``; and the reason."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["results"],
                    "properties": {"results": {"type": "array"}, "void": {"type": "null"}},
                },
                {"required": ["void"], "properties": {"void": {"const": True}, "results": {"type": "null"}}},
            ]
        }
    )

    reason: Reason = Field(
        description="The reason; it is shown in the history, the event and the audit log.",
        examples=["the judges disqualified a player"],
    )
    results: Annotated[list[PlayerResult], Field(min_length=1, max_length=RESULTS_MAX)] | None = Field(
        None,
        description=f"The whole result, as in match.completed, in one piece: at most {RESULTS_MAX:,} players.",
        examples=_RESULTS,
    )
    void: Literal[True] | None = Field(
        None,
        description="The round does not count; only before it is final, or while rewards refuses its settlement.",
        examples=[None],
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "ResolveBody":
        if (self.results is None) == (self.void is None):
            msg = "give results, or void: true"
            raise ValueError(msg)
        return self


class ResettleBody(_Body):
    """The reason for resettling a refused round under the rule that its competition has in force."""

    reason: Reason = Field(
        description="The reason; it is shown in the history and the audit log.",
        examples=["the rule named a campaign in another asset"],
    )


class EndBody(_Body):
    """A match's result, as the data of match.completed."""

    competition: Name = Field(description="The competition's id.", examples=["cup"])
    results: Annotated[list[PlayerResult], Field(min_length=1, max_length=RESULTS_PER_PART_MAX)] = Field(
        description=f"Places, or named scores as decimal strings, or both; at most {RESULTS_PER_PART_MAX:,} in a part.",
        examples=_RESULTS,
    )
    result_version: Version = Field(1, examples=[1])
    part: Version = Field(
        1, description="Which part of a large result this is; the order does not matter.", examples=[1]
    )
    parts: Annotated[int, Field(strict=True, ge=1, le=PARTS_MAX)] = Field(
        1, description="How many parts it has.", examples=[1]
    )
    correlation_id: CorrelationId | None = Field(
        None,
        description="The correlation id of the match. Without it one is derived from source and match.",
        examples=["0b1f9d8e-5d0f-5c55-9d0e-3f6a1f0a7c11"],
    )


class EntryBody(_Body):
    """A player who enters a match."""

    competition: Name = Field(description="The competition's id.", examples=["cup"])
    player: Name = Field(description="Who enters.", examples=["ann"])
    correlation_id: CorrelationId | None = Field(
        None,
        description="As in the match's other reports.",
        examples=["0b1f9d8e-5d0f-5c55-9d0e-3f6a1f0a7c11"],
    )


class EventBody(BaseModel):
    """A match event as on prizewire.matches.v1: CloudEvents 1.0, structured JSON, signed where the competition lists keys for
    its source. A result, or a correction, of more than 2,000 players comes in parts (`part` of `parts`), each an event with a
    request and a key of its own, and counts once all are here. Other attributes are allowed.
    """

    specversion: Literal["1.0"] = Field(examples=["1.0"])
    id: EventLine = Field(
        description="Names the event for its source. The same id has one effect.",
        examples=["chess-4711-result"],
    )
    source: Ascii = Field(description="The source of the token.", examples=["/games/chess"])
    type: Literal[
        "prizewire.match.opened.v1",
        "prizewire.match.entered.v1",
        "prizewire.match.closed.v1",
        "prizewire.match.completed.v1",
        "prizewire.match.corrected.v1",
        "prizewire.match.voided.v1",
    ] = Field(examples=["prizewire.match.completed.v1"])
    time: Timestamp = Field(examples=["2026-05-01T12:00:00Z"])
    subject: Name = Field(description="The match id, as in `data`.", examples=["4711"])
    datacontenttype: Literal["application/json"] = Field("application/json", examples=["application/json"])
    correlationid: CorrelationId | None = Field(
        None,
        description="Else it is derived from source and match.",
        examples=["0b1f9d8e-5d0f-5c55-9d0e-3f6a1f0a7c11"],
    )
    keyid: Ascii | None = Field(None, description="The key that signed it.", examples=["chess-1"])
    signature: HexSignature | None = Field(
        None,
        description="Ed25519 over the event without `signature` and `traceparent`, as on Kafka.",
        examples=["5f" * 64],
    )
    data: MatchCompleted | MatchCorrected | MatchEntered | MatchOpened | MatchClosed | MatchVoided = Field(
        description="Of the event's type.",
        examples=[{"match_id": "4711", "competition": "cup", "results": _RESULTS[0]}],
    )

    @model_validator(mode="wrap")
    @classmethod
    def _unread(cls, value: Any, handler: ModelWrapValidatorHandler["EventBody"]) -> "EventBody":
        """The event is read from its bytes, which the signature covers; this model is for the OpenAPI document."""
        del handler
        if not isinstance(value, dict):
            msg = "the body is no JSON object: send one event as a JSON object"
            raise ValueError(msg)  # noqa: TRY004 - pydantic takes ValueError for what is refused
        return cls.model_construct()  # type: ignore[call-arg] # nothing of it is read
