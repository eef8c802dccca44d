"""The parties of money that somebody decided about."""

from collections.abc import Iterable

from prizewire_contracts.parties import Party as ContractParty
from prizewire_contracts.parties import PartyRole, one_person
from prizewire_rewards.ledger.domain.parties import Behind, Party, sorted_parties


def behind_of(deciders: Iterable[Party], *, others: Iterable[Party] = ()) -> Behind:
    """The parties of money that ``deciders`` gave to somebody; ``others`` are parties who said nothing of who gets it."""
    deciders = list(deciders)
    alone = one_person(ContractParty(PartyRole(role), subject) for role, subject in deciders)
    return Behind(sorted_parties([*deciders, *others]), () if alone is None else (alone,))
