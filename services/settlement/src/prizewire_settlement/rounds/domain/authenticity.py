"""Whether a report is authentic: its source may report matches of the competition, and its signature holds."""

from collections.abc import Mapping, Sequence

from prizewire_settlement.competitions.domain.model import Competition, Source, SourceChange
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.rounds.domain.commands import MatchReport


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
