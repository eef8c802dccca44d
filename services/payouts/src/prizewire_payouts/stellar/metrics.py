"""Metrics of the Stellar execution. Labels take their values from closed sets."""

from prometheus_client import Counter

STEPS = Counter(
    "prizewire_stellar_steps_total",
    "Steps of Stellar transactions by the state they led to; `review` means that a person must look.",
    ["state"],
)
SIGNER_WAITED = Counter(
    "prizewire_stellar_signer_waits_total",
    "Payments that left a batch because the signer said that they must wait for an earlier slot of theirs.",
)
UNKNOWN_ANSWERS = Counter(
    "prizewire_stellar_unknown_answers_total",
    "The signer's answers to requests that payouts does not know, by kind: somebody else asked in payouts' name, or "
    "payouts' database was restored from a backup.",
    ["kind"],
)
VOIDS = Counter(
    "prizewire_stellar_voids_total",
    "Transactions begun to void a slot on which nothing could be paid any more; many mean trouble with the network.",
)
