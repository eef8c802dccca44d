"""Every metric of the signer, with its meaning. Labels take their values from closed sets."""

from prometheus_client import Counter, Gauge, Histogram

SIGNATURES = Counter(
    "prizewire_signer_signatures_total", "Transactions signed and answered, by kind.", ["kind"]
)
REFUSALS = Counter(
    "prizewire_signer_refusals_total", "Requests refused, by the first code of the answer.", ["code"]
)
CLOSINGS = Counter(
    "prizewire_signer_closings_total", "Closings of payouts and slots, by outcome.", ["outcome"]
)
BACKEND_FAILURES = Counter(
    "prizewire_signer_backend_failures_total",
    "Signatures that a key backend did not give, by code.",
    ["code"],
)
SIGN_SECONDS = Histogram("prizewire_signer_sign_seconds", "Time from a committed digest to its answer.")
WAITING = Gauge("prizewire_signer_waiting", "Signing requests without an answer.")
OLDEST_S = Gauge("prizewire_signer_oldest_seconds", "Age of the oldest signing request without an answer.")
LIMIT_USED = Gauge(
    "prizewire_signer_limit_used_ratio",
    "Used part of the present UTC day's limit, by scope (day: all, again: signed again or closed after a signature) and asset.",
    ["scope", "asset"],
)
LIMIT_CEILING = Gauge(
    "prizewire_signer_limit_ceiling_minor",
    "The present UTC day's limit in minor units, by scope and asset.",
    ["scope", "asset"],
)
NOT_FREE_YET = Gauge(
    "prizewire_signer_not_free_yet",
    "Payouts of closed slots that a digest signed there might still pay.",
)
