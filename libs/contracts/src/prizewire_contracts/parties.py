"""The parties of money: the persons whose action created an amount or moves it. Pure; no IO.

A party is ``{role, subject}``: the subject is that of the token with which the person acted. No party of a payout
approves it. Money of which one person alone said who is paid how much waits for another person, whatever the amount.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class PartyRole(StrEnum):
    """What a person did for the money."""

    FUNDER = "funder"
    """Booked money into the campaign or funding account that pays."""
    RULE_WRITER = "rule_writer"
    """Wrote the rule version that the round was settled under, an earlier one, a later one that changed sources or keys
    before the result was admitted, or settings of the campaign.
    """
    REPORTER = "reporter"
    """Resolved or corrected the round, issued the source token that reported the result that stands, or let it in by a
    change of the rule's sources or keys after the match began.
    """
    IMPORTER = "importer"
    """Imported an opening balance."""
    RELEASER = "releaser"
    """Released a held prize, approved a held claim, entered or erased facts of the player that a claim was decided by, or
    wrote off a receivable that would have been taken from the wallet.
    """
    FILER = "filer"
    """Requested the payout."""
    PAYEE = "payee"
    """Is paid by it, or is the player whose money it is."""
    REGISTRANT = "registrant"
    """Registered the payout method that it goes to."""
    ASSIGNER = "assigner"
    """Proposed or confirmed the payee assignment by which another person than the player is paid."""


class Party(NamedTuple):
    """A person in one role."""

    role: PartyRole
    subject: str


_NAMES_PAYEE = frozenset({PartyRole.REPORTER, PartyRole.IMPORTER})
_DECIDES = _NAMES_PAYEE | {PartyRole.RELEASER}


def one_person(parties: Iterable[Party]) -> str | None:
    """The person who alone said who is paid how much, or None where two persons or a game server did.

    Reporters, importers and releasers decide; at least one of them must be a person who names players. A rule writer is a
    second person only where none of the rule's writers is the one who decided: which version of a rule decides how much is
    not known here, and a second writer may have changed only a name. A funder is no second person: funding a pool says
    nothing about who is paid out of it.
    """
    known = list(parties)
    deciders = {party.subject for party in known if party.role in _DECIDES}
    writers = {party.subject for party in known if party.role is PartyRole.RULE_WRITER}
    named = any(party.role in _NAMES_PAYEE for party in known)
    alone = named and len(deciders) == 1 and (not writers or deciders <= writers)
    return next(iter(deciders)) if alone else None


def distinct(parties: Iterable[Party]) -> tuple[Party, ...]:
    """Each party once, sorted."""
    return tuple(sorted(set(parties)))
