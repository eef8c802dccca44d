"""Reports of results: who may send them, and which are accepted."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prizewire_settlement.competitions.domain.model import Competition, Rule, Source, SourceChange
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.prizes.domain import PlayerResult, check_results
from prizewire_settlement.rounds.domain.changes import KnownParts
from prizewire_settlement.rounds.domain.model import (
    HAS_RESULT,
    Cause,
    Completed,
    Corrected,
    MatchReport,
    ResultPart,
    Round,
    RoundState,
)

PARTS_MAX: Final = 100
"""Parts of one result: with 2,000 results each, enough for twice the paid places that a rule may have."""


_BEFORE_RESULT: Final = frozenset({RoundState.NEW, RoundState.OPEN, RoundState.CLOSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedPart:
    """A part of a result that is accepted. ``whole``: all parts of its result are stored. ``newer``: parts of a newer
    correction are stored already. ``reporters``: the persons who reported the stored parts.
    """

    part: ResultPart
    whole: bool
    newer: bool = False
    reporters: tuple[str, ...] = ()


def accept_completed(
    *, report: Completed, current: Round, rule: Rule, known: KnownParts, now: datetime
) -> AcceptedPart | None:
    """Accept a result, whole or in part. None for a result that stands already. A part sent again replaces the earlier one.

    Raises:
        ReportRefused: ``result_conflict`` for another result of a settled round, which needs a correction;
            ``schema_invalid``, ``duplicate_player``, ``score_missing``.
    """
    _check_count(report)
    part = _part(report, current, now, reason=None)
    if current.state in HAS_RESULT:
        if _is_known(part, known.get((current.result_version or 0, report.part))):
            return None
        detail = f"match {report.match_id} is settled by another result: {_way_to_correct(current, now=now)}"
        raise ReportRefused(Reason.RESULT_CONFLICT, detail)
    return _accepted(part, rule=rule, known=known)


def accept_corrected(
    *, report: Corrected, current: Round, rule: Rule, known: KnownParts, now: datetime
) -> AcceptedPart | None:
    """Accept a correction, whole or in part. None for one that was accepted already.

    It must come inside the dispute window. A parked correction, or its first part, keeps the window open.

    Raises:
        ReportRefused: ``result_missing`` before there is a result, which parks the correction; ``illegal_transition`` after a void;
            ``result_conflict`` where ``result_version`` does not grow; ``dispute_window_passed``; ``schema_invalid``,
            ``duplicate_player``, ``score_missing``.
    """
    _check_count(report)
    if current.state in _BEFORE_RESULT:
        detail = f"match {report.match_id} has no result yet that could be corrected"
        raise ReportRefused(Reason.RESULT_MISSING, detail, park=True)
    if current.state is RoundState.VOIDED:
        raise ReportRefused(Reason.ILLEGAL_TRANSITION, f"match {report.match_id} was voided")
    part = _part(report, current, now, reason=report.reason)
    standing = current.result_version or 0
    if part.result_version <= standing:
        if _is_known(part, known.get((part.result_version, part.part))):
            return None
        detail = f"result {standing} of match {report.match_id} stands; a correction needs a higher version"
        raise ReportRefused(Reason.RESULT_CONFLICT, detail)
    begun = any(_same_result(part, other) for other in known.values())
    passed = current.final_at is not None and now >= current.final_at and not (report.waited or begun)
    if current.state is RoundState.FINALIZED or passed:
        detail = (
            f"the dispute window of match {report.match_id} has passed: {_way_to_correct(current, now=now)}"
        )
        raise ReportRefused(Reason.DISPUTE_WINDOW_PASSED, detail)
    return _accepted(part, rule=rule, known=known)


def _way_to_correct(current: Round, *, now: datetime) -> str:
    """What can be done about the result that stands. After the dispute window, which may be 0, only an admin can correct it."""
    admin = f"an admin may correct it with POST /api/rounds/{current.id}/resolve"
    if current.state is RoundState.FINALIZED or current.final_at is None or now >= current.final_at:
        return f"the result is final, and only {admin}"
    version = (current.result_version or 0) + 1
    return f"its source may send match.corrected with result_version {version} until {current.final_at.isoformat()}, and {admin}"


def accept_resolved(
    *, results: tuple[PlayerResult, ...], current: Round, cause: Cause, now: datetime
) -> AcceptedPart:
    """Accept a result that a person decides on: always whole, and newer than the one that stands. Parts that wait for
    others do not count any more: a part of theirs that arrives later is in conflict with this result.

    Raises:
        ReportRefused: ``illegal_transition`` for a round that was voided.
    """
    if current.state is RoundState.VOIDED:
        raise ReportRefused(Reason.ILLEGAL_TRANSITION, f"match {current.match_id} was voided")
    part = _make_part(
        current,
        results,
        result_version=(current.result_version or 0) + 1,
        event_id=cause.id or "",
        reason=cause.reason,
        now=now,
        reporter=cause.actor,
    )
    return AcceptedPart(part=part, whole=True, reporters=(cause.actor,))


def _check_count(report: Completed) -> None:
    if report.part > report.parts or report.parts > PARTS_MAX:
        detail = f"part {report.part} of {report.parts}: parts count from 1 to at most {PARTS_MAX}"
        raise ReportRefused(Reason.SCHEMA_INVALID, detail)


def _accepted(part: ResultPart, *, rule: Rule, known: KnownParts) -> AcceptedPart:
    """Parts of another count, or of a result of another kind, belong to another attempt."""
    newer = part.reason is not None and any(
        other.reason is not None and other.result_version > part.result_version for other in known.values()
    )
    if part.parts == 1:
        return AcceptedPart(part=part, whole=True, newer=newer, reporters=_reporters([part]))
    check_results(rule=rule, results=part.results)
    here = {other.part: other for other in known.values() if _same_result(part, other)} | {part.part: part}
    whole = len(here) == part.parts
    return AcceptedPart(part=part, whole=whole, newer=newer, reporters=_reporters(here.values()))


def _reporters(parts: Iterable[ResultPart]) -> tuple[str, ...]:
    return tuple(sorted({part.reporter for part in parts if part.reporter is not None}))


def _same_result(part: ResultPart, other: ResultPart) -> bool:
    return (
        other.result_version == part.result_version
        and other.parts == part.parts
        and (other.reason is None) == (part.reason is None)
    )


def _is_known(part: ResultPart, known: ResultPart | None) -> bool:
    return known is not None and known.parts == part.parts and known.hash == part.hash


def _part(report: Completed, current: Round, now: datetime, *, reason: str | None) -> ResultPart:
    return _make_part(
        current,
        report.results,
        result_version=report.result_version,
        event_id=report.event_id,
        reason=reason,
        now=now,
        part=report.part,
        parts=report.parts,
        reporter=report.reporter,
    )


def _make_part(
    current: Round,
    results: tuple[PlayerResult, ...],
    *,
    result_version: int,
    event_id: str,
    reason: str | None,
    now: datetime,
    reporter: str | None,
    part: int = 1,
    parts: int = 1,
) -> ResultPart:
    document = document_of(results)
    return ResultPart(
        round_id=current.id,
        result_version=result_version,
        part=part,
        parts=parts,
        hash=hash_of(document),
        document=document,
        results=results,
        players=len(results),
        reason=reason,
        event_id=event_id,
        received_at=now,
        reporter=reporter,
    )


def document_of(results: Iterable[PlayerResult]) -> str:
    """Compact JSON ``[[player, place, {score: millionths}], …]``, sorted by player.

    Equal results have equal documents: order and trailing zeros of scores make no difference.
    """
    ordered = sorted(results, key=lambda result: result.player)
    return json.dumps(ordered, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def hash_of(document: str) -> bytes:
    """SHA-256 of a result's document."""
    return hashlib.sha256(document.encode()).digest()


def results_of(document: str) -> tuple[PlayerResult, ...]:
    """The results that ``document_of`` wrote."""
    return tuple(PlayerResult(player, place, scores) for player, place, scores in json.loads(document))


def authenticate(*, report: MatchReport, competitions: Mapping[str, Competition]) -> Competition:
    """The competition of a report whose source and signature are authentic.

    Sources and keys are those of the rule in force, whatever rule the round keeps, so that a key taken out of a
    competition stops counting at once. A key's validity is compared with the report's own time: an expired key
    still proves what it signed while it was valid, which rotation needs. Take a stolen key out of the competition.

    Raises:
        ReportRefused: ``schema_invalid``, ``competition_unknown``, ``source_not_allowed``, ``signature_missing``,
            ``key_not_trusted`` or ``signature_invalid``.
    """
    if report.subject != report.match_id:
        detail = f"the subject {report.subject!r} is not the match {report.match_id!r}"
        raise ReportRefused(Reason.SCHEMA_INVALID, detail)
    competition = competitions.get(report.competition)
    if competition is None:
        raise ReportRefused(Reason.COMPETITION_UNKNOWN, f"there is no competition {report.competition!r}")
    _check_source(report, competition.rule.sources)
    return competition


def admitted_by(
    *, report: MatchReport, bound: Sequence[Source], changes: Sequence[SourceChange]
) -> str | None:
    """The person who admitted a report: the writer of the rule version since which its source and signature are accepted.

    ``bound`` are the sources of the rule that the round keeps, ``changes`` the later ones up to the rule in force, in
    their order. None where the rule that the round keeps accepts them too.
    """
    writer: str | None = None
    admitted = _is_admitted(report, bound)
    for change in changes:
        before, admitted = admitted, _is_admitted(report, change.sources)
        if admitted and not before:
            writer = change.by
    return writer


def _is_admitted(report: MatchReport, sources: Sequence[Source]) -> bool:
    try:
        _check_source(report, sources)
    except ReportRefused:
        return False
    return True


def _check_source(report: MatchReport, sources: Sequence[Source]) -> None:
    for source in sources:
        if source.source == report.source:
            break
    else:
        detail = f"{report.source} may not report matches of {report.competition}"
        raise ReportRefused(Reason.SOURCE_NOT_ALLOWED, detail)
    if not source.keys:
        return
    if report.keyid is None:
        raise ReportRefused(Reason.SIGNATURE_MISSING, f"{report.source} must sign its reports")
    for key in source.keys:
        if key.keyid == report.keyid:
            break
    else:
        raise ReportRefused(Reason.KEY_NOT_TRUSTED, f"{report.keyid!r} is no key of {report.source}")
    if not key.not_before <= report.at < key.not_after:
        detail = f"{report.keyid!r} was not valid at {report.at.isoformat()}"
        raise ReportRefused(Reason.KEY_NOT_TRUSTED, detail)
    refused = report.proof.refused(public_key=key.public_key)
    if refused is not None:
        raise ReportRefused(*refused)
