"""Opening balances over the ports in memory: booked once, never changed, and debts are recovered from them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from prizewire_contracts.text import is_printable
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.records import INTAKE_MAX
from prizewire_rewards.wallets.domain.opening import Opening, Reconciliation, SumKey
from prizewire_rewards.wallets.handlers import import_balances, transfer_id_of
from prizewire_rewards.wallets.http.bodies import OpeningRow
from prizewire_rewards.wallets.http.imports import read_rows
from services.rewards.tests.debts import open_receivable
from services.rewards.tests.fakes import MemoryStore
from services.rewards.tests.rig import ASSETS, START, make_tools


def opening(player: str = "ann", amount: int = 500, number: int = 0, **changes: Any) -> Opening:
    made = Opening(
        number=number, player=player, asset="USDC", bucket="winnings", amount=amount, reference="arena-2025"
    )
    return replace(made, **changes)


async def run(store: MemoryStore, openings: Iterable[Opening], *, dry_run: bool = False) -> Reconciliation:
    return await import_balances(
        list(openings), dry_run=dry_run, actor="ada", ports=store.ports(), tools=make_tools(), now=START
    )


def held(store: MemoryStore, player: str, kind: Kind = Kind.WINNINGS, asset: str = "USDC") -> int:
    return store.ledger.balance(Account(kind, player, asset))


async def test_an_opening_balance_is_booked_once() -> None:
    """A second import finds it booked, and changes nothing."""
    store = MemoryStore(ASSETS)
    rows = [opening(), opening("bob", bucket="topup", number=1), opening("cyd", asset="SEASON", number=2)]
    first, second = await run(store, rows), await run(store, rows)
    assert (len(first.new), len(first.already), first.refused) == (3, 0, [])
    assert (len(second.new), len(second.already), second.refused) == (0, 3, [])
    assert (held(store, "ann"), held(store, "bob", Kind.TOPUP), held(store, "cyd", asset="SEASON")) == (
        500,
    ) * 3
    assert len(store.ledger.transfers) == 3
    assert first.after() == second.before == second.after()


async def test_a_dry_run_returns_the_same_and_books_nothing() -> None:
    """Its result is the result of the import after it."""
    store = MemoryStore(ASSETS)
    rows = [opening(), opening("bob", amount=0, number=1)]
    dry, wet = await run(store, rows, dry_run=True), await run(store, rows)
    assert dry == wet
    assert len(store.ledger.transfers) == 1


async def test_a_changed_amount_is_refused_with_both_amounts() -> None:
    """Another amount neither replaces nor adds to the first, in a later import and within one."""
    store = MemoryStore(ASSETS)
    await run(store, [opening()])
    found = await run(
        store, [opening(amount=700), opening("bob", number=1), opening("bob", amount=1, number=2)]
    )
    assert [(one.number, one.code) for one in found.refused] == [(0, "amount_changed"), (2, "amount_changed")]
    assert "ann has 5.00 USDC in winnings under arena-2025, not 7.00 USDC" in found.refused[0].detail
    assert (held(store, "ann"), held(store, "bob")) == (500, 500)


async def test_another_reference_bucket_or_asset_is_another_balance() -> None:
    """The key has all parts, and joined texts cannot collide."""
    store = MemoryStore(ASSETS)
    rows = [
        opening("a/b", reference="c"),
        opening("a", reference="b/c", number=1),
        opening("a", reference="b/c", bucket="topup", number=2),
        opening("a", reference="b/c", asset="EURC", number=3),
    ]
    assert len((await run(store, rows)).new) == 4
    assert len({transfer_id_of(row) for row in rows}) == 4


async def test_a_wrong_row_is_refused_alone() -> None:
    """Season points as a top-up and an amount of zero are refused. The other rows are booked."""
    store = MemoryStore(ASSETS)
    rows = [opening(amount=0), opening(asset="SEASON", bucket="topup", number=1), opening("bob", number=2)]
    found = await run(store, rows)
    assert [(one.number, one.code) for one in found.refused] == [
        (0, "amount_not_positive"),
        (1, "asset_not_redeemable"),
    ]
    assert [one.player for one in found.new] == ["bob"]


async def test_debts_are_recovered_from_an_opening_balance() -> None:
    """It is a credit to winnings as any other."""
    store = MemoryStore(ASSETS)
    await open_receivable(
        player="ann",
        asset="USDC",
        amount=200,
        campaign=None,
        cause="debt",
        reference="debt",
        correlation_id="test",
        ports=store.ports(),
        now=START,
    )
    await run(store, [opening()])
    assert held(store, "ann") == 300


async def test_sums_are_kept_by_asset_and_bucket() -> None:
    """They include earlier imports, whatever players did with the money since."""
    store = MemoryStore(ASSETS)
    await run(store, [opening(), opening("bob", bucket="topup", number=1)])
    found = await run(store, [opening("cyd", amount=50), opening("dan", amount=7, number=1)])
    key = SumKey("USDC", "winnings")
    assert (found.before, found.imported(), found.after()) == ({key: 500}, {key: 57}, {key: 557})


def test_a_row_that_cannot_be_read_is_refused_with_its_number() -> None:
    """Each has its own code, and the others are read."""
    good = {"player": "ann", "asset": "USDC", "bucket": "winnings", "amount": "1.00", "reference": "r"}
    wrong: list[tuple[Mapping[str, str], str]] = [
        ({"player": ""}, "player_invalid"),
        ({"player": "a b"}, "player_invalid"),
        ({"player": "x" * 129}, "player_invalid"),
        ({"reference": ""}, "reference_invalid"),
        ({"reference": "a\nb"}, "reference_invalid"),
        ({"reference": "a\x00b"}, "reference_invalid"),
        ({"reference": "e\u0301"}, "reference_invalid"),
        ({"player": "e\u0301"}, "player_invalid"),
        ({"player": "a\x00"}, "player_invalid"),
        ({"asset": "\x00"}, "asset_unknown"),
        ({"bucket": "pending"}, "bucket_unknown"),
        ({"asset": "NOPE"}, "asset_unknown"),
        ({"amount": "1.001"}, "amount_too_many_decimals"),
        ({"amount": "-1.00"}, "amount_negative"),
        ({"amount": "much"}, "amount_malformed"),
    ]
    rows = [OpeningRow(**{**good, **changes}) for changes, _ in wrong] + [OpeningRow(**good)]
    openings, refused = read_rows(rows, assets=ASSETS)
    assert all(is_printable(one.detail) for one in refused)
    assert [(one.number, one.code) for one in refused] == [(n, code) for n, (_, code) in enumerate(wrong)]
    assert [(one.number, one.amount) for one in openings] == [(len(wrong), 100)]


async def test_the_intake_of_an_asset_has_a_limit() -> None:
    """It counts all rows and all earlier intake. The refusal names the limit in units of the asset."""
    store = MemoryStore(ASSETS)
    rows = [
        opening(amount=INTAKE_MAX - 1),
        opening("bob", amount=2, number=1),
        opening("cyd", amount=1, number=2),
    ]
    found = await run(store, rows)
    assert [(one.number, one.code) for one in found.refused] == [(1, "amount_too_large")]
    assert (
        "at most 46116860184273879.04 USDC may come in from outside, and 46116860184273879.03 USDC came in"
        in (found.refused[0].detail)
    )
    again = await run(
        store, [*rows, opening("dan", amount=1, number=3), opening("dan", asset="EURC", number=4)]
    )
    assert [(one.number, one.code) for one in again.refused] == [
        (1, "amount_too_large"),
        (3, "amount_too_large"),
    ]
    assert len(again.already) == 2
