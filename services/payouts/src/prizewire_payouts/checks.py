"""The invariants of all features, checked by `GET /api/services/payouts/checks`. Each breach raises an alarm."""

from prizewire_payouts.approval.storage import CHECKS as APPROVAL
from prizewire_payouts.batches.storage import CHECKS as BATCHES
from prizewire_payouts.gates.storage import CHECKS as GATES
from prizewire_payouts.inline.storage import CHECKS as INLINE
from prizewire_payouts.legal.storage import CHECKS as LEGAL
from prizewire_payouts.methods.storage import CHECKS as METHODS
from prizewire_payouts.payouts.storage.checks import CHECKS as PAYOUTS
from prizewire_payouts.rails.storage import CHECKS as RAILS
from prizewire_payouts.reviews.storage import CHECKS as REVIEWS
from prizewire_payouts.signer_audit.storage import CHECKS as SIGNER_AUDIT
from prizewire_payouts.verification.storage import CHECKS as VERIFICATION

CHECKS = (
    *PAYOUTS,
    *METHODS,
    *INLINE,
    *VERIFICATION,
    *LEGAL,
    *RAILS,
    *GATES,
    *APPROVAL,
    *BATCHES,
    *REVIEWS,
    *SIGNER_AUDIT,
)
"""Those of the Stellar rail are added where the rail is configured."""
