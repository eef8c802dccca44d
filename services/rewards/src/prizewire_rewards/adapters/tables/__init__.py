"""This service's tables by theme, as its queries see them. The migrations create them, with triggers and privileges.

Imported here one and all, so that ``metadata`` is whole wherever it comes from.
"""

from prizewire_rewards.adapters.tables import (
    campaigns,
    claims,
    ledger,
    money,
    parties,
    payouts,
    rounds,
    trail,
)
from prizewire_rewards.adapters.tables.base import metadata

__all__ = ["campaigns", "claims", "ledger", "metadata", "money", "parties", "payouts", "rounds", "trail"]
