"""Whether a report may be believed: a forged result is the cheapest theft."""

from collections.abc import Mapping

from prizewire_settlement.domain.commands import MatchReport
from prizewire_settlement.domain.errors import Reason, ReportRefused
from prizewire_settlement.domain.model import Competition

__all__ = ["authenticate"]


def authenticate(*, report: MatchReport, competitions: Mapping[str, Competition]) -> Competition:
    """The competition that a report belongs to, once its source and signature are found good.

    Sources and keys are those of the rule in force, whatever rule the round keeps, so that a key taken out of a
    competition stops counting at once. A key's validity is held against the report's own time: an expired key
    still vouches for what it signed while it was valid, which is what rotation needs. A stolen key is taken out.

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
    for source in competition.rule.sources:
        if source.source == report.source:
            break
    else:
        detail = f"{report.source} may not report matches of {report.competition}"
        raise ReportRefused(Reason.SOURCE_NOT_ALLOWED, detail)
    if not source.keys:
        return competition
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
    return competition
