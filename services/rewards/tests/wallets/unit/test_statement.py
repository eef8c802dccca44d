"""Statements: the sums of a period, and the document that shows them."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from pypdf import PdfReader

from prizewire_rewards.ledger.domain.accounts import Kind, TransferType
from prizewire_rewards.wallets.domain.history import Category, HistoryEntry
from prizewire_rewards.wallets.domain.statement import Statement, Total
from prizewire_rewards.wallets.domain.statuses import Status
from prizewire_rewards.wallets.http.statement_pdf import render_statement
from services.rewards.tests.rig import ASSETS, START

USDC = ASSETS["USDC"]
Leg = tuple[Kind, str]
POOL = (Kind.RESERVED, "round")


def entry(number: int, type_: TransferType, debit: Leg, credit: Leg, amount: int) -> HistoryEntry:
    return HistoryEntry(
        seq=number, id=UUID(int=number), group=UUID(int=number), type=type_, asset="USDC", amount=amount,
        debit_kind=debit[0], debit_owner=debit[1], credit_kind=credit[0], credit_owner=credit[1], cause="test",
        correlation_id="test", at=START + timedelta(minutes=number), status=Status.COMPLETED,
    )  # fmt: skip


def statement(
    player: str = "ann", entries: Sequence[HistoryEntry] | None = None, **opening: int
) -> Statement:
    winnings, pending = (Kind.WINNINGS, player), (Kind.PENDING, player)
    listed = entries
    if listed is None:
        listed = [
            entry(1, TransferType.PRIZE_PENDING, POOL, pending, 5_000),
            entry(2, TransferType.PRIZE_MATURED, pending, winnings, 5_000),
            entry(3, TransferType.PAYOUT_REQUESTED, winnings, (Kind.PAYOUT_PENDING, "p"), 2_000),
            entry(4, TransferType.PAYOUT_GIVEN_BACK, (Kind.PAYOUT_PENDING, "p"), winnings, 2_000),
        ]
    return Statement(
        player=player,
        asset="USDC",
        since=START,
        until=START + timedelta(days=30),
        opening={Kind.WINNINGS: 1_000, Kind.TOPUP: 300, Kind.PENDING: 0},
        entries=listed,
    )


def text_of(document: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(document)).pages)


def test_a_statement_closes_with_the_sum_of_its_entries() -> None:
    """Opening balance and entries add up to the closing balance by bucket. Moves between buckets are neither credit nor debit."""
    found = statement()
    assert found.closing() == {Kind.WINNINGS: 6_000, Kind.TOPUP: 300, Kind.PENDING: 0}
    assert [(line.credit, line.debit, line.balance) for line in found.lines()] == [
        (5_000, 0, 6_300),
        (0, 0, 6_300),
        (0, 2_000, 4_300),
        (2_000, 0, 6_300),
    ]
    assert found.totals() == {
        Category.REWARD: Total(5_000, 0),
        Category.PAYOUT: Total(0, 2_000),
        Category.REFUND: Total(2_000, 0),
    }


def test_a_transfer_between_two_players_counts_one_side() -> None:
    """Another player's side of an entry changes nothing here."""
    other = entry(1, TransferType.PRIZE_CREDITED, POOL, (Kind.WINNINGS, "bob"), 500)
    assert statement(entries=[other]).closing()[Kind.WINNINGS] == 1_000


def test_the_document_shows_every_sum() -> None:
    """Opening, closing, totals and each entry with its balance can be read back."""
    text = text_of(render_statement(statement(), asset=USDC))
    for words in (
        "Statement in USDC",
        "Player ann",
        "2026-03-01 12:00:00 up to 2026-03-31 12:00:00",
        "Winnings 10.00 60.00",
        "All 13.00 63.00",
        "reward 50.00 0.00",
        "payout 0.00 20.00",
        "2026-03-01 12:03:00 payout requested",
        "20.00 43.00",
        "page 1 of 1",
    ):
        assert words in text, text


def test_a_debt_is_shown_when_it_arises_and_when_it_is_paid() -> None:
    """The debt changes no sum. Both lines name it."""
    debt = UUID("11111111-2222-5333-8444-555555555555")
    winnings, pool = (Kind.WINNINGS, "ann"), (Kind.POOL, "c")
    opened = entry(
        1, TransferType.RECEIVABLE_OPENED, (Kind.RECEIVABLE, "ann"), (Kind.CLEARING, "receivables"), 700
    )
    paid = entry(2, TransferType.RECEIVABLE_RECOVERED, winnings, pool, 400)
    listed = [
        replace(opened, cause=f"receivable/{debt}/1"),
        replace(paid, cause=f"receivable/{debt}/2"),
    ]
    found = statement(entries=listed)
    assert [(line.credit, line.debit, line.balance) for line in found.lines()] == [
        (0, 0, 1_300),
        (0, 400, 900),
    ]
    assert found.totals() == {Category.DEBIT: Total(0, 400)}
    text = text_of(render_statement(found, asset=USDC))
    assert f"you owe 7.00 USDC, debt {debt}" in text, text
    assert f"pays the debt {debt}" in text, text
    assert "receivable opened, completed" not in text


def test_equal_statements_make_equal_bytes() -> None:
    """The same statement gives the same file, another statement another one."""
    first, again = (render_statement(statement(), asset=USDC) for _ in range(2))
    assert first == again
    assert render_statement(statement(player="bob"), asset=USDC) != first


@pytest.mark.parametrize(
    ("player", "shown"),
    [
        ("Александр", "Александр"),
        ("Ωμέγα", "Ωμέγα"),
        ("Zoë-Łukasz", "Zoë-Łukasz"),
        ("李雷", "[U+674E][U+96F7]"),
        ("لاعب", "[U+0644][U+0627][U+0639][U+0628]"),
        ("ace🎯", "ace[U+1F3AF]"),
        ("{nb}", "{nb}"),
        ("x" * 128, "x" * 50),
    ],
)
def test_every_name_can_be_written(player: str, shown: str) -> None:
    """Characters of the font are shown, others are written as code points, and no name breaks the page."""
    document = render_statement(statement(player=player), asset=USDC)
    assert shown in text_of(document)


def test_a_long_statement_goes_over_pages() -> None:
    """It has every entry, and each page is numbered."""
    many = [
        entry(number, TransferType.PRIZE_CREDITED, POOL, (Kind.WINNINGS, "ann"), 10**15)
        for number in range(1, 201)
    ]
    document = render_statement(statement(entries=many), asset=USDC)
    pages = PdfReader(io.BytesIO(document)).pages
    text = text_of(document)
    assert len(pages) > 3
    assert f"page {len(pages)} of {len(pages)}" in text
    assert all(str(one.id) in text for one in many)


def test_a_period_without_entries_has_a_statement() -> None:
    """The document names the empty period."""
    assert "None in this period." in text_of(render_statement(statement(entries=[]), asset=USDC))


def test_no_name_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The PDF library logs no letters."""
    caplog.set_level("INFO")
    render_statement(statement(player="Zoë"), asset=USDC)
    assert caplog.records == []
