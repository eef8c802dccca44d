"""The invariants of all features, checked by `GET /api/services/payouts/checks`. Each breach raises an alarm."""

from prizewire_payouts.approval.storage import CHECKS as APPROVAL
from prizewire_payouts.methods.storage import CHECKS as METHODS
from prizewire_payouts.payouts.storage.checks import CHECKS as PAYOUTS

CHECKS = (*PAYOUTS, *METHODS, *APPROVAL)
"""Those of the Stellar rail are added where the rail is configured."""
