"""Who is behind a prize: rule, result and release decide who gets it; the campaign's money and settings make it possible.

An organizer's fee is paid to whom the rule names: no result and no release decides on it.
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
    """The parties of a prize. Who released another prize of the round did not look at this one, and is no second person.
    Nor are those of ``fact_reporters``, who told facts of the winner by hand that its claim was judged by.
    """
    releasers = [party for party in settlement.parties if party[0] == PartyRole.RELEASER]
    deciders = [party for party in settlement.parties if party[0] != PartyRole.RELEASER]
    if released_by is not None:
        deciders.append((PartyRole.RELEASER, released_by))
    return credit_parties(deciders, others=[*releasers, *fact_reporters, *campaign.parties])


def organizer_fee_parties(settlement: Settlement, campaign: Campaign) -> CreditParties:
    """The parties of an organizer's fee. The rule alone names who gets it: each of its writers is taken for the one person
    who did, because which of them named the organizer is not known here.
    """
    writers = {subject for role, subject in settlement.parties if role == PartyRole.RULE_WRITER}
    return CreditParties(sorted_parties([*settlement.parties, *campaign.parties]), tuple(sorted(writers)))
