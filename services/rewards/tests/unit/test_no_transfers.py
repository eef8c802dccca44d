"""Players cannot transfer money to each other (docs/decisions/0009)."""

from prizewire_rewards.ledger.domain.accounts import EDGES, OF_DISOWNED, Kind, TransferType, reachable

WALLETS = {Kind.WINNINGS, Kind.TOPUP, Kind.PENDING}


def test_no_transfer_goes_from_one_wallet_to_another() -> None:
    """The only edge with a wallet on both sides is a player's own prize that becomes payable."""
    assert [edge.type for edge in EDGES if edge.debit in WALLETS and edge.credit in WALLETS] == [
        TransferType.PRIZE_MATURED
    ]


def test_money_that_was_topped_up_never_becomes_winnings() -> None:
    """No path of any length leads there, so money paid in by card is never paid out as a prize."""
    edges = [(edge.debit, edge.credit) for edge in EDGES if edge.type not in OF_DISOWNED]
    assert not set(reachable(start=Kind.TOPUP, edges=edges)) & {
        Kind.WINNINGS, Kind.PENDING, Kind.POOL, Kind.RESERVED, Kind.CLAIMABLE, Kind.PAYOUT_PENDING
    }  # fmt: skip
