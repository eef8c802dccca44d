"""What the handlers need from outside, by theme. One ``Work`` is one database transaction; the order in which it locks
stands in ``work``.
"""

from prizewire_rewards.ports.campaigns import Campaigns
from prizewire_rewards.ports.claims import CapCounts, Claims, PlayerHasher, Players
from prizewire_rewards.ports.ledger import Ledger, Openings, Receivables
from prizewire_rewards.ports.money import Entries, Fundings, Topups, Withdrawals
from prizewire_rewards.ports.parties import Parties
from prizewire_rewards.ports.payouts import Methods, Payouts
from prizewire_rewards.ports.reading import Queries
from prizewire_rewards.ports.rounds import Rounds, StagedHead
from prizewire_rewards.ports.tools import ClosureVerifier, IntentSigner, LinesDigest, RunningDigest, Tools
from prizewire_rewards.ports.trail import History, Messages
from prizewire_rewards.ports.work import Work

__all__ = [
    "Campaigns",
    "CapCounts",
    "Claims",
    "ClosureVerifier",
    "Entries",
    "Fundings",
    "History",
    "IntentSigner",
    "Ledger",
    "LinesDigest",
    "Messages",
    "Methods",
    "Openings",
    "Parties",
    "Payouts",
    "PlayerHasher",
    "Players",
    "Queries",
    "Receivables",
    "Rounds",
    "RunningDigest",
    "StagedHead",
    "Tools",
    "Topups",
    "Withdrawals",
    "Work",
]
