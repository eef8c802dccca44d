"""A party of money as it travels. What the roles mean stands in ``prizewire_contracts.parties``."""

from prizewire_contracts.envelope import Data
from prizewire_contracts.parties import PartyRole
from prizewire_contracts.text import EventLine


class MoneyParty(Data):
    """A person, by the subject of their token, in one role towards an amount of money."""

    role: PartyRole
    subject: EventLine
