"""The parties of money that somebody decided about."""

from collections.abc import Iterable

from prizewire_contracts.parties import Party as ContractParty
from prizewire_contracts.parties import PartyRole, one_person
from prizewire_rewards.ledger.domain.parties import CreditParties, Party, sorted_parties


def credit_parties(deciders: Iterable[Party], *, others: Iterable[Party] = ()) -> CreditParties:
    """The parties of money that ``deciders`` gave to somebody; ``others`` are parties who said nothing of who gets it."""
    deciders = list(deciders)
    alone = one_person(ContractParty(PartyRole(role), subject) for role, subject in deciders)
    return CreditParties(sorted_parties([*deciders, *others]), () if alone is None else (alone,))
