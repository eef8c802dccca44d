"""Histories: their entries, their filters, and the cost of a page, which does not grow with the history."""

import asyncio
import csv
import io
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import orjson
import psutil
import pytest
from pypdf import PdfReader
from sqlalchemy import event

from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards.ledger.domain.accounts import EDGES, OF_DISOWNED, Account, Kind
from prizewire_rewards.ledger.storage.accounts import account_id
from prizewire_rewards.wallets.domain.history import SCAN_MAX, Category, EntryFilter, Position
from prizewire_rewards.wallets.domain.statement import BUCKETS
from prizewire_rewards.wallets.domain.statuses import Status, types_with
from prizewire_rewards.wallets.storage import histories
from prizewire_rewards.wallets.storage.histories import history_page
from services.rewards.tests.rig import ASSETS, START, Match, Rig, method_event
from services.rewards.tests.sql import as_owner, insert, open_account

LONG = (120_000, pytest.param(1_000_000, marks=pytest.mark.large))
"""How many entries a long history has."""
RARE = 10
"""Entries among them of the one rare type."""


async def listed(
    rig: Rig, path: str, *, who: str = "ann", roles: tuple[str, ...] = (), **query: Any
) -> list[Any]:
    """Every item of a listing, over all its pages."""
    items: list[Any] = []
    async with rig.client(who, *roles) as client:
        cursor = None
        while True:
            params = {**query, **({"cursor": cursor} if cursor else {})}
            answer = await client.get(path, params=params)
            assert answer.status_code == 200, answer.text
            items += answer.json()["items"]
            cursor = answer.json()["next_cursor"]
            if cursor is None:
                return items


async def post(
    rig: Rig, type_: str, debit: Account, credit: Account, amount: int, *, minutes: int = 0
) -> None:
    """Insert a transfer as the service's role."""
    async with rig.db.transaction() as tx:
        await open_account(tx, debit)
        await open_account(tx, credit)
        await insert(tx, type_, debit, credit, amount, at=START + timedelta(minutes=minutes))


async def one_of_each(rig: Rig) -> None:
    """A history of ann with an entry of every category that a wallet can show, a minute apart."""
    winnings, topup, pending = (
        Account(kind, "ann", "USDC") for kind in (Kind.WINNINGS, Kind.TOPUP, Kind.PENDING)
    )
    world = Account(Kind.EXTERNAL_IN, "world", "USDC")
    pool, reserved = Account(Kind.POOL, "c", "USDC"), Account(Kind.RESERVED, "r", "USDC")
    payout = Account(Kind.PAYOUT_PENDING, "p", "USDC")
    escrow = Account(Kind.ESCROW_TOPUP, "e", "USDC")
    steps = (
        ("campaign_funded", world, pool),
        ("prize_reserved", pool, reserved),
        ("opening_balance", world, winnings),
        ("topup_credited", world, topup),
        ("prize_pending", reserved, pending),
        ("prize_matured", pending, winnings),
        ("organizer_fee", reserved, winnings),
        ("platform_fee", reserved, Account(Kind.FEES, "platform", "USDC")),
        ("entry_fee_held", topup, escrow),
        ("entry_fee_refunded", escrow, topup),
        ("payout_requested", winnings, payout),
        ("payout_given_back", payout, winnings),
        ("topup_reversed", topup, Account(Kind.EXTERNAL_OUT, "world", "USDC")),
    )
    for minutes, (type_, debit, credit) in enumerate(steps):
        amount = 1_000_000 if type_ in ("campaign_funded", "prize_reserved") else 100
        await post(rig, type_, debit, credit, amount, minutes=minutes)


OF_ANN = {
    Category.CREDIT: None,
    Category.DEBIT: None,
    Category.REWARD: ["prize_matured", "prize_pending"],
    Category.ENTRY_FEE: ["entry_fee_held"],
    Category.PAYOUT: ["payout_requested"],
    Category.REFUND: ["payout_given_back", "entry_fee_refunded"],
    Category.TOPUP: ["topup_credited"],
    Category.ORGANIZER_FEE: ["organizer_fee"],
    Category.PLATFORM_FEE: [],
}
"""What each category finds in the wallet; credit and debit are its two sides."""
CREDITS = {
    "opening_balance", "topup_credited", "prize_pending", "prize_matured", "organizer_fee", "entry_fee_refunded",
    "payout_given_back",
}  # fmt: skip
DEBITS = {"prize_matured", "entry_fee_held", "payout_requested", "topup_reversed"}


async def test_every_category_finds_its_entries(rig: Rig) -> None:
    """Each of the nine, for the player and for an admin. The organizer's fee is in the wallet, the platform's is not."""
    await one_of_each(rig)
    assert set(OF_ANN) == set(Category)
    for category, wanted in OF_ANN.items():
        types = [one["type"] for one in await listed(rig, "/api/wallet/transactions", type=category.value)]
        if wanted is None:
            assert set(types) == (CREDITS if category is Category.CREDIT else DEBITS)
        else:
            assert types == wanted, category
        of_all = await listed(rig, "/api/transactions/all", who="boss", roles=("admin",), type=category.value)
        assert of_all, category
        assert {one["category"] for one in of_all} == {category.value}


def by_bucket(entries: list[dict[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """The sums of entries, of the listing or the CSV, by asset and bucket."""
    held: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for one in entries:
        amount = Decimal(one["amount"])
        if one["from_bucket"]:
            held[one["asset"], one["from_bucket"]] -= amount
        if one["to_bucket"]:
            held[one["asset"], one["to_bucket"]] += amount
    return dict(held)


async def every_edge(rig: Rig, asset: str) -> None:
    """A history of ann with every allowed transfer from or to a wallet, each with another amount."""

    def account(kind: Kind) -> Account:
        return Account(kind, "ann" if kind in BUCKETS else "x", asset)

    # Transfers of a disowned round need its approval, those of an exchange their payout: their own tests cover them.
    edges = [
        edge
        for edge in EDGES
        if {edge.debit, edge.credit} & set(BUCKETS)
        and Kind.FX not in (edge.debit, edge.credit)
        and edge.type not in OF_DISOWNED
    ]
    assert len(edges) == 22
    filled = (
        ("campaign_funded", Kind.EXTERNAL_IN, Kind.POOL, 1_000_000),
        ("prize_reserved", Kind.POOL, Kind.RESERVED, 900_000),
        ("opening_balance", Kind.EXTERNAL_IN, Kind.WINNINGS, 500_000),
        ("topup_credited", Kind.EXTERNAL_IN, Kind.TOPUP, 300_000),
        ("prize_pending", Kind.RESERVED, Kind.PENDING, 200_000),
        ("claim_opened", Kind.RESERVED, Kind.CLAIMABLE, 100_000),
        ("payout_requested", Kind.WINNINGS, Kind.PAYOUT_PENDING, 50_000),
        ("entry_fee_held", Kind.WINNINGS, Kind.ESCROW_WINNINGS, 50_000),
        ("entry_fee_held", Kind.TOPUP, Kind.ESCROW_TOPUP, 50_000),
    )
    for type_, debit, credit, amount in filled:
        await post(rig, type_, account(debit), account(credit), amount)
    for number, edge in enumerate(edges):
        await post(rig, edge.type, account(edge.debit), account(edge.credit), 1 + 7 * number)


async def test_a_history_adds_up_to_the_wallet(rig: Rig) -> None:
    """By bucket and asset, in the listing, the CSV and the statement, over every transfer from or to a wallet. A move between
    two buckets is neither credit nor debit, so that credits less debits are the balance.
    """
    for asset in ("USDC", "EURC"):
        await every_edge(rig, asset)
    shown = await listed(rig, "/api/wallet/transactions")
    of_admin = await listed(rig, "/api/transactions/all", who="boss", roles=("admin",), player="ann")
    async with rig.client("ann") as ann:
        wallet = (await ann.get("/api/wallet")).json()["balances"]
        text = (await ann.get("/api/wallet/transactions.csv")).text
        period = {"from": "2020-01-01", "to": "2030-01-01"}
        statements = {
            asset: (await ann.get("/api/wallet/statement.pdf", params={"asset": asset, **period})).content
            for asset in ("USDC", "EURC")
        }
    exported = list(csv.DictReader(io.StringIO(text, newline="")))
    held = {
        (one["asset"], bucket): Decimal(one[bucket])
        for one in wallet
        for bucket in ("winnings", "topup", "pending")
    }
    assert len(held) == 6
    assert all(held.values())
    for entries in (shown, exported, of_admin):
        assert by_bucket(entries) == held
        for asset in ("USDC", "EURC"):
            whole = sum(
                Decimal(one["amount"]) * {"credit": 1, "debit": -1, "internal": 0}[one["direction"]]
                for one in entries
                if one["asset"] == asset
            )
            assert whole == sum(value for (of, _), value in held.items() if of == asset)
        [matured] = [one for one in entries if one["type"] == "prize_matured" and one["asset"] == "USDC"]
        assert (matured["direction"], matured["from_bucket"], matured["to_bucket"]) == (
            "internal",
            "pending",
            "winnings",
        )
    for asset, document in statements.items():
        written = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(document)).pages)
        for bucket, name in (("winnings", "Winnings"), ("topup", "Top-ups"), ("pending", "Pending prizes")):
            assert f"{name} 0.00 {held[asset, bucket]}" in written


async def test_a_debt_is_shown_when_it_arises_and_in_what_pays_it(rig: Rig) -> None:
    """In the listing, the CSV, an admin's listing of the player and the statement. The debt changes no balance, so credits less
    debits are what the wallet holds.
    """
    campaign = await rig.campaign(funded=100_000)
    debt = await rig.owe("ann", 1_000, campaign=campaign)
    rig.clock.advance(timedelta(minutes=1))
    await rig.settle(Match(campaign, [("ann", "25.00")]))
    shown = await listed(rig, "/api/wallet/transactions", limit=1)
    of_admin = await listed(rig, "/api/transactions/all", who="boss", roles=("admin",), player="ann")
    async with rig.client("ann") as ann:
        text = (await ann.get("/api/wallet/transactions.csv")).text
        query = {"asset": "USDC", "from": "2020-01-01", "to": "2030-01-01"}
        document = (await ann.get("/api/wallet/statement.pdf", params=query)).content
    exported = list(csv.DictReader(io.StringIO(text, newline="")))
    for entries in (shown, exported, of_admin):
        assert [
            (one["type"], one["direction"], one["amount"], one["debt_id"] or None) for one in entries
        ] == [
            ("receivable_recovered", "debit", "10.00", str(debt.id)),
            ("prize_credited", "credit", "25.00", None),
            ("receivable_opened", "none", "10.00", str(debt.id)),
        ]
        assert by_bucket(entries) == {("USDC", "winnings"): Decimal("15.00")}
        assert {one["correlation_id"] for one in entries if one["debt_id"]} == {debt.correlation_id}
    for filters in (
        {"type": "receivable_opened"},
        {"correlation_id": debt.correlation_id, "type": "receivable_opened"},
    ):
        found = await listed(rig, "/api/wallet/transactions", **filters)
        assert [one["id"] for one in found] == [shown[-1]["id"]]
    for side in ("credit", "debit"):
        found = await listed(rig, "/api/wallet/transactions", type=side)
        assert [one["direction"] for one in found] == [side]
    assert await listed(rig, "/api/wallet/transactions", asset="EURC") == []
    assert await listed(rig, "/api/wallet/transactions", who="bob") == []
    written = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(document)).pages)
    assert f"you owe 10.00 USDC, debt {debt.id}" in written
    assert f"pays the debt {debt.id}" in written
    assert "Winnings 0.00 15.00" in written
    assert await rig.breaches() == []


async def test_every_status_finds_its_entries(rig: Rig) -> None:
    """Each entry has one status, also together with a type. An unknown status is refused. Entries of ``one_of_each`` without
    a payout or prize are pending.
    """
    await one_of_each(rig)
    by_status = {
        status: [one["type"] for one in await listed(rig, "/api/transactions/my", status=status.value)]
        for status in Status
    }
    assert {status: types for status, types in by_status.items() if types} == {
        Status.PENDING: ["payout_requested", "entry_fee_held", "prize_pending"],
        Status.COMPLETED: ["organizer_fee", "prize_matured", "topup_credited", "opening_balance"],
        Status.REVERSED: ["topup_reversed", "payout_given_back", "entry_fee_refunded"],
    }
    both = await listed(rig, "/api/transactions/my", status="pending", type="reward")
    assert [(one["type"], one["status"]) for one in both] == [("prize_pending", "pending")]
    assert await listed(rig, "/api/transactions/my", status="completed", type="payout") == []
    async with rig.client("ann") as ann:
        wrong = await ann.get("/api/transactions/my", params={"status": "lost"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "status_unknown")


async def test_time_asset_and_correlation_narrow_a_history(rig: Rig) -> None:
    """A period includes its beginning and excludes its end. Asset and correlation id select, for player and admin alike."""
    await one_of_each(rig)
    period = {
        "from": (START + timedelta(minutes=3)).isoformat(),
        "to": (START + timedelta(minutes=5)).isoformat(),
    }
    wanted = ["prize_pending", "topup_credited"]
    assert [one["type"] for one in await listed(rig, "/api/transactions/my", **period)] == wanted
    of_all = await listed(rig, "/api/transactions/all", who="boss", roles=("admin",), **period)
    assert [one["type"] for one in of_all] == wanted
    assert await listed(rig, "/api/transactions/my", asset="EURC") == []
    everything = await listed(rig, "/api/transactions/my", limit=2)
    assert (
        await listed(rig, "/api/transactions/my", asset="USDC", correlation_id="test", limit=3) == everything
    )
    assert await listed(rig, "/api/transactions/my", correlation_id="another") == []
    admin = await listed(
        rig, "/api/transactions/all", who="boss", roles=("admin",), correlation_id="test", limit=4
    )
    assert len(admin) == 13
    async with rig.client("ann") as ann:
        naive = await ann.get("/api/transactions/my", params={"from": "2026-03-01T00:00:00"})
        wrong = await ann.get("/api/transactions/my", params={"from": "soon"})
        reversed_ = {"from": "2026-03-02", "to": "2026-03-01"}
        for path in ("/api/transactions/my", "/api/wallet/transactions"):
            none = await ann.get(path, params=reversed_)
            assert (none.status_code, none.json()["code"]) == (400, "period_invalid")
            assert none.json()["detail"].startswith("from 2026-03-02 is not before to 2026-03-01")
        unknown = await ann.get("/api/transactions/my", params={"asset": "NOPE"})
        pages = [await ann.get("/api/transactions/my", params={"page": page}) for page in (0, 201, 200)]
    assert [answer.status_code for answer in pages] == [400, 400, 200]
    assert pages[0].json()["code"] == "page_invalid"
    assert (naive.status_code, naive.json()["code"]) == (400, "period_invalid")
    assert wrong.json()["detail"].startswith("from is a date")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "asset_unknown")
    day = START.date().isoformat()
    assert len(await listed(rig, "/api/transactions/my", **{"from": day})) == len(
        await listed(rig, "/api/transactions/my")
    )
    assert await listed(rig, "/api/transactions/my", to=day) == []


async def test_filtered_pages_together_hold_every_entry_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a page reads a small part only: short and empty pages continue where they ended."""
    campaign = await rig.campaign(funded=100_000)
    for number in range(6):
        await rig.settle(Match(campaign, [("ann", "1.00")], final=number % 3 == 0))
    plain = await listed(rig, "/api/transactions/my")
    monkeypatch.setattr("prizewire_rewards.wallets.http.listing.SCAN_MAX", 1)
    monkeypatch.setattr(histories, "LEDGER_SCAN_TIMES", 1)
    found = await listed(rig, "/api/transactions/my", type="prize_credited", limit=1)
    assert [one["id"] for one in found] == [one["id"] for one in plain if one["type"] == "prize_credited"]
    assert len(found) == 2
    of_all = await listed(rig, "/api/transactions/all", who="boss", roles=("admin",), type="prize_credited")
    assert [one["id"] for one in of_all] == [one["id"] for one in found]


@pytest.mark.parametrize(
    "cursor",
    [
        "rubbish",
        "WzFd",
        "WyJ4IiwxXQ",
        "WyIyMDI2LTAzLTAxIiwxXQ",
        "WyIyMDI2LTAzLTAxVDAwOjAwOjAwKzAwOjAwIiwtMV0",
    ],
)
async def test_a_forged_cursor_is_refused(rig: Rig, cursor: str) -> None:
    """A cursor with another shape or another type is refused before the database."""
    async with rig.client("ann") as ann:
        answer = await ann.get("/api/wallet/transactions", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")


async def test_a_wallet_shows_held_prizes(rig: Rig) -> None:
    """Held and claimable prizes are neither winnings nor earnings. They are shown also to a player without a wallet account."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "30.00"), ("bob", "20.00")]))
    await as_owner(
        rig,
        "ALTER TABLE rewards DISABLE TRIGGER USER",
        "INSERT INTO rewards (id, round_id, part, line, player, place, asset, amount, state, transfer_id, settled_at) "
        "SELECT gen_random_uuid(), gen_random_uuid(), 1, 1, w.player, 1, w.asset, w.amount, w.state, gen_random_uuid(), now() "
        "FROM (VALUES ('ann', 'USDC', 700, 'held'), ('ann', 'USDC', 50, 'claimable'), ('ann', 'USDC', 9, 'expired'), "
        "('cyd', 'EURC', 125, 'held'), ('dan', 'EURC', 125, 'rejected')) AS w(player, asset, amount, state)",
    )
    found = {}
    for player in ("ann", "cyd", "dan"):
        async with rig.client(player) as client:
            found[player] = (await client.get("/api/wallet")).json()["balances"]
    [ann] = found["ann"]
    assert (ann["winnings"], ann["held"], ann["lifetime_earnings"]) == ("30.00", "7.50", "30.00")
    [cyd] = found["cyd"]
    assert (cyd["asset"], cyd["winnings"], cyd["held"]) == ("EURC", "0.00", "1.25")
    assert found["dan"] == []


async def test_an_export_has_the_entries_of_the_listing(rig: Rig) -> None:
    """Same filters, same entries, same order, with a header; for a player and for an admin."""
    await one_of_each(rig)
    for path, who, roles in (
        ("/api/wallet/transactions", "ann", ()),
        ("/api/transactions/all", "boss", ("admin",)),
    ):
        for query in ({}, {"type": "reward"}, {"status": "reversed"}, {"asset": "EURC"}):
            wanted = await listed(rig, path, who=who, roles=roles, **query)
            async with rig.client(who, *roles) as client:
                answer = await client.get(f"{path}.csv", params=query)
            assert answer.headers["content-type"].startswith("text/csv")
            assert "attachment" in answer.headers["content-disposition"]
            rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
            assert [row["id"] for row in rows] == [one["id"] for one in wanted]
            assert [row["amount"] for row in rows] == [one["amount"] for one in wanted]
            head = answer.text.split("\r\n")[0]
            assert head.startswith("id,at,type,category,status,asset,amount,")
            assert ("debit_owner" in head) == (who == "boss")


async def test_an_export_with_a_wrong_filter_is_refused(rig: Rig) -> None:
    """The answer is a problem, not a broken file. An export has no pages."""
    async with rig.client("ann") as ann:
        for query, code in (
            ({"type": "nonsense"}, "type_unknown"),
            ({"from": "2026-03-01T00:00:00"}, "period_invalid"),
            ({"to": "9999-12-31"}, "period_invalid"),
            ({"from": "0001-01-01"}, "period_invalid"),
            ({"from": "2026-03-02", "to": "2026-03-01"}, "period_invalid"),
            ({"asset": "NOPE"}, "asset_unknown"),
            ({"limit": "5"}, "parameter_unknown"),
            ({"page": "2"}, "parameter_unknown"),
        ):
            answer = await ann.get("/api/wallet/transactions.csv", params=query)
            assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert (await ann.get("/api/wallet/transactions.csv", params={"player": "bob"})).status_code == 403
        assert (await ann.get("/api/transactions/all.csv")).status_code == 403


async def test_a_player_named_like_a_formula_is_exported_as_text(rig: Rig) -> None:
    """Quotes and commas are kept by RFC 4180. A spreadsheet shows the formula as text."""
    name = '=HYPERLINK("http://x","pay,me")'
    campaign = await rig.campaign(funded=1_000)
    await rig.settle(Match(campaign, [(name, "10.00")]))
    async with rig.client("boss", "admin") as admin:
        text = (await admin.get("/api/transactions/all.csv", params={"type": "prize_credited"})).text
    [row] = csv.DictReader(io.StringIO(text, newline=""))
    assert row["credit_owner"] == f"'{name}"
    assert '"\'=HYPERLINK(""http://x"",""pay,me"")"' in text


async def test_a_statement_goes_from_opening_to_closing(rig: Rig) -> None:
    """It opens with the balance before the period and closes with the balance of the wallet."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "100.00")]))
    rig.clock.advance(timedelta(days=10))
    begin = rig.clock.now()
    await rig.settle(Match(campaign, [("ann", "40.00")]))
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        body = {"asset": "USDC", "amount": "25.50"}
        await ann.post("/api/wallet/payout-request", json=body, headers={"Idempotency-Key": uuid4().hex})
        rig.clock.advance(timedelta(days=10))
        query = {"asset": "USDC", "from": begin.isoformat(), "to": rig.clock.now().isoformat()}
        await rig.settle(Match(campaign, [("ann", "9.00")]))
        answer = await ann.get("/api/wallet/statement.pdf", params=query)
        again = await ann.get("/api/wallet/statement.pdf", params=query)
        later = {**query, "from": query["to"], "to": (rig.clock.now() + timedelta(days=1)).isoformat()}
        following = await ann.get("/api/wallet/statement.pdf", params=later)
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content == again.content
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
    assert "Winnings 100.00 114.50" in text
    assert "All 40.00 25.50" in text
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(following.content)).pages)
    assert "Winnings 114.50 123.50" in text
    assert await rig.winnings("ann") == 12_350


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"asset": "NOPE"}, "asset_unknown"),
        ({"from": "2026-03-01T00:00:00"}, "period_invalid"),
        ({"to": "0.5"}, "period_invalid"),
        ({"from": "yesterday"}, "period_invalid"),
        ({"from": "9999-12-31T00:00:00Z"}, "period_invalid"),
        ({"from": "0001-01-01"}, "period_invalid"),
        ({"from": "2026-02-30"}, "period_invalid"),
        ({"to": "2026-03-01T00:00:00Z"}, "period_invalid"),
    ],
)
async def test_a_wrong_statement_is_refused(rig: Rig, changes: dict[str, str], code: str) -> None:
    """Each error has its code."""
    query = {"asset": "USDC", "from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z", **changes}
    async with rig.client("ann") as ann:
        answer = await ann.get("/api/wallet/statement.pdf", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_statement_that_is_too_long_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the CSV."""
    await one_of_each(rig)
    monkeypatch.setattr("prizewire_rewards.wallets.http.exports.STATEMENT_ENTRIES_MAX", 9)
    query = {"asset": "USDC", "from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}
    async with rig.client("ann") as ann:
        answer = await ann.get("/api/wallet/statement.pdf", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "statement_too_long")


@pytest.fixture(scope="module", params=LONG)
def many(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture(scope="module")
async def long_rig(make_module_database: DatabaseFactory, many: int) -> AsyncIterator[Rig]:
    """A service where ann has many entries, a second apart, and bob a few."""
    rig = await Rig.open(make_module_database("rewards", migrated=True))
    winnings, topup = (Account(kind, "ann", "USDC") for kind in (Kind.WINNINGS, Kind.TOPUP))
    bob, world = Account(Kind.WINNINGS, "bob", "USDC"), Account(Kind.EXTERNAL_IN, "world", "USDC")
    async with rig.db.transaction() as tx:
        for account in (winnings, topup, bob, world):
            await open_account(tx, account)
    row = (
        "INSERT INTO ledger_transfers (id, group_no, type, debit_account, debit_kind, credit_account, credit_kind, "
        "asset, amount, at) SELECT CAST('{mark}' || lpad(to_hex(n), 31, '0') AS uuid), "
        f"n, '{{type}}', '{account_id(world)}', 'external_in', '{{to}}', '{{kind}}', "
        f"'USDC', 1, CAST('{START.isoformat()}' AS timestamptz) + n * interval '1 second' "
        "FROM generate_series(1, {many}) AS n WHERE n % {step} {which} 0"
    )
    plain = row.format(
        mark="a",
        type="opening_balance",
        to=account_id(winnings),
        kind="wallet:winnings",
        many=many,
        step=many // RARE,
        which="<>",
    )
    rare = row.format(
        mark="b",
        type="topup_credited",
        to=account_id(topup),
        kind="wallet:topup",
        many=many,
        step=many // RARE,
        which="=",
    )
    few = row.format(
        mark="c",
        type="opening_balance",
        to=account_id(bob),
        kind="wallet:winnings",
        many=50,
        step=many,
        which="<>",
    )
    await as_owner(
        rig,
        "INSERT INTO ledger_groups (cause, correlation_id) SELECT 'import/' || n, 'c' || n "
        f"FROM generate_series(1, {many}) AS n ORDER BY n",
        plain,
        rare,
        few,
        "ANALYZE ledger_transfers",
        "ANALYZE ledger_groups",
    )
    yield rig
    await rig.close()


@contextmanager
def statements_of(rig: Rig) -> Iterator[list[tuple[str, Any]]]:
    """Every statement, with its values, that the service sends in the block."""
    sent: list[tuple[str, Any]] = []

    def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            sent.append((statement, parameters))

    engine = rig.db.engine.sync_engine
    event.listen(engine, "before_cursor_execute", record)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", record)


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """(relation, kind of scan, rows read) of every scan of a plan with ANALYZE."""
    if "Relation Name" in plan or "Index Name" in plan:
        read = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        yield (
            plan.get("Relation Name", plan.get("Index Name", "")),
            plan["Node Type"],
            int(read * plan["Actual Loops"]),
        )
    for part in plan.get("Plans", ()):
        yield from scans(part)


def pages(many: int) -> list[EntryFilter]:
    """A page of every kind, at the beginning, in the middle and at the end of the history."""
    middle = START + timedelta(seconds=many // 2)
    return [
        EntryFilter(limit=200, player="ann"),
        EntryFilter(limit=200, player="ann", before=Position(middle, many // 2)),
        EntryFilter(limit=200, player="ann", before=Position(START + timedelta(seconds=300), 300)),
        EntryFilter(limit=200, player="ann", offset=10_000),
        EntryFilter(limit=200, player="ann", side="debit"),
        EntryFilter(limit=200, player="ann", asset="USDC"),
        EntryFilter(limit=200, player="ann", asset="EURC"),
        EntryFilter(limit=200, player="ann", types=frozenset({"topup_credited"})),
        EntryFilter(limit=200, player="ann", types=frozenset({"payout_requested"})),
        EntryFilter(limit=200, player="ann", types=types_with(Status.REVERSED), status=Status.REVERSED),
        EntryFilter(limit=200, player="ann", types=types_with(Status.PENDING), status=Status.PENDING),
        EntryFilter(limit=200, types=types_with(Status.PENDING), status=Status.PENDING),
        EntryFilter(limit=200, player="ann", since=middle, until=middle + timedelta(minutes=1)),
        EntryFilter(limit=200, player="ann", until=middle),
        EntryFilter(limit=200, player="ann", until=middle, types=frozenset({"topup_credited"})),
        EntryFilter(limit=200, player="ann", correlation_id="c77"),
        EntryFilter(limit=200, player="bob"),
        EntryFilter(limit=200),
        EntryFilter(limit=200, types=frozenset({"payout_requested"})),
        EntryFilter(limit=200, asset="EURC"),
        EntryFilter(limit=200, since=middle, until=middle + timedelta(minutes=1)),
        EntryFilter(limit=200, correlation_id="c77", types=frozenset({"opening_balance"})),
    ]


@pytest.mark.parametrize("page", range(len(pages(1))))
async def test_every_page_of_a_long_history_uses_indexes(long_rig: Rig, many: int, page: int) -> None:
    """No statement scans the whole ledger, and none reads more rows than a page may."""
    wanted = pages(many)[page]
    with statements_of(long_rig) as sent:
        async with long_rig.db.transaction() as tx:
            await history_page(tx, wanted, assets=list(ASSETS))
    assert sent
    read = 0
    async with long_rig.db.transaction() as tx:
        connection = (await tx.get_raw_connection()).driver_connection
        for statement, values in sent:
            shown = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
            plan = shown if isinstance(shown, list) else orjson.loads(shown)
            for relation, node, rows in scans(plan[0]["Plan"]):
                if relation.startswith("ledger_transfers"):
                    assert node != "Seq Scan", statement
                    read += rows
    looked_through = (
        wanted.limit + wanted.offset + SCAN_MAX * (1 if wanted.player else histories.LEDGER_SCAN_TIMES)
    )
    assert read <= 4 * looked_through


async def test_a_rare_type_is_found_in_bounded_steps(long_rig: Rig, many: int) -> None:
    """A rare type has many short pages, which together have each of its entries once."""
    found: list[int] = []
    wanted = EntryFilter(limit=200, player="ann", types=frozenset({"topup_credited"}), scan=many // 16)
    looked = 0
    before: Position | None = None
    while looked == 0 or before is not None:
        async with long_rig.db.transaction() as tx:
            page = await history_page(
                tx,
                assets=list(ASSETS),
                wanted=EntryFilter(
                    limit=wanted.limit, player="ann", types=wanted.types, scan=wanted.scan, before=before
                ),
            )
        found += [entry.seq for entry in page.entries]
        before = page.resume
        looked += 1
    assert len(found) == len(set(found)) == RARE
    assert looked <= many // wanted.scan + 1


async def streamed(rig: Rig, path: str, query: bytes, take: Callable[[bytes], Awaitable[None]]) -> int:
    """GET as a server sends it, one part of the body after the other. Returns the status."""
    async with rig.client("ann") as client:
        app = client._transport.app  # type: ignore[attr-defined]  # httpx gathers the body, a server does not
        token = client.headers["authorization"]
    status = 0

    complete = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await complete.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            await take(message.get("body", b""))
            if not message.get("more_body", False):
                complete.set()

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "",
        "headers": [(b"authorization", token.encode()), (b"host", b"rewards")],
        "client": ("127.0.0.1", 1), "server": ("rewards", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return status


MEMORY_BYTES_MAX = 48 * 2**20
"""How much the process may grow while it exports a million rows, a hundred and fifty megabytes; less for fewer."""


async def test_a_long_history_is_exported_in_constant_memory(long_rig: Rig, many: int) -> None:
    """Every row once and in order. Memory does not grow with the rows, and no transaction lasts as long as the export."""
    process = psutil.Process()
    total = rows = peak = reads = 0
    last = ""

    async def warm_up(_part: bytes) -> None:
        return

    query = f"to={(START + timedelta(seconds=30_000)):%Y-%m-%dT%H:%M:%SZ}".encode()
    assert await streamed(long_rig, "/api/wallet/transactions.csv", query, warm_up) == 200
    before = process.memory_info().rss

    async def take(part: bytes) -> None:
        nonlocal total, rows, peak, reads, last
        total += len(part)
        rows += part.count(b"\r\n")
        reads += 1
        peak = max(peak, process.memory_info().rss - before)
        newest, oldest = (
            (
                line.split(b",")[1].decode()
                for line in (part.split(b"\r\n", 1)[0], part[:-2].rsplit(b"\r\n", 1)[-1])
            )
            if part and rows > 1
            else ("", "")
        )
        assert not last or not newest or newest < last
        last = oldest or last

    assert await streamed(long_rig, "/api/wallet/transactions.csv", b"", take) == 200
    assert rows == many + 1
    assert total > 100 * many
    assert datetime.fromisoformat(last) == START + timedelta(seconds=1)
    assert reads > many // 5_000
    assert peak < min(MEMORY_BYTES_MAX, total // 4), f"grew by {peak / 2**20:.0f} MB"
