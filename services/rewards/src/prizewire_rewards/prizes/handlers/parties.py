"""The parties of prizes and of organizers' fees.

Rule, result and release decide who gets a prize; parties of the campaign only provide money and settings. The rule alone
names who gets an organizer's fee.
"""

from collections.abc import Iterable

from prizewire_contracts.parties import PartyRole
from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.ledger.domain.parties import CreditParties, Party, sorted_parties
from prizewire_rewards.ledger.handlers.parties import credit_parties
from prizewire_rewards.prizes.domain.model import Settlement


def prize_parties(
    settlement: Settlement,
    campaign: Campaign,
    *,
    released_by: str | None = None,
    fact_reporters: Iterable[Party] = (),
) -> CreditParties:
    """The parties of a prize. A person who released another prize of the round did not decide about this one, so does not
    count as a second person. Nor do ``fact_reporters``: persons who set facts of the winner that its claim was judged by.
    """
    releasers = [party for party in settlement.parties if party[0] == PartyRole.RELEASER]
    deciders = [party for party in settlement.parties if party[0] != PartyRole.RELEASER]
    if released_by is not None:
        deciders.append((PartyRole.RELEASER, released_by))
    return credit_parties(deciders, others=[*releasers, *fact_reporters, *campaign.parties])


def organizer_fee_parties(settlement: Settlement, campaign: Campaign) -> CreditParties:
    """The parties of an organizer's fee. The rule alone names who gets it. It is not known which of its writers named the
    organizer, so each writer counts as one person who alone decided.
    """
    writers = {subject for role, subject in settlement.parties if role == PartyRole.RULE_WRITER}
    return CreditParties(sorted_parties([*settlement.parties, *campaign.parties]), tuple(sorted(writers)))
