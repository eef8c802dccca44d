"""The output of the demonstration at the terminal."""

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prizewire_contracts.text import counted
from prizewire_devstack.demo.following import PAID, Prize, Standing
from prizewire_devstack.demo.onchain import ChainSum
from prizewire_devstack.demo.outcome import Outcome
from prizewire_devstack.demo.tournaments import Tournament
from prizewire_devstack.demo.ways import Way, Ways

WIDE: Final = 140
"""Columns from which a transaction hash is shown whole."""

WORDS: Final = {
    "paid": "paid",
    "payout_pending": "on its way",
    "platform_fees": "platform's fees",
    "organizer_fees": "organizer's fees",
    "wallets": "left in wallets",
    "claimable": "to be claimed",
    "reserved": "reserved",
    "withdrawn": "taken out again",
    "available": "left in the pool",
}


def amount(text: str) -> str:
    """An amount with separators of thousands: `2,700,000.00`."""
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
    console.print()


def refusals(console: Console, tournament: Tournament, standing: Standing) -> None:
    """Print the refused events of a tournament."""
    for refusal in standing.refusals:
        console.print(f"[red]✗ {escape(tournament.name)}: {escape(refusal)}[/]", soft_wrap=True)


NAMED: Final = 3
"""Payouts that a line names at most."""


def ways(console: Console, found: Ways) -> None:
    """Print over which rails payouts were paid, which came back from an unknown outcome, and which two persons approved."""
    rails = ", ".join(f"{count} over {rail}" for rail, count in found.by_rail.items())
    _say(console, found.wanted <= set(found.by_rail), f"payouts paid: {rails or 'none'}")
    _say(
        console,
        bool(found.by_proof),
        f"{counted(len(found.by_proof), 'payout')} unknown after the rail's answer was lost, then proved paid by a look-up"
        f"{_named(found.by_proof)}",
    )
    codes = sorted({code for one in found.by_two for code in one.held_for if code})
    _say(
        console,
        bool(found.by_two),
        f"{counted(len(found.by_two), 'payout')} held ({', '.join(codes)}), then approved by two persons{_named(found.by_two)}",
    )


def _named(found: tuple[Way, ...]) -> str:
    names = ", ".join(one.player for one in found[:NAMED])
    return f": {names}{' and others' if len(found) > NAMED else ''}" if names else ""


def sums(console: Console, outcome: Outcome) -> None:
    """Print the sums of every campaign, differences of wallets and chain, and broken invariants."""
    for one in outcome.booked:
        _say(
            console,
            one.matches,
            f"{one.tournament}: {amount(one.funded.to_wire())} {one.asset} funded",
        )
        for name, value in one.whereabouts.items():
            wanted = one.expected.get(name, value)
            if value or value != wanted or name == "paid":
                console.print(f"    {amount(value.to_wire()):>18} {WORDS[name]}", highlight=False, end="")
                known = "" if value == wanted else f" [red]✗ {amount(wanted.to_wire())} expected[/]"
                console.print(known, highlight=False)
    off = [one for one in outcome.wallets if not one.matches]
    _say(
        console,
        not off,
        f"{len(outcome.wallets) - len(off)} of {counted(len(outcome.wallets), 'wallet')} hold what their history and the "
        f"prize lists say ({_owners(outcome)})",
    )
    for wallet in off:
        held, history, of_run, expected = (
            amount(value.to_wire()) for value in (wallet.held, wallet.history, wallet.of_run, wallet.expected)
        )
        _say(
            console,
            False,
            f"{wallet.player} holds {held} {wallet.asset}, the history makes {history}; of these matches {of_run}, "
            f"{expected} expected",
        )
    for chain in outcome.chained:
        _chain(console, chain)
    for invariant in outcome.broken:
        words = "; ".join(invariant.breaches) or "no breach was named"
        _say(console, False, f"{invariant.service}: {invariant.name} is broken: {words}")
    if not outcome.broken:
        _say(console, True, "every invariant that the services check holds")


def _chain(console: Console, chain: ChainSum) -> None:
    _say(
        console,
        chain.left_treasury == chain.paid,
        f"on the Stellar ledger: {amount(chain.left_treasury)} {chain.asset} left the treasury for these prizes; the prizes "
        f"that are paid over stellar sum to {amount(chain.paid)} {chain.asset}",
    )
    if _any(chain.others):
        console.print(
            f"    {amount(chain.others):>18} {chain.asset} left it for payouts of other matches",
            highlight=False,
        )
    if _any(chain.unexplained):
        _say(
            console,
            False,
            f"{amount(chain.unexplained)} {chain.asset} left it without a payout",
        )


def _owners(outcome: Outcome) -> str:
    """Whose wallets were compared. An organizer has a wallet for its fee, and no payout method."""
    organizers = {organizer for tournament in outcome.tournaments for organizer in tournament.organizers}
    of_organizers = sum(one.player in organizers for one in outcome.wallets)
    of_players = counted(len(outcome.wallets) - of_organizers, "player")
    return f"{of_players}, {counted(of_organizers, 'organizer')}" if of_organizers else of_players


def _any(text: str) -> bool:
    return bool(text.strip("0."))


def _say(console: Console, good: bool, sentence: str) -> None:
    console.print(f"{sign(good)} {sentence}", highlight=False, soft_wrap=True)
