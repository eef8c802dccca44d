"""A statement as PDF: the same bytes for the same statement.

The used part of the font is embedded. The font has Latin, Greek and Cyrillic. Any other character is written as its code
point, so that two names never look the same.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import font_roboto
from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos

from prizewire_money import Amount, Asset
from prizewire_rewards.ledger.domain.accounts import Kind, TransferType
from prizewire_rewards.wallets.domain.history import HistoryEntry, PayoutFee
from prizewire_rewards.wallets.domain.statement import BUCKETS, Statement

# The library logs the letters of each document. Names of players must not get into a log.
logging.getLogger("fontTools").setLevel(logging.WARNING)
FONT: Final = "roboto"
PAGES: Final = "{n b}"
"""Stands for the number of pages until it is known. No player's name holds a space."""
MARGIN_MM: Final = 15.0
LINE_MM: Final = 5.0
SIZE_PT: Final = 8.0
LETTER_MM: Final = 2.6
"""Wider than any letter of that size: a shorter text need not be measured."""
BUCKET_NAMES: Final = {Kind.WINNINGS: "Winnings", Kind.TOPUP: "Top-ups", Kind.PENDING: "Pending prizes"}
_ENTRIES: Final = (31.0, 38.0, 54.0, 19.0, 19.0, 19.0)
_BALANCES: Final = (60.0, 30.0, 30.0)


class _Paper(FPDF):
    """A4 pages with a numbered footer."""

    def __init__(self, *, made: datetime, foot: str) -> None:
        super().__init__(format="A4", unit="mm")
        self._foot = foot
        self.add_font(FONT, "", font_roboto.Roboto)
        self.add_font(FONT, "B", font_roboto.RobotoBold)
        self.set_creation_date(made)
        self.alias_nb_pages(PAGES)
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=MARGIN_MM + 5)
        self._known = set(self.fonts[FONT].cmap)  # type: ignore[union-attr]  # a TrueType font, which has one

    def footer(self) -> None:
        """The title of the document and the number of the page."""
        self.set_y(-MARGIN_MM)
        self.set_font(FONT, "", 7)
        self.cell(0, LINE_MM, f"{self._foot}  ·  page {self.page_no()} of {PAGES}", align=Align.C)

    def written(self, text: str) -> str:
        """The text, with characters that the font lacks as code points."""
        return "".join(one if ord(one) in self._known else f"[U+{ord(one):04X}]" for one in text)

    def row(self, cells: Sequence[str], widths: Sequence[float], *, left: int, bold: bool = False) -> None:
        """One row of a table. The first ``left`` cells are texts, the others amounts. Text that is too wide gets a smaller font."""
        self.set_font(FONT, "B" if bold else "", SIZE_PT)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            text = self.written(cell)
            size = SIZE_PT
            while len(text) * LETTER_MM > width and self.get_string_width(text) > width - 1 and size > 3:
                size -= 0.5
                self.set_font_size(size)
            align = Align.L if number < left else Align.R
            self.cell(width, LINE_MM, text, border="B", align=align)
            if size != SIZE_PT:
                self.set_font_size(SIZE_PT)
        self.ln(LINE_MM)

    def heading(self, text: str, size: float) -> None:
        """A line in bold."""
        self.ln(2)
        self.set_font(FONT, "B", size)
        self.multi_cell(0, size / 2, self.written(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(1)


def render_statement(statement: Statement, *, asset: Asset) -> bytes:
    """The document. It depends only on the statement."""

    def wire(minor: int) -> str:
        return Amount(asset, minor).to_wire()

    since, until = (_moment(at) for at in (statement.since, statement.until))
    paper = _Paper(made=statement.until, foot=f"Statement in {asset.code}, {since} to {until}")
    paper.set_title(f"Statement in {asset.code}")
    paper.add_page()
    paper.heading(f"Statement in {asset.code}", 16)
    paper.heading(f"Player {statement.player}", 10)
    paper.set_font(FONT, "", 9)
    paper.cell(
        0, LINE_MM, f"From {since} up to {until}, all times in UTC.", new_x=XPos.LMARGIN, new_y=YPos.NEXT
    )
    _balances(paper, statement, wire)
    _totals(paper, statement, wire)
    _entries(paper, statement, wire)
    return bytes(paper.output())


def _balances(paper: _Paper, statement: Statement, wire: Callable[[int], str]) -> None:
    paper.heading("Balances", 11)
    closing = statement.closing()
    paper.row(["", "Opening", "Closing"], _BALANCES, left=1, bold=True)
    for bucket in BUCKETS:
        held = (statement.opening.get(bucket, 0), closing[bucket])
        paper.row([BUCKET_NAMES[bucket], *map(wire, held)], _BALANCES, left=1)
    sums = (sum(statement.opening.values()), sum(closing.values()))
    paper.row(["All", *map(wire, sums)], _BALANCES, left=1, bold=True)


def _totals(paper: _Paper, statement: Statement, wire: Callable[[int], str]) -> None:
    totals = statement.totals()
    paper.heading("Totals by category", 11)
    paper.row(["", "In", "Out"], _BALANCES, left=1, bold=True)
    for category, total in totals.items():
        paper.row([category.value, wire(total.credit), wire(total.debit)], _BALANCES, left=1)
    sums = (sum(one.credit for one in totals.values()), sum(one.debit for one in totals.values()))
    paper.row(["All", *map(wire, sums)], _BALANCES, left=1, bold=True)


def _entries(paper: _Paper, statement: Statement, wire: Callable[[int], str]) -> None:
    paper.heading("Entries", 11)
    paper.row(["Time", "Entry", "Number", "In", "Out", "Balance"], _ENTRIES, left=3, bold=True)
    for entry, credit, debit, balance in statement.lines():
        amounts = [wire(part) if part else "" for part in (credit, debit)]
        said = entry.type.replace("_", " ")
        if entry.type != TransferType.RECEIVABLE_OPENED:
            # A debt that arises has no money whose status could be named.
            said = f"{said}, {entry.status}"
        if entry.payout is not None and entry.payout.code is not None:
            said = f"{said} ({entry.payout.code})"
        paper.row([_moment(entry.at), said, str(entry.id), *amounts, wire(balance)], _ENTRIES, left=3)
        for fee in _fees(entry, wire):
            paper.row(
                ["", f"fee of the {fee.borne_by}", f"{fee.amount} {fee.asset}", "", "", ""], _ENTRIES, left=3
            )
        if entry.debt is not None:
            paper.row(
                ["", _about_debt(entry, statement.asset, wire), str(entry.debt), "", "", ""], _ENTRIES, left=3
            )
    if not statement.entries:
        paper.set_font(FONT, "", 8)
        paper.cell(0, LINE_MM, "None in this period.", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _about_debt(entry: HistoryEntry, asset: str, wire: Callable[[int], str]) -> str:
    """What an entry means for the debt that the next cell of its row names."""
    if entry.type == TransferType.RECEIVABLE_OPENED:
        return f"you owe {wire(entry.amount)} {asset}, debt"
    return "pays the debt"


def _fees(entry: HistoryEntry, wire: Callable[[int], str]) -> Iterator[PayoutFee]:
    """The fees of a payout as text. A fee that the player bears is part of the amount."""
    if entry.payout is None:
        return
    if entry.payout.fee:
        yield PayoutFee(entry.asset, wire(entry.payout.fee), "player")
    if entry.payout.rail is not None:
        yield entry.payout.rail


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
