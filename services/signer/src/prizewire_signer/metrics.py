"""Every metric of the signer, with its meaning. Labels take their values from closed sets."""

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "BACKEND_FAILURES",
    "BREACHES",
    "CLOSINGS",
    "DEFERRED",
    "LIMIT_CEILING",
    "LIMIT_USED",
    "OLDEST_S",
    "REFUSALS",
    "SIGNATURES",
    "SIGN_SECONDS",
    "WAITING",
]

SIGNATURES = Counter(
    "prizewire_signer_signatures_total", "Transactions signed and answered, by kind.", ["kind"]
)
REFUSALS = Counter(
    "prizewire_signer_refusals_total", "Requests refused, by the first code of the answer.", ["code"]
)
DEFERRED = Counter(
    "prizewire_signer_deferred_total",
    "Looks at requests that wait for the closing of a slot on its way here.",
)
CLOSINGS = Counter(
    "prizewire_signer_closings_total", "Closings of payouts and slots, by what became of them.", ["outcome"]
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
    "prizewire_signer_limit_used_ratio", "Used part of the present UTC day's limit, by asset.", ["asset"]
)
LIMIT_CEILING = Gauge(
    "prizewire_signer_limit_ceiling_minor", "The present UTC day's limit in minor units, by asset.", ["asset"]
)
BREACHES = Gauge(
    "prizewire_signer_breaches", "Breaches found by the last run of an invariant's check.", ["invariant"]
)
