"""Rows of rounds, results and settlements as objects of the domain."""

from typing import Any, Final

from prizewire_money import FeeSplit
from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.prizes.domain import Line
from prizewire_settlement.rounds.domain.model import (
    Cause,
    Disownment,
    Refusal,
    ResultPart,
    Round,
    RoundState,
    Settlement,
    Transition,
)

ROUND_COLUMNS: Final = (
    "id, source, match_id, competition_id, correlation_id, rule_version, state, state_seq, version, "
    "settlement_version, result_version, final_at, created_at, updated_at, waiting_since, refused_at, disowned_at"
)
PART_COLUMNS: Final = (
    "round_id, result_version, part, parts, hash, players, reason, event_id, received_at, reporter, mac"
)
"""A part's head: documents are read only where they are needed."""


def line_of(row: Any) -> Line:
    """The line of a row of ``settlement_lines``."""
    return Line(row.line, row.player, row.place, row.amount)


def round_of(row: Any) -> Round:
    """The round of a row with ``ROUND_COLUMNS``."""
    return Round(
        id=row.id,
        source=row.source,
        match_id=row.match_id,
        competition=row.competition_id,
        correlation_id=row.correlation_id,
        rule_version=row.rule_version,
        state=RoundState(row.state),
        state_seq=row.state_seq,
        version=row.version,
        settlement_version=row.settlement_version,
        result_version=row.result_version,
        final_at=row.final_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        waiting_since=row.waiting_since,
        refused_at=row.refused_at,
        disowned_at=row.disowned_at,
    )


def refusal_of(row: Any) -> Refusal:
    """The refusal of a row of ``round_refusals``."""
    return Refusal(
        round_id=row.round_id,
        version=row.settlement_version,
        part=row.part,
        code=row.code,
        detail=row.detail,
        event_id=row.event_id,
        at=row.at,
    )


def disownment_of(row: Any) -> Disownment:
    """The disownment of a row of ``round_disownments``."""
    return Disownment(
        round_id=row.round_id, id=row.disownment_id, reason=row.reason, event_id=row.event_id, at=row.at
    )


def transition_of(row: Any) -> Transition:
    """The step of a row of ``round_steps``."""
    return Transition(
        row.round_id,
        row.seq,
        RoundState(row.from_state),
        RoundState(row.to_state),
        Cause(kind=row.cause, id=row.cause_id, actor=row.actor, reason=row.reason),
        row.correlation_id,
        row.at,
    )


def part_of(row: Any) -> ResultPart:
    """The head of a result part: a row of ``round_results`` without its document."""
    return ResultPart(
        round_id=row.round_id,
        result_version=row.result_version,
        part=row.part,
        parts=row.parts,
        hash=bytes(row.hash),
        document="",
        results=(),
        players=row.players,
        reason=row.reason,
        event_id=row.event_id,
        received_at=row.received_at,
        reporter=row.reporter,
    )


def settlement_of(row: Any, *, rule: Rule, lines: tuple[Line, ...], source: str) -> Settlement:
    """The settlement of a row of ``settlements``."""
    return Settlement(
        round_id=row.round_id,
        version=row.version,
        rule=rule,
        fees=FeeSplit(gross=row.gross, platform=row.platform_fee, organizer=row.organizer_fee, net=row.net),
        unclaimed=row.unclaimed,
        lines=lines,
        parts=row.parts,
        first_event=row.first_event,
        final=row.final,
        final_at=row.final_at,
        settled_at=row.settled_at,
        cause=Cause(kind="result", id=row.cause_id, actor=source, reason=row.reason),
        reporters=tuple(row.reporters.split("\n")) if row.reporters else (),
        resettled=row.anew,
    )
