"""A party of money in an event. ``prizewire_contracts.parties`` explains the roles."""

from prizewire_contracts.envelope import Data
from prizewire_contracts.parties import PartyRole
from prizewire_contracts.text import EventLine


class MoneyParty(Data):
    """A person, by the subject of their token, in one role towards an amount of money."""

    role: PartyRole
    subject: EventLine
