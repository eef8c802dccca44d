"""The parties of money that persons decided about."""

from collections.abc import Iterable

from prizewire_contracts.parties import Party as ContractParty
from prizewire_contracts.parties import PartyRole, one_person
from prizewire_rewards.ledger.domain.parties import CreditParties, Party, sorted_parties


def credit_parties(deciders: Iterable[Party], *, others: Iterable[Party] = ()) -> CreditParties:
    """The parties of an amount. ``deciders`` decided who gets it; ``others`` are parties who did not decide that."""
    deciders = list(deciders)
    alone = one_person(ContractParty(PartyRole(role), subject) for role, subject in deciders)
    return CreditParties(sorted_parties([*deciders, *others]), () if alone is None else (alone,))
