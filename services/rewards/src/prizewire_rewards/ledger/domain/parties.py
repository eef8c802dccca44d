"""Who is behind money: the persons whose word brought it about, carried from pools over wallets to payouts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

Party = tuple[str, str]
"""Role and subject, as ``prizewire_contracts.parties`` has them."""


@dataclass(frozen=True, slots=True)
class CreditParties:
    """The parties of an amount, each once and in one order; ``one_person`` are those who alone said who gets some of it."""

    parties: tuple[Party, ...] = ()
    one_person: tuple[str, ...] = ()


NO_PARTIES: Final = CreditParties()


def sorted_parties(parties: Iterable[Party]) -> tuple[Party, ...]:
    """Each party once, in one order."""
    return tuple(sorted({(str(role), subject) for role, subject in parties}))


def campaign_source(campaign: UUID) -> str:
    """The name under which the parties of a campaign's pool are kept."""
    return f"campaign/{campaign}"


def funding_source(name: str) -> str:
    """The name under which the parties of a funding account are kept."""
    return f"funding/{name}"


def player_source(player: str) -> str:
    """The name under which those are kept who told or erased facts of a player by hand."""
    return f"player/{player}"


def settings_writers(campaign: Iterable[Party]) -> frozenset[str]:
    """Who made the campaign or ever changed its settings, among its parties."""
    return frozenset(subject for role, subject in campaign if role == "rule_writer")


def with_releasers(new: Iterable[Party], known: Iterable[Party]) -> tuple[Party, ...]:
    """The parties that a correction brings, with those who released a prize of the round before."""
    return sorted_parties([*new, *(party for party in known if party[0] == "releaser")])
