"""Metrics of the Stellar execution. Labels take their values from closed sets."""

from prometheus_client import Counter

__all__ = ["STEPS", "VOIDS"]

STEPS = Counter(
    "prizewire_stellar_steps_total",
    "Steps of Stellar transactions by the state they led to; `review` means that a person must look.",
    ["state"],
)
VOIDS = Counter(
    "prizewire_stellar_voids_total",
    "Transactions begun to void a slot on which nothing could be paid any more; many mean trouble with the network.",
)
