"""Answers of the routes that each service serves about itself."""

from typing import Annotated, Any

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Moment

_Service = Annotated[str, Field(examples=["settlement"])]
_CorrelationId = Annotated[str, Field(examples=["0b1f9d8e-5d0f-5c55-9d0e-3f6a1f0a7c11"])]


class LineageStep(AnswerModel):
    """One step of a correlation id, as the service that took it recorded it."""

    at: Moment
    service: _Service
    kind: Annotated[str, Field(examples=["round.settled"])]
    id: Annotated[str, Field(description="What the step is about.", examples=["4711"])]
    summary: Annotated[str, Field(description="The step as a sentence.", examples=["round 4711: settled"])]
    detail: Annotated[
        dict[str, Any],
        Field(
            description="Facts that depend on `kind`, as they were at `at`. Those under `now`, where it is there, are as "
            "they are when the lineage is asked for.",
            examples=[{}],
        ),
    ]


class LineageAnswer(AnswerModel):
    """A service's steps of one correlation id, the oldest first."""

    service: _Service
    entries: list[LineageStep]


class StuckEventSummary(AnswerModel):
    """An event that was not applied, without its message."""

    id: Annotated[int, Field(examples=[17])]
    consumer: Annotated[str, Field(examples=["settlement.matches"])]
    topic: Annotated[str, Field(examples=["prizewire.matches.v1"])]
    partition: Annotated[int, Field(examples=[0])]
    offset: Annotated[int, Field(examples=[4711])]
    event_id: Annotated[str | None, Field(description="Null where it cannot be read.", examples=["e-1"])]
    source: Annotated[str | None, Field(examples=["/games/chess"])]
    subject: Annotated[str | None, Field(examples=["match-4711"])]
    type: Annotated[str | None, Field(examples=["prizewire.match.completed.v1"])]
    version: Annotated[int | None, Field(description="The aggregate's version.", examples=[1])]
    correlation_id: _CorrelationId | None
    state: Annotated[
        str,
        Field(
            description="`dead` (refused, blocks nothing), `parked` (blocks its subject), `replayed` or "
            "`discarded`.",
            examples=["parked"],
        ),
    ]
    reason: Annotated[str, Field(description="A stable code.", examples=["handler_error"])]
    detail: Annotated[str, Field(description="The reason as a sentence.", examples=["KeyError('place')"])]
    at: Annotated[Moment, Field(description="When it was stored as dead or parked.")]


class StuckEventAnswer(StuckEventSummary):
    """An event that was not applied, with its message."""

    recorded_at: Annotated[Moment, Field(description="The same as `at`.")]
    replayed_at: Annotated[Moment | None, Field(examples=[None])]
    replayed_by: Annotated[str | None, Field(examples=[None])]
    discarded_at: Annotated[Moment | None, Field(examples=[None])]
    discarded_by: Annotated[str | None, Field(examples=[None])]
    discard_reason: Annotated[str | None, Field(examples=[None])]
    message: Annotated[
        str,
        Field(
            description="The message as it came. Bytes that are not UTF-8 are shown as escapes. Where the message is an audit record, "
            "callers without the role `admin` get a sentence that says so.",
            examples=['{"specversion":"1.0"}'],
        ),
    ]


class ReplayedAnswer(AnswerModel):
    """The result of a replay."""

    state: Annotated[str, Field(description="Its state now.", examples=["replayed"])]
    reason: Annotated[str | None, Field(description="Why it is still stuck.", examples=[None])]
    detail: Annotated[str | None, Field(examples=[None])]
    released: Annotated[int, Field(description="Events behind it that were applied too.", examples=[0])]


class DiscardedAnswer(AnswerModel):
    """The result of a discard."""

    state: Annotated[str, Field(description="Its state now.", examples=["discarded"])]
    type: Annotated[str | None, Field(examples=["prizewire.match.completed.v1"])]
    subject: Annotated[str | None, Field(description="What it was about.", examples=["match-4711"])]
    correlation_id: _CorrelationId | None
    holds_money: Annotated[
        bool,
        Field(
            description="Whether money may wait for events of this type, or the type cannot be read. Whether money waits "
            "for this one is not looked up.",
            examples=[False],
        ),
    ]
    versions_skipped: Annotated[
        int,
        Field(
            description="Earlier versions of its subject that had not arrived; they are ignored when they do.",
            examples=[0],
        ),
    ]
    released: Annotated[int, Field(description="Events behind it that were applied.", examples=[1])]


class CheckAnswer(AnswerModel):
    """An invariant, checked now."""

    name: Annotated[str, Field(examples=["audit.chain"])]
    ok: Annotated[bool, Field(examples=[True])]
    breaches: Annotated[list[str], Field(description="At most 50, as sentences.", examples=[[]])]
    looked_at: Annotated[
        int | None, Field(description="How many things the check is about.", examples=[1200])
    ]


class ChecksAnswer(AnswerModel):
    """The invariants of a service."""

    service: _Service
    checks: list[CheckAnswer]


class AuditRecordAnswer(AnswerModel):
    """One record of an audit chain, member by member as it is published. ``hash`` is the SHA-256 of the canonical JSON of all other
    members, so a reader can check the chain without the service.
    """

    service: _Service
    sequence: Annotated[
        int, Field(description="Its number in the chain, from 1 without a gap.", examples=[12])
    ]
    at: Annotated[
        str | None,
        Field(description="RFC 3339, UTC. Null where it cannot be read.", examples=["2026-05-01T12:00:00Z"]),
    ]
    actor: Annotated[str, Field(description="The person or the part who did it.", examples=["ana"])]
    action: Annotated[str, Field(examples=["payout.approved"])]
    target: Annotated[
        str, Field(description="What it was done to.", examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"])
    ]
    reason: Annotated[str | None, Field(examples=["checked against the match"])]
    detail: Annotated[Any, Field(description="Facts that depend on `action`.", examples=[{}])]
    correlation_id: _CorrelationId
    prev_hash: Annotated[
        str,
        Field(description="The `hash` of the record before; 64 zeros in the first.", examples=["0" * 64]),
    ]
    hash: Annotated[
        str,
        Field(
            description="Hex SHA-256 of the canonical JSON (RFC 8785) of this record without `hash`.",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        ),
    ]


class PublishedRecordAnswer(AnswerModel):
    """The hash of an audit record as its event has it."""

    sequence: Annotated[int, Field(description="The number of the record.", examples=[12])]
    hash: Annotated[
        str,
        Field(
            description="Empty where the event cannot be read.",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        ),
    ]


class AuditHeadAnswer(AnswerModel):
    """The end of an audit chain. A chain whose `published` is greater than its `sequence` was cut at its end. Where it is smaller,
    which only a copy of another service's chain can have, the newest records did not come from that service.
    """

    service: _Service
    sequence: Annotated[int, Field(description="The number of the newest record; 0 of none.", examples=[12])]
    hash: Annotated[str | None, Field(description="The hash of the newest record.", examples=[None])]
    published: Annotated[
        int, Field(description="The greatest number of a record that is known as published.", examples=[12])
    ]
