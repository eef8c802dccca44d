"""How the demonstration looks at the terminal."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from prizewire_devstack.demo.following import PAID, Prize, Standing
from prizewire_devstack.demo.sums import ChainSum, Sum
from prizewire_devstack.demo.tournaments import Tournament

WIDE: Final = 140
"""Columns from which a transaction hash is shown whole."""

WORDS: Final = {
    "paid": "paid",
    "payout_pending": "on its way",
    "platform_fees": "platform's fees",
    "organizer_fees": "organizer's fees",
    "wallets": "left in wallets",
    "reserved": "reserved",
    "available": "left in the pool",
}


def amount(text: str) -> str:
    """An amount with thousands set apart: `2,700,000.00`."""
    whole, dot, fraction = text.partition(".")
    return f"{int(whole):,}{dot}{fraction}"


def sign(good: bool) -> str:
    """A tick or a cross."""
    return "[green]✓[/]" if good else "[red]✗[/]"


def _evidence(prize: Prize, *, whole: bool) -> str:
    if prize.tx_hash is None:
        return f"[dim]{prize.reference}[/]" if prize.reference else ""
    shown = prize.tx_hash if whole else f"{prize.tx_hash[:12]}…"
    return f"{shown} ledger {prize.ledger}"


def prize_list(console: Console, tournament: Tournament, standing: Standing) -> None:
    """Print a tournament's prizes in the order of places."""
    table = Table(
        title=f"{tournament.title} ({tournament.asset})", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("place", justify="right")
    table.add_column("player", no_wrap=True)
    table.add_column("prize", justify="right", no_wrap=True)
    table.add_column("rail")
    table.add_column("status")
    table.add_column("transaction", no_wrap=True)
    for prize in sorted(standing.prizes, key=lambda prize: prize.place):
        colour = "green" if prize.status == PAID else "red"
        table.add_row(
            str(prize.place),
            prize.player,
            amount(prize.amount),
            prize.rail,
            f"[{colour}]{prize.status}[/]",
            _evidence(prize, whole=console.width >= WIDE),
        )
    console.print(table)
    for refusal in standing.refusals:
        console.print(f"[red]refused: {refusal}[/]")
    console.print()


def sums(console: Console, booked: Sequence[Sum], chained: Sequence[ChainSum]) -> None:
    """Print where every campaign's money is."""
    for one in booked:
        console.print(
            f"{sign(one.matches)} {one.tournament}: {amount(one.funded.to_wire())} {one.asset} funded"
        )
        for name, value in one.whereabouts.items():
            if value or name == "paid":
                console.print(f"    {amount(value.to_wire()):>18} {WORDS[name]}", highlight=False)
    for chain in chained:
        console.print(
            f"{sign(chain.matches)} on the chain: {amount(chain.left_treasury)} {chain.asset} left the treasury, "
            f"{amount(chain.paid)} were paid over it",
            soft_wrap=True,
        )
