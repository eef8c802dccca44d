"""The interface of a provider whose payments people make: lists, claims, exported files and uploaded answers.

Payouts serves it over HTTP for every such rail, without knowing which rails there are. Evidence comes from two persons:
payouts takes it by its reviews, and hands what was confirmed to ``settle``, in its own transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable
from uuid import UUID

from prizewire_contracts.rails import ProviderResult
from prizewire_money import Amount
from prizewire_railkit.store import RailRows


class LineState(StrEnum):
    """Where a payment that a person makes stands."""

    OPEN = "open"
    """It waits for a person. It can be cancelled."""
    CLAIMED = "claimed"
    """A person makes it: only evidence ends it."""
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineExport:
    """That a person exported the batch of a line, as a file of this format."""

    at: datetime
    by: str
    file_format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One payment to be made by a person. ``reference`` is what the payment must carry, and what answers name it by:
    at most 35 characters of ``A-Z a-z 0-9 -``. ``masked`` shows the destination without giving it away. ``exports`` are those of its
    batch, oldest first; of many, the first one and the latest are kept.
    """

    payout_id: UUID
    attempt_no: int
    reference: str
    amount: Amount
    method_type: str
    masked: str
    state: LineState
    created_at: datetime
    changed_at: datetime
    batch_id: str | None = None
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    exports: tuple[LineExport, ...] = ()
    evidence: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAnswer:
    """The outcome of one line of a request: ``code`` is None where it was done, else stable, with a sentence."""

    payout_id: UUID
    code: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """A file for the bank or the person who pays. Its content holds personal details (no ``repr``). ``lines`` are those in it."""

    name: str
    media_type: str
    content: bytes = field(repr=False)
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedLine:
    """One line of an uploaded answer file: what the bank reports of a payment. ``number`` counts the file's lines from 1.
    ``payout_id`` is the payout of the line of this reference and ``state`` where that line stands, None where there is no such line.

    ``paid`` is True for paid, False for failed, None where the line reports no end. ``evidence`` is the bank's reference,
    ``code`` why it failed. ``problem`` says why the line cannot be used, None where it can.
    """

    number: int
    reference: str | None
    paid: bool | None
    evidence: str | None = None
    code: str | None = None
    amount: Amount | None = None
    problem: str | None = None
    payout_id: UUID | None = None
    state: LineState | None = None


class FileRefused(Exception):
    """A file cannot be read or written. ``code`` is stable; the text holds no personal detail."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@runtime_checkable
class PaidByHand(Protocol):
    """A provider whose payments people make. Every method works within the transaction of ``rows``."""

    @property
    def export_formats(self) -> Mapping[str, str]:
        """Formats of exported files by name, with a sentence each."""
        ...

    async def lines(
        self, rows: RailRows, *, states: Sequence[LineState] = (), after: str | None = None, limit: int = 100
    ) -> list[Line]:
        """Lines, oldest first; ``after`` is the ``reference`` of the last one of the page before."""
        ...

    async def line(self, rows: RailRows, *, payout_id: UUID) -> Line | None:
        """The line of a payout's latest attempt; None where the payout has none on this rail."""
        ...

    async def lines_of(self, rows: RailRows, *, payout_ids: Sequence[UUID]) -> list[Line]:
        """The lines of all attempts of these payouts. Nothing is locked."""
        ...

    async def claim(
        self,
        rows: RailRows,
        *,
        payout_ids: Sequence[UUID],
        batch_id: str,
        by: str,
        paused: Mapping[UUID, str],
        now: datetime,
    ) -> list[LineAnswer]:
        """Claim open lines for a batch of one person. ``batch_id`` has at most 32 characters of ``A-Z a-z 0-9 -``.

        ``paused`` are those of the payouts that a pause keeps, with a sentence each: the code of their open lines is ``line_paused``.

        Each line is claimed once: the code of a line that is not open is ``line_not_open``, of an unknown one ``line_unknown``.
        A claim for the same batch may be repeated. A batch of another person is ``batch_not_yours``, one that was exported
        ``batch_exported``, and one that has its most lines ``batch_full``.
        """
        ...

    async def export(
        self, rows: RailRows, *, batch_id: str, file_format: str, by: str, now: datetime
    ) -> ExportedFile:
        """The lines of a batch as a file; the same bytes whenever it is exported again. Each line stores who exported it and when.

        Raises:
            FileRefused: ``format_unknown``, ``batch_unknown``, or ``export_not_possible`` with the payouts that the format
                cannot carry.
        """
        ...

    async def read_answers(self, rows: RailRows, *, content: bytes, media_type: str) -> list[ReportedLine]:
        """The lines of an answer file.

        Raises:
            FileRefused: ``file_malformed``, ``file_too_large`` or ``format_unknown``.
        """
        ...

    async def settle(
        self,
        rows: RailRows,
        *,
        payout_id: UUID,
        paid: bool,
        evidence: str,
        persons: tuple[str, str],
        now: datetime,
    ) -> ProviderResult:
        """End a claimed line by evidence that one person filed and another confirmed; returns the proved outcome. A line
        that ended returns its outcome again and changes nothing. Where nothing is proved, since the line is not claimed or
        unknown, the outcome is ``PENDING`` or ``UNKNOWN``.
        """
        ...
