"""Parties of money: the persons who brought it about, kept with pools, wallets and payouts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

Party = tuple[str, str]
"""Role and subject, as ``prizewire_contracts.parties`` has them."""


@dataclass(frozen=True, slots=True)
class CreditParties:
    """The parties of an amount, sorted and without repetition. ``one_person`` lists each person who alone decided who gets
    a part of the amount.
    """

    parties: tuple[Party, ...] = ()
    one_person: tuple[str, ...] = ()


NO_PARTIES: Final = CreditParties()


def sorted_parties(parties: Iterable[Party]) -> tuple[Party, ...]:
    """Sort the parties and drop repetitions."""
    return tuple(sorted({(str(role), subject) for role, subject in parties}))


def campaign_source(campaign: UUID) -> str:
    """The key under which the parties of a campaign's pool are stored."""
    return f"campaign/{campaign}"


def funding_source(name: str) -> str:
    """The key under which the parties of a funding account are stored."""
    return f"funding/{name}"


def player_source(player: str) -> str:
    """The key under which the persons are stored who set or erased facts of a player over HTTP."""
    return f"player/{player}"


def settings_writers(campaign: Iterable[Party]) -> frozenset[str]:
    """The persons among a campaign's parties who created it or changed its settings at any time."""
    return frozenset(subject for role, subject in campaign if role == "rule_writer")


def with_releasers(new: Iterable[Party], known: Iterable[Party]) -> tuple[Party, ...]:
    """The parties of a correction, together with the known ones who released a prize of the round."""
    return sorted_parties([*new, *(party for party in known if party[0] == "releaser")])
