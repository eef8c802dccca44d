"""What settlement's routes answer about rounds and matches."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_settlement.competitions.http.answers import (
    AmountText,
    Asset,
    Campaign,
    CompetitionName,
    RuleVersion,
    SourceName,
    money,
)
from prizewire_settlement.prizes.http import FeesAnswer, LineAnswer, fees_answer
from prizewire_settlement.rounds.domain.model import (
    Disownment,
    Refusal,
    Round,
    RoundState,
    Settlement,
    Transition,
)

_MatchId = Annotated[str, Field(examples=["4711"])]
_CorrelationId = Annotated[str, Field(examples=["0b1f9d8e-5d0f-5c55-9d0e-3f6a1f0a7c11"])]
_SettlementVersion = Annotated[
    int, Field(description="Which settlement of the round, from 1. 0 before the first.", examples=[1])
]
_ResultVersion = Annotated[
    int | None, Field(description="The version of the result that counts. Null without one.", examples=[1])
]
_WaitingSince = Annotated[
    Moment | None,
    Field(
        description="When the first part of a result arrived of which other parts are missing. Null if none is missing.",
        examples=[None],
    ),
]
_FinalAt = Annotated[
    Moment | None,
    Field(
        description="When the dispute window ends or ended. Null before a settlement, and for a round that never becomes "
        "final: one that was voided, or disowned before it was final."
    ),
]


class RoundAnswer(AnswerModel):
    """A round: one match of a competition, from its opening to its final settlement."""

    id: Id
    competition: CompetitionName
    source: SourceName
    match_id: _MatchId
    correlation_id: _CorrelationId
    rule_version: RuleVersion
    state: Annotated[RoundState, Field(examples=["SETTLED"])]
    settlement_version: _SettlementVersion
    result_version: _ResultVersion
    final_at: _FinalAt
    waiting_since: _WaitingSince
    refused_at: Annotated[
        Moment | None,
        Field(
            description="When rewards refused the newest settlement for good. Null once the round is settled again, voided "
            "or disowned.",
            examples=[None],
        ),
    ]
    disowned_at: Annotated[
        Moment | None,
        Field(
            description="When settlement learned that two admins disowned the round in rewards: it can only be voided.  Null if "
            "nobody did.",
            examples=[None],
        ),
    ]
    created_at: Moment
    updated_at: Moment


class WaitingAnswer(AnswerModel):
    """A result of which parts are missing."""

    result_version: Annotated[int, Field(examples=[1])]
    parts: Annotated[int, Field(description="How many parts it has.", examples=[3])]
    missing: Annotated[
        list[int], Field(description="The numbers of the parts that are missing.", examples=[[2]])
    ]


class RefusalAnswer(AnswerModel):
    """Why rewards can never book a settlement."""

    settlement_version: Annotated[int, Field(examples=[1])]
    part: Annotated[
        int, Field(description="The part of the settlement that was refused first.", examples=[1])
    ]
    code: Annotated[str, Field(description="A stable code.", examples=["asset_mismatch"])]
    detail: Annotated[str, Field(examples=["the campaign is in another asset"])]
    at: Moment


class DisownedAnswer(AnswerModel):
    """Why rewards books nothing of a round any more."""

    disownment_id: Annotated[Id, Field(description="Its id in `/api/round-disownments` of rewards.")]
    reason: Annotated[
        str, Field(description="Why two admins disowned it.", examples=["verify: its version was forged"])
    ]
    at: Moment


class TransitionAnswer(AnswerModel):
    """One step of a round."""

    seq: Annotated[int, Field(description="From 1.", examples=[4])]
    from_state: Annotated[RoundState, Field(description="NEW before the first step.", examples=["RESOLVED"])]
    to_state: Annotated[RoundState, Field(examples=["SETTLED"])]
    cause: Annotated[
        str,
        Field(
            description="The type of the event, the name of the job, or `admin.resolve`.",
            examples=["prizewire.match.completed.v1"],
        ),
    ]
    cause_id: Annotated[
        str | None, Field(description="The id of the event or the request.", examples=["chess-4711-result"])
    ]
    actor: Annotated[
        str,
        Field(description="The source, the service or the person that caused it.", examples=["/games/chess"]),
    ]
    reason: Annotated[str | None, Field(description="What the person wrote.", examples=[None])]
    correlation_id: _CorrelationId
    at: Moment


class SettlementAnswer(AnswerModel):
    """A settlement without its lines: gross = fees + net, and net = lines + unclaimed."""

    settlement_version: Annotated[int, Field(examples=[1])]
    rule_version: RuleVersion
    campaign: Campaign
    asset: Asset
    gross: AmountText
    fees: FeesAnswer
    net: Annotated[AmountText, Field(examples=["85.00"])]
    unclaimed: Annotated[AmountText, Field(description="What no player gets.", examples=["17.00"])]
    lines_total: Annotated[int, Field(description="How many prizes there are.", examples=[2])]
    final: Annotated[bool, Field(description="Whether it was final when it was made.", examples=[False])]
    final_at: _FinalAt
    settled_at: Moment
    reason: Annotated[str | None, Field(description="Why it differs from the one before.", examples=[None])]


class RoundDetailAnswer(RoundAnswer):
    """A round with its history, its newest settlement and the first 1,000 lines of that."""

    waiting: Annotated[WaitingAnswer | None, Field(description="Null if no part of a result is missing.")]
    refused: Annotated[
        RefusalAnswer | None,
        Field(description="Null unless rewards refuses the newest settlement. Null for a disowned round."),
    ]
    disowned: Annotated[
        DisownedAnswer | None, Field(description="Null unless two admins disowned the round in rewards.")
    ]
    transitions: list[TransitionAnswer]
    settlement: Annotated[SettlementAnswer | None, Field(description="Null before the first settlement.")]
    lines: list[LineAnswer]


class DecisionAnswer(RoundAnswer):
    """A round after an admin's decision."""

    changed: Annotated[bool, Field(description="False if every line stays as it was.", examples=[True])]
    settlement: Annotated[SettlementAnswer | None, Field(description="Null if it was never settled.")]


class ReportAnswer(AnswerModel):
    """A report was applied, now or before, and the state of its round."""

    event_id: Annotated[str, Field(examples=["chess-4711-result"])]
    round_id: Id
    match_id: _MatchId
    correlation_id: _CorrelationId
    state: Annotated[RoundState, Field(examples=["SETTLED"])]
    result_version: _ResultVersion
    settlement_version: _SettlementVersion
    waiting_since: _WaitingSince


def round_answer(found: Round) -> RoundAnswer:
    """A round without its history."""
    return RoundAnswer(
        id=found.id,
        competition=found.competition,
        source=found.source,
        match_id=found.match_id,
        correlation_id=found.correlation_id,
        rule_version=found.rule_version,
        state=found.state,
        settlement_version=found.settlement_version,
        result_version=found.result_version,
        final_at=None if found.never_final else found.final_at,
        waiting_since=found.waiting_since,
        refused_at=None if found.disowned_at is not None else found.refused_at,
        disowned_at=found.disowned_at,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def refusal_answer(refusal: Refusal) -> RefusalAnswer:
    """Why rewards can never book a settlement."""
    return RefusalAnswer(
        settlement_version=refusal.version,
        part=refusal.part,
        code=refusal.code,
        detail=refusal.detail,
        at=refusal.at,
    )


def disowned_answer(disownment: Disownment) -> DisownedAnswer:
    """Why rewards books nothing of a round any more."""
    return DisownedAnswer(disownment_id=disownment.id, reason=disownment.reason, at=disownment.at)


def transition_answer(step: Transition) -> TransitionAnswer:
    """One step of a round."""
    return TransitionAnswer(
        seq=step.seq,
        from_state=step.before,
        to_state=step.after,
        cause=step.cause.kind,
        cause_id=step.cause.id,
        actor=step.cause.actor,
        reason=step.cause.reason,
        correlation_id=step.correlation_id,
        at=step.at,
    )


def settlement_answer(
    settlement: Settlement, *, lines_total: int, never_final: bool = False
) -> SettlementAnswer:
    """A settlement without its lines. Of a round that is ``never_final`` it names no time at which that is final."""
    rule, fees = settlement.rule, settlement.fees
    return SettlementAnswer(
        settlement_version=settlement.version,
        rule_version=rule.version,
        campaign=rule.campaign,
        asset=rule.asset.code,
        gross=money(rule, fees.gross),
        fees=fees_answer(rule, platform=fees.platform, organizer=fees.organizer),
        net=money(rule, fees.net),
        unclaimed=money(rule, settlement.unclaimed),
        lines_total=lines_total,
        final=settlement.final,
        final_at=None if never_final else settlement.final_at,
        settled_at=settlement.settled_at,
        reason=settlement.cause.reason,
    )


def report_answer(found: Round, *, event_id: str) -> ReportAnswer:
    """The state of a round after a report."""
    return ReportAnswer(
        event_id=event_id,
        round_id=found.id,
        match_id=found.match_id,
        correlation_id=found.correlation_id,
        state=found.state,
        result_version=found.result_version,
        settlement_version=found.settlement_version,
        waiting_since=found.waiting_since,
    )
