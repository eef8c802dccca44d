"""The report of an answer file: what becomes evidence, and why the other lines do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID, uuid5

from prizewire_payouts.by_hand.http.models import AnsweredLine
from prizewire_payouts.reviews.domain import Finding, contradiction
from prizewire_payouts.reviews.handlers import Filing
from prizewire_railkit.by_hand import LineState, ReportedLine

CONTRADICTED: Final = "proof_contradicts"
"""The code of a line that reports another end than was proved."""
_PROVED: Final = {
    LineState.CONFIRMED: Finding.PAID,
    LineState.FAILED: Finding.NO_EFFECT,
    LineState.CANCELLED: Finding.NO_EFFECT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why no evidence follows from a line: a stable code, and a sentence."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The lines of an answer file: by their numbers the evidence that they hold, and why other lines that report an end hold none."""

    lines: Sequence[ReportedLine]
    filings: Mapping[int, Filing]
    refused: Mapping[int, Refusal]

    @classmethod
    def of(cls, lines: Sequence[ReportedLine], *, file_id: UUID, digest: str) -> Self:
        """The report of the lines of a file whose content has this digest: the first line about each payout is evidence, where the
        line of its reference is claimed.
        """
        filings: dict[int, Filing] = {}
        refused: dict[int, Refusal] = {}
        seen: set[UUID] = set()
        for one in lines:
            finding = _finding(one)
            if one.problem is not None or finding is None or one.payout_id is None:
                continue
            refusal = _of_line(one, finding)
            if refusal is None and one.payout_id in seen:
                refusal = Refusal(code="line_repeated", detail="an earlier line of the file reports the same")
            if refusal is not None:
                refused[one.number] = refusal
                continue
            seen.add(one.payout_id)
            bank_code = "" if one.code is None else f", code {one.code}"
            filings[one.number] = Filing(
                payout_id=one.payout_id,
                evidence_id=uuid5(file_id, str(one.payout_id)),
                finding=finding,
                reference=one.evidence or "",
                note=f"answer file {digest[:16]}, line {one.number}{bank_code}",
            )
        return cls(lines=lines, filings=filings, refused=refused)

    def contradicted(self, found: Mapping[UUID, Refusal | None]) -> list[str]:
        """The payouts of which the file reports another end than was proved. ``found`` is as for ``answers``."""
        by_line = [one.payout_id for one in self.lines if self._refusal(one, found) == CONTRADICTED]
        return list(dict.fromkeys(str(one) for one in by_line))

    def answers(self, found: Mapping[UUID, Refusal | None], *, dry_run: bool) -> list[AnsweredLine]:
        """The results of the lines. ``found`` says of the payouts in ``filings`` why no evidence was filed, None where it was."""
        return [self._answer(one, found, dry_run=dry_run) for one in self.lines]

    def _refusal(self, one: ReportedLine, found: Mapping[UUID, Refusal | None]) -> str | None:
        refusal = self._why(one, found)
        return None if refusal is None else refusal.code

    def _why(self, one: ReportedLine, found: Mapping[UUID, Refusal | None]) -> Refusal | None:
        filing = self.filings.get(one.number)
        return self.refused.get(one.number) if filing is None else found.get(filing.payout_id)

    def _answer(
        self, one: ReportedLine, found: Mapping[UUID, Refusal | None], *, dry_run: bool
    ) -> AnsweredLine:
        filing, refusal = self.filings.get(one.number), self._why(one, found)
        finding = _finding(one)
        return AnsweredLine(
            number=one.number,
            reference=one.reference,
            payout_id=one.payout_id,
            finding=None if finding is None else finding.value,
            evidence=one.evidence,
            bank_code=one.code,
            problem=one.problem,
            code=None if refusal is None else refusal.code,
            detail=None if refusal is None else refusal.detail,
            evidence_id=None if dry_run or filing is None or refusal is not None else filing.evidence_id,
        )


def _finding(one: ReportedLine) -> Finding | None:
    if one.paid is None:
        return None
    return Finding.PAID if one.paid else Finding.NO_EFFECT


def _of_line(one: ReportedLine, finding: Finding) -> Refusal | None:
    """Why the line of this reference takes no evidence, whatever its payout's later lines do; None where it does."""
    if one.state is LineState.OPEN:
        return Refusal(
            code="line_not_claimed",
            detail="no person has claimed the payment: claim it first, where it was paid outside of a batch",
        )
    if one.state is None or one.state is LineState.CLAIMED:
        return None
    proved = _PROVED[one.state]
    if proved is not finding:
        return Refusal(code=CONTRADICTED, detail=contradiction(proved=proved, finding=finding))
    return Refusal(code="not_in_review", detail=f"the line is {one.state} already, as the file says")
