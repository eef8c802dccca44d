"""Every metric of the signer, with its meaning, its unit and the values of its labels."""

from typing import Final

from prizewire_chassis.metrics.definitions import bounded, closed, counter, gauge, histogram
from prizewire_signer.domain.model import PAYMENT, VOID_SLOT
from prizewire_signer.errors import BackendCode, Code

CLOSING_OUTCOMES: Final = (
    "slot_closed",
    "slot_mismatched",
    "payout_closed",
    "payout_refused",
    "payout_over_limit",
)
SCOPES: Final = ("day", "again")
"""Scopes of a day's limit: all that is signed, and what is signed again or closed after a signature."""
_LIMIT_LABELS: Final = {
    "scope": closed(SCOPES),
    "asset": bounded("the code of an asset of the policy", most=50),
}

SIGNATURES = counter(
    "prizewire_signer_signatures_total",
    "Transactions signed and answered, by kind.",
    unit="transactions",
    labels={"kind": closed((PAYMENT, VOID_SLOT))},
)
REFUSALS = counter(
    "prizewire_signer_refusals_total",
    "Requests refused, by the first code of the answer.",
    unit="requests",
    labels={"code": closed(Code)},
)
CLOSINGS = counter(
    "prizewire_signer_closings_total",
    "Closings of payouts and slots, by outcome.",
    unit="closings",
    labels={"outcome": closed(CLOSING_OUTCOMES)},
)
BACKEND_FAILURES = counter(
    "prizewire_signer_backend_failures_total",
    "Signatures that a key backend did not give, by code.",
    unit="signatures",
    labels={"code": closed(BackendCode)},
)
SIGN_SECONDS = histogram(
    "prizewire_signer_sign_seconds", "Time from a committed digest to its answer.", unit="seconds"
)
WAITING = gauge("prizewire_signer_waiting", "Signing requests without an answer.", unit="requests")
OLDEST_S = gauge(
    "prizewire_signer_oldest_seconds",
    "Age of the oldest signing request without an answer.",
    unit="seconds",
)
LIMIT_USED = gauge(
    "prizewire_signer_limit_used_ratio",
    "Used part of the present UTC day's limit, by scope (day: all, again: signed again or closed after a signature) and asset.",
    unit="ratio",
    labels=_LIMIT_LABELS,
)
LIMIT_CEILING = gauge(
    "prizewire_signer_limit_ceiling",
    "The present UTC day's limit, by scope and asset, in units of the asset.",
    unit="units of the asset",
    labels=_LIMIT_LABELS,
)
NOT_FREE_YET = gauge(
    "prizewire_signer_not_free_yet",
    "Payouts of closed slots that a digest signed there might still pay.",
    unit="payouts",
)
