"""The allowlist as a graph, and the arithmetic of moves."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from prizewire_rewards.ledger.domain.accounts import (
    EDGES,
    KINDS,
    OF_DISOWNED,
    Account,
    Bound,
    Kind,
    Move,
    TransferType,
    deltas,
    reachable,
)
from prizewire_rewards.wallets.domain.history import CATEGORY_OF

OUTWARD = {Kind.PAYOUT_PENDING, Kind.TREASURY, Kind.FX}


def migration_of(name: str) -> ModuleType:
    path = Path(__file__).parents[3] / f"migrations/versions/{name}.py"
    spec = importlib.util.spec_from_file_location(f"migration_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def whither(start: Kind, *, redeemable: bool) -> set[str]:
    """The kinds of accounts that money of an asset can reach from ``start``, without the edges of disowned rounds."""
    open_to = [edge for edge in EDGES if (redeemable or not edge.redeemable) and edge.type not in OF_DISOWNED]
    return set(reachable(start=start, edges=[(edge.debit, edge.credit) for edge in open_to]))


def test_entry_fees_never_reach_a_pool() -> None:
    """No sequence of transfers leads from entry fees to a pool; they only leave."""
    reached = whither(Kind.ENTRY_FEES, redeemable=True)
    assert Kind.POOL not in reached
    assert reached == {Kind.EXTERNAL_OUT}


def test_escrowed_entry_fees_never_reach_a_pool() -> None:
    """No sequence of transfers leads from escrow to a pool. A refunded fee is the player's own money again."""
    refunds = {TransferType.ENTRY_FEE_REFUNDED, TransferType.ENTRY_FEE_REVERSED}
    kept = [(edge.debit, edge.credit) for edge in EDGES if edge.type not in refunds]
    for escrow in (Kind.ESCROW_WINNINGS, Kind.ESCROW_TOPUP):
        assert set(reachable(start=escrow, edges=kept)) == {Kind.ENTRY_FEES, Kind.EXTERNAL_OUT}
    assert whither(Kind.ESCROW_TOPUP, redeemable=True) == {
        Kind.TOPUP,
        Kind.ESCROW_TOPUP,
        Kind.ENTRY_FEES,
        Kind.EXTERNAL_OUT,
    }


def test_fees_only_leave() -> None:
    """Fees only leave the system: they never become a prize, a wallet's money or a payout; fees in points stay."""
    for kind in (Kind.FEES, Kind.ENTRY_FEES):
        assert whither(kind, redeemable=True) == {Kind.EXTERNAL_OUT}
    assert not whither(Kind.FEES, redeemable=False)


def test_a_disownment_takes_fees_back_to_their_accounts() -> None:
    """A disownment moves a round's fees to its reserve and an entry's fee to the wallet that paid it, and nothing else."""
    back = {(edge.type, edge.debit, edge.credit) for edge in EDGES if edge.type in OF_DISOWNED}
    assert back == {
        (TransferType.PLATFORM_FEE_REVERSED, Kind.FEES, Kind.RESERVED),
        (TransferType.ORGANIZER_FEE_REVERSED, Kind.FEES, Kind.RESERVED),
        (TransferType.ORGANIZER_FEE_REVERSED, Kind.WINNINGS, Kind.RESERVED),
        (TransferType.ENTRY_FEE_REVERSED, Kind.ENTRY_FEES, Kind.WINNINGS),
        (TransferType.ENTRY_FEE_REVERSED, Kind.ENTRY_FEES, Kind.TOPUP),
    }


def test_the_search_finds_a_forbidden_path() -> None:
    """With one wrong edge the same search finds entry fees in a pool, after three transfers."""
    wrong = [*((edge.debit, edge.credit) for edge in EDGES), (Kind.EXTERNAL_OUT, Kind.EXTERNAL_IN)]
    assert Kind.POOL in set(reachable(start=Kind.ENTRY_FEES, edges=wrong))


@pytest.mark.parametrize("start", list(Kind))
def test_points_never_leave(start: Kind) -> None:
    """An asset that is not redeemable reaches no payout, no rail and no exchange."""
    assert not whither(start, redeemable=False) & OUTWARD


def test_points_are_never_refunded() -> None:
    """Every edge of a payout, a refund or a rail needs a redeemable asset."""
    words = {"payout", "refunded", "rail", "claim", "fx"}
    assert all(edge.redeemable for edge in EDGES if words & set(edge.type.split("_")))
    assert all(edge.redeemable for edge in EDGES if edge.type is TransferType.ENTRY_FEE_REVERSED)


def test_top_ups_are_never_paid_out() -> None:
    """Money that players paid in pays entry fees; no path leads to a payout or into winnings."""
    reached = whither(Kind.TOPUP, redeemable=True)
    assert not reached & {Kind.PAYOUT_PENDING, Kind.TREASURY, Kind.WINNINGS}
    assert Kind.ENTRY_FEES in reached


def test_debts_are_paid_by_top_ups_only_to_the_outside() -> None:
    """Money of top-ups that recovers a debt never reaches a pool or winnings."""
    paid = [edge for edge in EDGES if edge.type is TransferType.RECEIVABLE_RECOVERED]
    assert {edge.credit for edge in paid if edge.debit is Kind.TOPUP} == {Kind.EXTERNAL_OUT}
    assert Kind.POOL not in whither(Kind.TOPUP, redeemable=True)


def test_pending_prizes_are_paid_out_only_as_winnings() -> None:
    """The pending bucket leads to winnings, to a claim, or back to its round's reserve."""
    reached = [edge.credit for edge in EDGES if edge.debit is Kind.PENDING]
    assert reached == [Kind.WINNINGS, Kind.RESERVED, Kind.CLAIMABLE]


def test_debts_never_fund_a_pool() -> None:
    """Opening or writing off a receivable creates no money for prizes."""
    for kind in (Kind.RECEIVABLE, Kind.WRITE_OFF):
        assert not whither(kind, redeemable=True) & {Kind.POOL, Kind.RESERVED, Kind.WINNINGS}


def test_balances_of_people_have_bounds() -> None:
    """Pools, wallets, reserves and payouts' accounts have a floor; a receivable has a ceiling."""
    floored = {kind for kind, bound in KINDS.items() if bound is Bound.FLOOR}
    assert {Kind.POOL, Kind.RESERVED, Kind.WINNINGS, Kind.TOPUP, Kind.PENDING, Kind.PAYOUT_PENDING} <= floored
    assert KINDS[Kind.RECEIVABLE] is Bound.CEILING
    assert set(KINDS) == set(Kind)


def test_every_type_has_an_edge_and_a_category() -> None:
    """Every type of transfer has an edge and a category of histories."""
    assert {edge.type for edge in EDGES} == set(TransferType) == set(CATEGORY_OF)


def test_deltas_of_a_batch_sum_to_zero() -> None:
    """Credits and debits of any batch sum to zero, and accounts without a change are left out."""
    pool, reserved = Account(Kind.POOL, "p", "USDC"), Account(Kind.RESERVED, "r", "USDC")
    wallet = Account(Kind.WINNINGS, "ann", "USDC")
    found = deltas(
        [
            Move(TransferType.PRIZE_RESERVED, pool, reserved, 10),
            Move(TransferType.PRIZE_CREDITED, reserved, wallet, 10),
        ]
    )
    assert found == {pool: -10, wallet: 10}


def test_the_migrations_are_a_literal_copy() -> None:
    """Kinds and edges of the migrations, taken together, are those of the domain."""
    first, second = migration_of("0001_first"), migration_of("0004_ways_of_money")
    later = ("0012_debts_of_buckets", "0017_fee_withdrawals", "0022_disownments", "0038_exchanged_payouts")
    brought = [first, second, *(migration_of(name) for name in later)]
    kinds = [tuple(line.split()) for one in (first, second) for line in one.KINDS.strip().splitlines()]
    assert dict(kinds) == {str(kind): str(bound) for kind, bound in KINDS.items()}
    edges = [tuple(line.split()) for one in brought for line in one.EDGES.strip().splitlines()]
    assert len(set(edges)) == len(edges)
    assert set(edges) == {
        (edge.type, edge.debit, edge.credit, "redeemable" if edge.redeemable else "any") for edge in EDGES
    }
